"""The profiles that come with hardpan."""

from pathlib import Path

from hardpan.core.resources import resource_path

PROFILES_DIR = resource_path("hardpan.profiles")


def shipped_profiles() -> tuple[str, ...]:
    """Names of the shipped profiles, sorted; files with a leading ``_`` are only extended."""
    return tuple(sorted(p.stem for p in PROFILES_DIR.glob("*.yaml") if not p.name.startswith("_")))


def find_shipped_profile(name: str) -> Path | None:
    """The file of the shipped profile ``name``, or None."""
    return PROFILES_DIR / f"{name}.yaml" if name in shipped_profiles() else None
