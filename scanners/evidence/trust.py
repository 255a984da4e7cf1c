"""A policy read from its file, with the keys and certificates that it names."""

import json
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError

from hardpan.errors import InputError
from hardpan.files import Sha256, read_limited, sha256_bytes
from hardpan.profiles import tree
from hardpan.scanners.evidence.policy import Key, Part, Policy
from hardpan.scanners.evidence.uniqueness import (
    Place,
    keys_of_authority,
    repeated_ids,
    repeated_keys,
    repeated_values,
)
from hardpan.signing import ALGORITHMS, Authority, PublicKey, authority, parse_public

_MAX_BYTES = 1 << 20


class Trust(Part):
    """A policy with its keys read."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    policy: Policy
    sha256: Sha256
    """Digest of the policy file's bytes, the ones that were read."""

    keys: tuple[tuple[Key, PublicKey], ...]
    authority: Authority | None = None
    """Whose timestamps are believed; None where the policy names nobody."""

    cms_roots: str = ""
    """Certificates in PEM; empty where the policy wants no CMS signature."""

    def role(self, role: str) -> tuple[tuple[Key, PublicKey], ...]:
        """The keys trusted for ``role``."""
        return tuple(k for k in self.keys if k[0].role == role)


def load_policy(path: Path) -> Trust:
    """The policy in ``path``, its keys included.

    Raises:
        InputError: it cannot be read; or every problem at once, each with its
            ``file:line:column`` and setting.
    """
    data = read_limited(path, _MAX_BYTES)
    root = tree.read(data, str(path), max_bytes=_MAX_BYTES, aliases=True)
    found: list[str] = []
    try:
        # In JSON mode a list may be a tuple and a text a moment, and nothing else is bent.
        policy = Policy.model_validate_json(json.dumps(root.plain()), strict=True)
    except ValidationError as e:
        found = [f"{_at(root, tuple(x['loc']), path)}: {_said(x)}" for x in e.errors()]
        raise InputError(
            "\n".join(found), hint="see 'hardpan keys new' for a policy that works"
        ) from e
    loaded: list[tuple[int, Key, PublicKey]] = []
    for i, key in enumerate(policy.keys):
        try:
            loaded.append((i, key, _public(key, path.parent)))
        except InputError as e:
            found.append(f"{_at(root, ('keys', i, 'spki'), path)}: keys[{i}].spki: {e}")
    found += [f"{_at(root, where, path)}: {said}" for where, said in _odd(policy)]
    keys = [(key, public) for _, key, public in loaded]
    found += [f"{_at(root, where, path)}: {said}" for where, said in _algorithms(policy, keys)]
    tsa, cms = _anchors(policy, path, found, root)
    repeated = [*repeated_ids(policy), *repeated_keys(loaded), *repeated_values(policy)]
    if tsa is not None:
        repeated += keys_of_authority(loaded, tsa)
    found += [
        f"{_at(root, x.place, path)}: {x.problem}; the first is at {_at(root, x.first, path)}"
        for x in repeated
    ]
    if found:
        raise InputError("\n".join(found))
    return Trust(
        policy=policy,
        sha256=sha256_bytes(data),
        keys=tuple(keys),
        authority=tsa,
        cms_roots=cms,
    )


def _anchors(
    policy: Policy, path: Path, found: list[str], root: tree.Tree
) -> tuple[Authority | None, str]:
    """The certificates that the policy names, read; what is wrong goes to ``found``."""
    read: dict[str, Authority] = {}
    texts: dict[str, str] = {}
    for name in ("require_timestamp", "require_cms"):
        rule = getattr(policy, name)
        if rule is None:
            continue
        try:
            pem = _text_or_file(rule.roots, path.parent)
            oid = getattr(rule, "policy_oid", "")
            read[name] = authority(pem, policy_oid=oid, what=f"{name}.roots")
            texts[name] = pem.decode("ascii", "replace")
        except InputError as e:
            found.append(f"{_at(root, (name, 'roots'), path)}: {e}")
    return read.get("require_timestamp"), texts.get("require_cms", "")


def _odd(policy: Policy) -> list[tuple[Place, str]]:
    found: list[tuple[Place, str]] = []
    for i, key in enumerate(policy.keys):
        if key.not_after <= key.not_before:
            found.append((("keys", i, "not_after"), f"keys[{i}].not_after: is before not_before"))
    return found


def _algorithms(policy: Policy, keys: list[tuple[Key, PublicKey]]) -> list[tuple[Place, str]]:
    found: list[tuple[Place, str]] = []
    kinds = {k.id: p.alg for k, p in keys}
    for i, key in enumerate(policy.keys):
        is_pq = ALGORITHMS[key.alg].post_quantum
        if is_pq != (key.role == "scan-pq"):
            said = "is for the role scan-pq alone" if is_pq else "cannot sign as scan-pq"
            found.append((("keys", i, "alg"), f"keys[{i}].alg: {key.alg} {said}"))
        if kinds.get(key.id, key.alg) != key.alg:
            said = f"says {key.alg}, but the key is for {kinds[key.id]}"
            found.append((("keys", i, "alg"), f"keys[{i}].alg: {said}"))
    if policy.require_pq and not any(k.role == "scan-pq" for k in policy.keys):
        found.append((("require_pq",), "require_pq: no key has the role scan-pq"))
    return found


def _public(key: Key, folder: Path) -> PublicKey:
    inline = key.spki.lstrip().startswith("-----BEGIN")
    what = f"key {key.id!r}" if inline else str(folder / key.spki)
    return parse_public(_text_or_file(key.spki, folder), what=what)


def _text_or_file(value: str, folder: Path) -> bytes:
    if value.lstrip().startswith("-----BEGIN"):
        return value.encode()
    if not value.isprintable():
        raise InputError(f"expected the path of a file, or PEM text, found {value[:60]!a}")
    return read_limited(folder / value, _MAX_BYTES)


def _at(root: tree.Tree, place: Place, path: Path) -> str:
    return str(root.at(place))


def _said(error: Any) -> str:
    where = ""
    for part in error["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown setting"
    if error["type"] == "missing":
        return f"{where}: is missing"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}, found {error['input']!r:.80}"
