"""The profiles that are shipped with hardpan."""

from pathlib import Path

from hardpan.core.resources import resource_path

PROFILES_DIR = resource_path("hardpan.profiles")


def shipped_profiles() -> tuple[str, ...]:
    """Return the sorted names of the shipped profiles; files named ``_*`` are parents only."""
    return tuple(sorted(p.stem for p in PROFILES_DIR.glob("*.yaml") if not p.name.startswith("_")))


def find_shipped_profile(name: str) -> Path | None:
    """Return the file of the shipped profile ``name``, or None."""
    return PROFILES_DIR / f"{name}.yaml" if name in shipped_profiles() else None
