"""The Python stacks of an AI host: what each one holds, and how it may be put together.

A stack is a virtual environment on the distribution's own Python, made of locked wheels and
packed as one RPM: no managed interpreter (it would bring an OpenSSL of its own past FIPS mode),
and every file known to the rpm database, which is what fapolicyd trusts.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.types import PackageName, Pattern, StrictBool, Text, Version

STACKS_DIR = "opt/ai/stacks"
"""Where stacks live on the host, relative to ``/``."""

PYTHONS = {"rocky9": ("3.11", "3.12"), "rocky10": ("3.12",), "lab9": ("3.13",)}
"""Release -> the Pythons that it packages and that today's frameworks run on."""

GLIBC = {"rocky9": "2.34", "rocky10": "2.39", "lab9": "2.41"}
"""Release -> its C library, the newest that a wheel may ask for."""

_PYTHON_RPMS = {("rocky9", "3.11"): "python3.11", ("rocky9", "3.12"): "python3.12"}
"""Where Python is not the release's own python3."""

AS_OF = "2026-11-21"
"""When the tables were last looked at; Rocky's rows come from field notes, not a live host."""


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
    """A package that has no wheel and is built once on the build machine."""

    name: PythonName
    """Its name in the lock; the source's digest is the lock's."""

    cmake: tuple[CmakeDefinition, ...] = ()
    """What CMake is told, e.g. ``GGML_NATIVE=OFF`` so that the result runs on older processors."""

    build_lock: LockFile = "build-tools"
    """Lock file with hashes of the packages that build it, named as a stack's lock is."""


class Stack(ProfileSection):
    """One virtual environment, one RPM called ``hardpan-ai-NAME``."""

    name: StackName
    """Its folder below ``/opt/ai/stacks``."""

    packages: tuple[PackageRequirement, ...] = Field(min_length=1)
    """What the lock is made from; the lock itself decides what is installed."""

    lock: LockFile | None = None
    """Lock file with hashes: the name of one in ``builder/python_stacks/locks/``, or a path.

    A path that begins with ``./`` or ``../`` is relative to the profile. Without a lock nothing
    is built."""

    torch_backend: TorchBackend | None = None
    """Which build of PyTorch the lock has to name, where it is not the one everybody gets."""

    python: Version
    """The distribution's Python that runs it, e.g. ``'3.12'``."""

    glibc: Version | None = None
    """The newest C library that a wheel may ask for; the release's own where it is left out."""

    system_site_packages: StrictBool = False
    """True lets the stack see the distribution's Python packages."""

    system_site_reason: Text | None = None
    """Why; required with ``system_site_packages: true``."""

    sources: tuple[FromSource, ...] = ()
    """The only packages that may be built from source; all others have to be wheels."""

    wheelhouse: FolderPath | None = None
    """Folder that holds every locked file; nothing is downloaded then."""

    requires: tuple[PackageName, ...] = ()
    """RPMs of the distribution that it needs, beside Python."""

    @property
    def interpreter(self) -> str:
        """Its Python on the host."""
        return f"/{STACKS_DIR}/{self.name}/bin/python3"

    @property
    def has_torch(self) -> bool:
        """True where PyTorch is asked for by name."""
        return self.requests_package("torch")

    def requests_package(self, name: str) -> bool:
        """True where the package ``name`` is asked for by name."""
        return any(
            re.split(r"[\[=<>~]", requirement)[0].lower() == name for requirement in self.packages
        )


class Frameworks(ProfileSection):
    """The stacks of the layer ``ml_frameworks``."""

    stacks: tuple[Stack, ...] = Field(min_length=1)
    """In the order they are built."""


def required_packages(frameworks: Frameworks | None, release: str) -> tuple[str, ...]:
    """The distribution's packages that the stacks need."""
    stacks = frameworks.stacks if frameworks else ()
    pythons = (_PYTHON_RPMS.get((release, stack.python), "python3") for stack in stacks)
    return tuple(dict.fromkeys((*pythons, *(name for s in stacks for name in s.requires))))


def cuda_version(backend: str | None) -> str | None:
    """The CUDA that a build of PyTorch is for: ``13.0`` of ``cu130``; None for all others."""
    digits = (backend or "").removeprefix("cu")
    return f"{digits[:-1]}.{digits[-1]}" if digits.isdecimal() else None
