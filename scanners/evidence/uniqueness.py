"""What a policy lists twice: an error, whatever the notation.

Of two entries for one key a reader cannot see which one counts: the first may say that the key is
compromised, the second that it is not. So a key is listed once, for one role. Compared are the
keys themselves, never their text: PEM in other lines, another file, a YAML alias.
"""

import base64
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from hardpan.scanners.evidence.policy import Key, Policy
from hardpan.signing import Authority, PublicKey

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """An entry that is there already."""

    place: Place
    first: Place
    """Where the other one is."""

    problem: str


def repeated_keys(keys: Sequence[tuple[int, Key, PublicKey]]) -> list[Repetition]:
    """Keys that are listed twice; each comes with its number in the policy."""
    found: list[Repetition] = []
    seen: dict[str, tuple[int, Key]] = {}
    for number, key, public in keys:
        first, other = seen.setdefault(public.sha256, (number, key))
        if first == number:
            continue
        problem = f"the same key as keys[{first}] ({other.id!r}); expected each key once"
        if other.role != key.role:
            problem = (
                f"the same key may not have two roles: keys[{first}] ({other.id!r}) has the role "
                f"{other.role}"
            )
        found.append(
            Repetition(
                place=("keys", number, "spki"),
                first=("keys", first, "spki"),
                problem=f"keys[{number}].spki: {problem}",
            )
        )
    return found


def repeated_ids(policy: Policy) -> list[Repetition]:
    """Keys that have the name of another one, or a name that differs from it in case alone."""
    names = [(key.id.casefold(), repr(key.id)) for key in policy.keys]
    return _repeated(("keys",), names, ("id",))


def repeated_values(policy: Policy) -> list[Repetition]:
    """Values that one of the policy's lists has twice."""
    host_keys = [(_digest(value), repr(value)) for value in policy.target.host_keys]
    found = _repeated(("target", "host_keys"), host_keys)
    lists = {
        ("target", "machine_ids"): policy.target.machine_ids,
        ("target", "product_uuids"): policy.target.product_uuids,
        ("content", "source_sha256"): policy.content.source_sha256,
        ("content", "derived_sha256"): policy.content.derived_sha256,
        ("content", "profile_ids"): policy.content.profile_ids,
        ("image", "sha256"): policy.image.sha256,
    }
    for place, values in lists.items():
        found += _repeated(place, [(value, repr(value)) for value in values])
    return found


def keys_of_authority(
    keys: Sequence[tuple[int, Key, PublicKey]], authority: Authority
) -> list[Repetition]:
    """Keys that are a timestamp authority's, too: who signs would say when, as well."""
    found: list[Repetition] = []
    held = authority.keys_sha256
    for number, key, public in keys:
        if public.sha256 in held:
            found.append(
                Repetition(
                    place=("require_timestamp", "roots"),
                    first=("keys", number, "spki"),
                    problem=f"require_timestamp.roots: a certificate of keys[{number}] "
                    f"({key.id!r}), which has the role {key.role}",
                )
            )
    return found


def _repeated(
    place: tuple[str, ...], values: Sequence[tuple[Hashable, str]], within: Place = ()
) -> list[Repetition]:
    """Which of ``values`` (what is compared, and how it is shown) were there before."""
    found: list[Repetition] = []
    seen: dict[Hashable, int] = {}
    name = ".".join(place)
    for number, (value, shown) in enumerate(values):
        first = seen.setdefault(value, number)
        if first != number:
            part = "".join(f".{x}" for x in within)
            found.append(
                Repetition(
                    place=(*place, number, *within),
                    first=(*place, first, *within),
                    problem=f"{name}[{number}]{part}: {shown} appears twice",
                )
            )
    return found


def _digest(fingerprint: str) -> bytes:
    """The digest in ``SHA256:…``, whose last letter can be written in more than one way."""
    return base64.b64decode(fingerprint.removeprefix("SHA256:") + "=")
