"""A folder's wheels held against a lock file, both ways."""

from collections.abc import Iterator, Sequence

from hardpan.builder.wheels.lock import Lock, normalised
from hardpan.builder.wheels.model import Finding, Wheel


def compare(wheels: Sequence[Wheel], lock: Lock) -> Iterator[Finding]:
    """What is not locked, what differs from its lock, and what is locked but not there."""
    allowed = {(entry.name, digest) for entry in lock.entries for digest in entry.sha256s}
    there = {(_named(wheel.file)[0], wheel.sha256) for wheel in wheels}
    for wheel in wheels:
        name, version = _named(wheel.file)
        if (name, wheel.sha256) in allowed:
            continue
        same = any((e.name, _version(e.version)) == (name, version) for e in lock.entries)
        if same:
            yield Finding(
                kind="digest_differs",
                severity="high",
                wheel=wheel.file,
                what=f"sha256 {wheel.sha256} is none of those the lock allows for {name}",
            )
        else:
            yield Finding(
                kind="not_locked",
                severity="high",
                wheel=wheel.file,
                what=f"{name} {version} is not in the lock",
            )
    for entry in lock.entries:
        if not any((entry.name, digest) in there for digest in entry.sha256s):
            maybe = "; its marker may leave it out here" if entry.conditional else ""
            yield Finding(
                kind="not_there",
                severity="medium" if entry.conditional else "high",
                wheel=f"{entry.name}=={entry.version}",
                what=f"is locked, and no wheel with one of its digests is in the folder{maybe}",
            )


def _named(file: str) -> tuple[str, str]:
    name, _, rest = file.removesuffix(".whl").partition("-")
    return normalised(name), _version(rest.partition("-")[0])


def _version(text: str) -> str:
    """A version as file names and locks are compared: in file names ``_`` stands for ``-``."""
    return text.lower().replace("_", "-")
