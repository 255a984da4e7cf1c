"""Find values that a policy lists twice, in any notation.

If a key has two entries, a reader cannot see which one counts: the first may say that the key is
compromised, the second that it is not. So a key is listed once, for one role. The keys themselves
are compared, not their text: the same key may be PEM with other line breaks, another file, or a
YAML alias.
"""

import base64
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from hardpan.scanners.evidence.policy.model import PolicyKey, TrustPolicy
from hardpan.signing import PublicKey, TimestampAuthority

SettingPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """An entry that repeats an earlier one."""

    path: SettingPath
    first_path: SettingPath
    """Path of the earlier entry."""

    problem: str


def find_duplicate_keys(keys: Sequence[tuple[int, PolicyKey, PublicKey]]) -> list[Duplicate]:
    """Find keys that are listed twice; each comes with its index in the policy."""
    duplicates: list[Duplicate] = []
    first_by_digest: dict[str, tuple[int, PolicyKey]] = {}
    for number, key, public in keys:
        first_number, first_key = first_by_digest.setdefault(public.sha256, (number, key))
        if first_number == number:
            continue
        problem = f"the same key as keys[{first_number}] ({first_key.id!r}); expected each key once"
        if first_key.role != key.role:
            problem = (
                f"the same key may not have two roles: keys[{first_number}] ({first_key.id!r}) "
                f"has the role {first_key.role}"
            )
        duplicates.append(
            Duplicate(
                path=("keys", number, "spki"),
                first_path=("keys", first_number, "spki"),
                problem=problem,
            )
        )
    return duplicates


def find_duplicate_ids(policy: TrustPolicy) -> list[Duplicate]:
    """Find ids that repeat an earlier key's id, or differ from it in case only."""
    names = [(key.id.casefold(), repr(key.id)) for key in policy.keys]
    return _find_duplicates(("keys",), names, ("id",))


def find_duplicate_values(policy: TrustPolicy) -> list[Duplicate]:
    """Find values that a list of the policy contains twice."""
    host_keys = [(_decode_fingerprint(value), repr(value)) for value in policy.target.host_keys]
    duplicates = _find_duplicates(("target", "host_keys"), host_keys)
    lists = {
        ("target", "machine_ids"): policy.target.machine_ids,
        ("target", "product_uuids"): policy.target.product_uuids,
        ("content", "source_sha256"): policy.content.source_sha256,
        ("content", "derived_sha256"): policy.content.derived_sha256,
        ("content", "profile_ids"): policy.content.profile_ids,
        ("image", "sha256"): policy.image.sha256,
    }
    for path, values in lists.items():
        duplicates += _find_duplicates(path, [(value, repr(value)) for value in values])
    return duplicates


def find_authority_keys(
    keys: Sequence[tuple[int, PolicyKey, PublicKey]], authority: TimestampAuthority
) -> list[Duplicate]:
    """Find keys that also belong to the timestamp authority: a signer could choose its time."""
    duplicates: list[Duplicate] = []
    authority_digests = authority.keys_sha256
    for number, key, public in keys:
        if public.sha256 in authority_digests:
            duplicates.append(
                Duplicate(
                    path=("require_timestamp", "roots"),
                    first_path=("keys", number, "spki"),
                    problem=f"a certificate of keys[{number}] "
                    f"({key.id!r}), which has the role {key.role}",
                )
            )
    return duplicates


def _find_duplicates(
    path: tuple[str, ...], values: Sequence[tuple[Hashable, str]], subpath: SettingPath = ()
) -> list[Duplicate]:
    """Find the repeated ``values``: pairs of the compared value and its text."""
    duplicates: list[Duplicate] = []
    number_by_value: dict[Hashable, int] = {}
    for number, (value, label) in enumerate(values):
        first = number_by_value.setdefault(value, number)
        if first != number:
            duplicates.append(
                Duplicate(
                    path=(*path, number, *subpath),
                    first_path=(*path, first, *subpath),
                    problem=f"{label} appears twice",
                )
            )
    return duplicates


def _decode_fingerprint(fingerprint: str) -> bytes:
    """The digest in ``SHA256:…``, whose last letter can be written in more than one way."""
    return base64.b64decode(fingerprint.removeprefix("SHA256:") + "=")
