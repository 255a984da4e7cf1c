"""The profiles that come with hardpan."""

from pathlib import Path

from hardpan.resources import resource_path

HERE = resource_path("hardpan.profiles")


def shipped() -> tuple[str, ...]:
    """Names of the shipped profiles, sorted; files with a leading ``_`` are only extended."""
    return tuple(sorted(p.stem for p in HERE.glob("*.yaml") if not p.name.startswith("_")))


def path(name: str) -> Path | None:
    """The file of the shipped profile ``name``, or None."""
    return HERE / f"{name}.yaml" if name in shipped() else None
