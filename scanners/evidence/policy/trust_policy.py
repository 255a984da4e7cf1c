"""Load a policy file with the keys and certificates that it names."""

import json
from pathlib import Path

from pydantic import ConfigDict, ValidationError

from hardpan.core import yaml_source
from hardpan.core.errors import InputError
from hardpan.core.files import Sha256, read_limited, sha256_bytes
from hardpan.core.validation_errors import format_problems, locate, locate_errors
from hardpan.scanners.evidence.policy.duplicates import (
    SettingPath,
    find_authority_keys,
    find_duplicate_ids,
    find_duplicate_keys,
    find_duplicate_values,
)
from hardpan.scanners.evidence.policy.model import PolicyKey, PolicyModel, TrustPolicy
from hardpan.signing import ALGORITHMS, PublicKey, TimestampAuthority, load_tsa, parse_public_key

_MAX_BYTES = 1 << 20

SettingProblem = tuple[SettingPath, str]
"""A setting and its problem."""


class ResolvedPolicy(PolicyModel):
    """A policy with its keys and certificates loaded."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    policy: TrustPolicy
    sha256: Sha256
    """Digest of the policy file's bytes, the ones that were read."""

    keys: tuple[tuple[PolicyKey, PublicKey], ...]
    timestamp_authority: TimestampAuthority | None = None
    """The trusted TSA; None if the policy names none."""

    cms_roots: str = ""
    """Certificates in PEM; empty if the policy requires no CMS signature."""

    def keys_for_role(self, role: str) -> tuple[tuple[PolicyKey, PublicKey], ...]:
        """The keys trusted for ``role``."""
        return tuple(k for k in self.keys if k[0].role == role)


def load_trust_policy(path: Path) -> ResolvedPolicy:
    """Load the policy in ``path`` with its keys and certificates.

    Raises:
        InputError: it cannot be read; or every problem at once, each with its
            ``file:line:column`` and setting.
    """
    data = read_limited(path, _MAX_BYTES)
    root = yaml_source.read_yaml(data, str(path), max_bytes=_MAX_BYTES, aliases=True)
    try:
        # JSON mode converts lists to tuples and text to times, and nothing else.
        policy = TrustPolicy.model_validate_json(json.dumps(root.to_plain()), strict=True)
    except ValidationError as e:
        raise InputError(
            format_problems(locate_errors(root, e)), hint="'hardpan keys new' writes a valid policy"
        ) from e
    problems: list[SettingProblem] = []
    loaded: list[tuple[int, PolicyKey, PublicKey]] = []
    for i, key in enumerate(policy.keys):
        try:
            loaded.append((i, key, _load_policy_key(key, path.parent)))
        except InputError as e:
            problems.append((("keys", i, "spki"), str(e)))
    keys = [(key, public) for _, key, public in loaded]
    if policy.content.require_untailored and policy.content.tailoring_sha256:
        problems.append(
            (("content", "require_untailored"), "expected false with tailoring_sha256, got true")
        )
    if policy.waivers is not None and not policy.max_open:
        problems.append(
            (("waivers",), "expected max_open too, which counts the other waived rules")
        )
    problems += _check_key_windows(policy) + _check_algorithms(policy, keys)
    tsa, cms = _load_roots(policy, path.parent, problems)
    duplicates = [
        *find_duplicate_ids(policy),
        *find_duplicate_keys(loaded),
        *find_duplicate_values(policy),
    ]
    if tsa is not None:
        duplicates += find_authority_keys(loaded, tsa)
    problems += [
        (x.path, f"{x.problem}; the first is at {root.locate(x.first_path)}") for x in duplicates
    ]
    if problems:
        raise InputError(format_problems([locate(root, *problem) for problem in problems]))
    return ResolvedPolicy(
        policy=policy,
        sha256=sha256_bytes(data),
        keys=tuple(keys),
        timestamp_authority=tsa,
        cms_roots=cms,
    )


def _load_roots(
    policy: TrustPolicy, folder: Path, problems: list[SettingProblem]
) -> tuple[TimestampAuthority | None, str]:
    """Load the certificates that the policy names; problems are appended to ``problems``."""
    authorities: dict[str, TimestampAuthority] = {}
    pem_by_rule: dict[str, str] = {}
    for name in ("require_timestamp", "require_cms"):
        rule = getattr(policy, name)
        if rule is None:
            continue
        try:
            pem = _read_text_or_file(rule.roots, folder)
            oid = getattr(rule, "policy_oid", "")
            label = "PEM text" if _is_pem(rule.roots) else str(folder / rule.roots)
            authorities[name] = load_tsa(pem, policy_oid=oid, label=label)
            pem_by_rule[name] = pem.decode("ascii", "replace")
        except InputError as e:
            problems.append(((name, "roots"), str(e)))
    return authorities.get("require_timestamp"), pem_by_rule.get("require_cms", "")


def _check_key_windows(policy: TrustPolicy) -> list[SettingProblem]:
    problems: list[SettingProblem] = []
    for i, key in enumerate(policy.keys):
        if key.not_after <= key.not_before:
            problems.append((("keys", i, "not_after"), "is before not_before"))
    return problems


def _check_algorithms(
    policy: TrustPolicy, keys: list[tuple[PolicyKey, PublicKey]]
) -> list[SettingProblem]:
    problems: list[SettingProblem] = []
    algorithm_by_key_id = {k.id: p.alg for k, p in keys}
    for i, key in enumerate(policy.keys):
        is_pq = ALGORITHMS[key.alg].is_post_quantum
        if is_pq != (key.role == "scan-pq"):
            problem = "is only for the role scan-pq" if is_pq else "cannot sign as scan-pq"
            problems.append((("keys", i, "alg"), f"{key.alg} {problem}"))
        if algorithm_by_key_id.get(key.id, key.alg) != key.alg:
            problem = f"expected {algorithm_by_key_id[key.id]}, the key's algorithm, got {key.alg}"
            problems.append((("keys", i, "alg"), problem))
    if policy.require_pq and not any(k.role == "scan-pq" for k in policy.keys):
        problems.append((("require_pq",), "no key has the role scan-pq"))
    return problems


def _load_policy_key(key: PolicyKey, folder: Path) -> PublicKey:
    label = f"key {key.id!r}" if _is_pem(key.spki) else str(folder / key.spki)
    return parse_public_key(_read_text_or_file(key.spki, folder), label=label)


def _read_text_or_file(value: str, folder: Path) -> bytes:
    if _is_pem(value):
        return value.encode()
    if not value.isprintable():
        raise InputError(f"expected the path of a file, or PEM text, got {value[:60]!a}")
    return read_limited(folder / value, _MAX_BYTES)


def _is_pem(value: str) -> bool:
    return value.lstrip().startswith("-----BEGIN")
