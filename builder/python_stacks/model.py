"""Inputs and outputs of a stack build: frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hardpan.builder.wheel_audit.lock import LockFile
from hardpan.core.files import Sha256
from hardpan.profiles.schema.frameworks import GLIBC, Stack
from hardpan.profiles.schema.versions import parse_version

SOURCE_DATE_EPOCH = 1_767_225_600
"""Timestamp of every file and package of a stack: 2026-01-01 00:00 UTC."""

_MIN_GLIBC_MINOR = 5
_LEGACY_PLATFORMS = ("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedStack:
    """One stack for one release, with its lock."""

    stack: Stack
    """The profile's section."""

    release: str
    """The distribution it is for."""

    lock: LockFile
    """The files that may be installed."""

    build_tools: Mapping[str, LockFile] = field(default_factory=dict)
    """Locks of the build tools of each source package, by its name in the profile."""

    @property
    def glibc(self) -> str:
        """The newest C library version that a wheel may require."""
        return self.stack.glibc or GLIBC[self.release]

    @property
    def source_packages(self) -> frozenset[str]:
        """Normalised names of what may be built here."""
        return frozenset(source.name.lower().replace("_", "-") for source in self.stack.sources)

    def pip_target_arguments(self) -> list[str]:
        """Return the pip options that select wheels for the target host, not for this machine.

        pip knows a platform by its own name alone, so each older one is named as well.
        """
        newest = parse_version(self.glibc)[1]
        platforms = [f"manylinux_2_{n}_x86_64" for n in range(newest, _MIN_GLIBC_MINOR - 1, -1)]
        platforms += [*_LEGACY_PLATFORMS, "linux_x86_64"]
        arguments = ["--implementation", "cp", "--python-version", self.stack.python]
        arguments += ["--only-binary", ":all:"]
        return [*arguments, *(argument for p in platforms for argument in ("--platform", p))]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackWheels:
    """The wheels of a stack, each verified by its lock."""

    folder: Path
    """One wheel per locked package, and nothing else."""

    source_digests: dict[str, Sha256]
    """Normalised name of a package that was built here -> its source's digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackTree:
    """A virtual environment below a folder that represents ``/``."""

    root: Path
    """The folder that represents ``/``."""

    has_bytecode: bool
    """True when every module was compiled, so nothing is written on the host."""
