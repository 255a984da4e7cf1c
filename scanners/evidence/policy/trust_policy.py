"""A policy read from its file, with the keys and certificates that it names."""

import json
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError

from hardpan.core import yaml_source
from hardpan.core.errors import InputError
from hardpan.core.files import Sha256, read_limited, sha256_bytes
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
    """Certificates in PEM; empty where the policy wants no CMS signature."""

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
    problems: list[str] = []
    try:
        # JSON mode converts lists to tuples and text to times, and nothing else.
        policy = TrustPolicy.model_validate_json(json.dumps(root.to_plain()), strict=True)
    except ValidationError as e:
        problems = [
            f"{_locate(root, tuple(x['loc']), path)}: {_format_error(x)}" for x in e.errors()
        ]
        raise InputError(
            "\n".join(problems), hint="'hardpan keys new' writes a valid policy"
        ) from e
    loaded: list[tuple[int, PolicyKey, PublicKey]] = []
    for i, key in enumerate(policy.keys):
        try:
            loaded.append((i, key, _load_policy_key(key, path.parent)))
        except InputError as e:
            problems.append(f"{_locate(root, ('keys', i, 'spki'), path)}: keys[{i}].spki: {e}")
    problems += [
        f"{_locate(root, location, path)}: {problem}"
        for location, problem in _check_key_windows(policy)
    ]
    keys = [(key, public) for _, key, public in loaded]
    problems += [
        f"{_locate(root, location, path)}: {problem}"
        for location, problem in _check_algorithms(policy, keys)
    ]
    tsa, cms = _load_roots(policy, path, problems, root)
    duplicates = [
        *find_duplicate_ids(policy),
        *find_duplicate_keys(loaded),
        *find_duplicate_values(policy),
    ]
    if tsa is not None:
        duplicates += find_authority_keys(loaded, tsa)
    problems += [
        f"{_locate(root, x.path, path)}: {x.problem}; "
        f"the first is at {_locate(root, x.first_path, path)}"
        for x in duplicates
    ]
    if problems:
        raise InputError("\n".join(problems))
    return ResolvedPolicy(
        policy=policy,
        sha256=sha256_bytes(data),
        keys=tuple(keys),
        timestamp_authority=tsa,
        cms_roots=cms,
    )


def _load_roots(
    policy: TrustPolicy, path: Path, problems: list[str], root: yaml_source.YamlNode
) -> tuple[TimestampAuthority | None, str]:
    """The certificates that the policy names, read; what is wrong goes to ``found``."""
    authorities: dict[str, TimestampAuthority] = {}
    pem_by_rule: dict[str, str] = {}
    for name in ("require_timestamp", "require_cms"):
        rule = getattr(policy, name)
        if rule is None:
            continue
        try:
            pem = _read_text_or_file(rule.roots, path.parent)
            oid = getattr(rule, "policy_oid", "")
            authorities[name] = load_tsa(pem, policy_oid=oid, label=f"{name}.roots")
            pem_by_rule[name] = pem.decode("ascii", "replace")
        except InputError as e:
            problems.append(f"{_locate(root, (name, 'roots'), path)}: {e}")
    return authorities.get("require_timestamp"), pem_by_rule.get("require_cms", "")


def _check_key_windows(policy: TrustPolicy) -> list[tuple[SettingPath, str]]:
    problems: list[tuple[SettingPath, str]] = []
    for i, key in enumerate(policy.keys):
        if key.not_after <= key.not_before:
            problems.append(
                (("keys", i, "not_after"), f"keys[{i}].not_after: is before not_before")
            )
    return problems


def _check_algorithms(
    policy: TrustPolicy, keys: list[tuple[PolicyKey, PublicKey]]
) -> list[tuple[SettingPath, str]]:
    problems: list[tuple[SettingPath, str]] = []
    algorithm_by_key_id = {k.id: p.alg for k, p in keys}
    for i, key in enumerate(policy.keys):
        is_pq = ALGORITHMS[key.alg].is_post_quantum
        if is_pq != (key.role == "scan-pq"):
            problem = "is only for the role scan-pq" if is_pq else "cannot sign as scan-pq"
            problems.append((("keys", i, "alg"), f"keys[{i}].alg: {key.alg} {problem}"))
        if algorithm_by_key_id.get(key.id, key.alg) != key.alg:
            problem = f"says {key.alg}, but the key is for {algorithm_by_key_id[key.id]}"
            problems.append((("keys", i, "alg"), f"keys[{i}].alg: {problem}"))
    if policy.require_pq and not any(k.role == "scan-pq" for k in policy.keys):
        problems.append((("require_pq",), "require_pq: no key has the role scan-pq"))
    return problems


def _load_policy_key(key: PolicyKey, folder: Path) -> PublicKey:
    inline = key.spki.lstrip().startswith("-----BEGIN")
    label = f"key {key.id!r}" if inline else str(folder / key.spki)
    return parse_public_key(_read_text_or_file(key.spki, folder), label=label)


def _read_text_or_file(value: str, folder: Path) -> bytes:
    if value.lstrip().startswith("-----BEGIN"):
        return value.encode()
    if not value.isprintable():
        raise InputError(f"expected the path of a file, or PEM text, got {value[:60]!a}")
    return read_limited(folder / value, _MAX_BYTES)


def _locate(root: yaml_source.YamlNode, setting: SettingPath, path: Path) -> str:
    return str(root.locate(setting))


def _format_error(error: Any) -> str:
    setting = ""
    for part in error["loc"]:
        setting += f"[{part}]" if isinstance(part, int) else f".{part}" if setting else str(part)
    if error["type"] == "extra_forbidden":
        return f"{setting}: unknown setting"
    if error["type"] == "missing":
        return f"{setting}: is missing"
    return f"{setting}: {error['msg'].removeprefix('Value error, ')}, got {error['input']!r:.80}"
