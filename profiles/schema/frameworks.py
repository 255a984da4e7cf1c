"""Profile section ``frameworks``: the Python stacks of an AI host and how they are built.

A stack is a virtual environment on the distribution's own Python, built from locked wheels and
packaged as one RPM. There is no bundled interpreter, whose OpenSSL would bypass FIPS mode, and
every file is in the rpm database, which fapolicyd trusts.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.types import PackageName, Pattern, StrictBool, Text, Version

STACKS_DIR = "opt/ai/stacks"
"""Folder of the stacks on the host, relative to ``/``."""

PYTHONS = {"rocky9": ("3.11", "3.12"), "rocky10": ("3.12",), "lab9": ("3.13",), "lab10": ("3.13",)}
"""Release -> Python versions that it packages and that the frameworks support."""

GLIBC = {"rocky9": "2.34", "rocky10": "2.39", "lab9": "2.41", "lab10": "2.41"}
"""Release -> glibc version, the newest that a wheel may require."""

_PYTHON_RPMS = {("rocky9", "3.11"): "python3.11", ("rocky9", "3.12"): "python3.12"}
"""Package names of Python versions other than the release's python3."""

AS_OF = "2026-11-21"
"""Date of the tables above; Rocky's rows come from notes, not from a running host."""


def _require_plain_path(path: str) -> str:
    if ".." in path.split("/")[1:] or "//" in path:
        raise PydanticCustomError("hardpan", "{expected}", {"expected": "expected a plain path"})
    return path


StackName = Annotated[
    str, Pattern(r"[a-z][a-z0-9]{0,30}(?:-[a-z0-9]{1,30}){0,3}", "a name as serving or vllm-cu130")
]
PythonName = Annotated[
    str, Pattern(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?", "a Python package's name")
]
PackageRequirement = Annotated[
    str,
    Pattern(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,98}(?:\[[a-z0-9,_-]{1,60}\])?"
        r"(?:(?:==|>=|~=)[0-9][A-Za-z0-9.+!]{0,30})?",
        "a Python package as vllm==0.33.0 or llama-cpp-python[server]",
    ),
]
CmakeDefinition = Annotated[
    str,
    Pattern(r"[A-Z][A-Z0-9_]{1,60}=[A-Za-z0-9._-]{1,60}", "a CMake definition as GGML_NATIVE=OFF"),
]
TorchBackend = Annotated[
    str,
    Pattern(r"cpu|cu[0-9]{3}|rocm[0-9]{1,2}\.[0-9]", "cpu, cu130 or rocm7.1, as PyTorch calls it"),
]
_PATH = r"\.{0,2}/[A-Za-z0-9_.][A-Za-z0-9_./+-]{0,250}"
LockFile = Annotated[
    str,
    Pattern(
        rf"[a-z][a-z0-9-]{{0,60}}|{_PATH}", "a lock's name as ai-serving, or a path as ./x.lock"
    ),
    AfterValidator(_require_plain_path),
]
FolderPath = Annotated[
    str,
    Pattern(_PATH, "a folder as /srv/wheels or ./wheels"),
    AfterValidator(_require_plain_path),
]


class FromSource(ProfileSection):
    """A package without a wheel, built once on the build host."""

    name: PythonName
    """Name in the lock file, which pins the source's digest."""

    cmake: tuple[CmakeDefinition, ...] = ()
    """CMake definitions, e.g. ``GGML_NATIVE=OFF`` for a result that runs on older processors."""

    build_lock: LockFile = "build-tools"
    """Lock file with hashes of the build requirements; a name or path as for ``Stack.lock``."""


class Stack(ProfileSection):
    """One virtual environment, one RPM called ``hardpan-ai-NAME``."""

    name: StackName
    """Folder name below ``/opt/ai/stacks``."""

    packages: tuple[PackageRequirement, ...] = Field(min_length=1)
    """Requirements that the lock file was resolved from; the lock file is what is installed."""

    lock: LockFile | None = None
    """Lock file with hashes: the name of one in ``builder/python_stacks/locks/``, or a path.

    A path that begins with ``./`` or ``../`` is relative to the profile. Without a lock nothing
    is built."""

    torch_backend: TorchBackend | None = None
    """Build of PyTorch that the lock file must contain, if not the default one."""

    python: Version
    """Version of the distribution's Python, e.g. ``'3.12'``."""

    glibc: Version | None = None
    """Newest glibc that a wheel may require; by default the release's."""

    system_site_packages: StrictBool = False
    """Makes the distribution's Python packages visible to the stack."""

    system_site_reason: Text | None = None
    """Reason; required with ``system_site_packages: true``."""

    sources: tuple[FromSource, ...] = ()
    """Packages that are built from source; all others must be wheels."""

    wheelhouse: FolderPath | None = None
    """Folder with every locked file; without it the files are downloaded."""

    requires: tuple[PackageName, ...] = ()
    """RPMs of the distribution that it requires, in addition to Python."""

    @property
    def interpreter(self) -> str:
        """Path of the stack's Python on the host."""
        return f"/{STACKS_DIR}/{self.name}/bin/python3"

    @property
    def has_torch(self) -> bool:
        """Whether ``packages`` lists PyTorch."""
        return self.requests_package("torch")

    def requests_package(self, name: str) -> bool:
        """Return whether ``packages`` lists ``name``."""
        return any(
            re.split(r"[\[=<>~]", requirement)[0].lower() == name for requirement in self.packages
        )


class Frameworks(ProfileSection):
    """The stacks of the layer ``ml_frameworks``."""

    stacks: tuple[Stack, ...] = Field(min_length=1)
    """Stacks, in build order."""


def required_packages(frameworks: Frameworks | None, release: str) -> tuple[str, ...]:
    """Return the distribution packages that the stacks require."""
    stacks = frameworks.stacks if frameworks else ()
    pythons = (_PYTHON_RPMS.get((release, stack.python), "python3") for stack in stacks)
    return tuple(dict.fromkeys((*pythons, *(name for s in stacks for name in s.requires))))


def cuda_version(backend: str | None) -> str | None:
    """Return the CUDA version of a PyTorch build: ``13.0`` for ``cu130``; None for other builds."""
    digits = (backend or "").removeprefix("cu")
    return f"{digits[:-1]}.{digits[-1]}" if digits.isdecimal() else None
