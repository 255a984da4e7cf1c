"""Schema of the software catalog ``packages.yaml``.

Names, versions and URLs may contain placeholders in braces; ``PLACEHOLDERS`` lists them and
``hardpan.profiles.software_catalog.placeholders`` replaces them.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, Strict

from hardpan.profiles.schema.hardware import ModuleSigning, ProfileSection
from hardpan.profiles.schema.types import (
    CatalogId,
    DayText,
    GfxTarget,
    Pattern,
    Sha256Digest,
    Text,
    Version,
    parse_date,
)
from hardpan.profiles.schema.versions import major_minor

ElRelease = Literal["rocky9", "rocky10"]
Arch = Literal["x86_64", "aarch64"]
Verified = Literal["yes", "second_hand", "from_memory"]
CatalogLayer = Literal["nvidia_driver", "cuda", "amd_driver", "rocm", "containers"]
Purpose = Literal["run", "build", "precompiled"]
SeriesName = Literal["classic", "therock", "core"]

EL_RELEASES: tuple[ElRelease, ...] = ("rocky9", "rocky10")
PLACEHOLDERS = (
    "amdgpu",
    "branch",
    "cuda_dash",
    "cuda_major",
    "driver",
    "flavour",
    "gfx",
    "rocm",
    "rocm_series",
)

HttpsUrl = Annotated[
    str,
    Pattern(
        r"https://[a-z0-9][a-z0-9.-]*/[A-Za-z0-9_./{}+-]*",
        "an https address without user, port, query or fragment",
    ),
]
PackagePattern = Annotated[
    str,
    Pattern(
        r"(?!cuda$)[A-Za-z0-9{][A-Za-z0-9_.+{}-]*\*?",
        "a package name other than cuda, which depends on the newest driver",
    ),
]
KeyFile = Annotated[
    str, Pattern(r"/etc/pki/rpm-gpg/[A-Za-z0-9_.-]+", "a file below /etc/pki/rpm-gpg")
]
VersionPattern = Annotated[
    str, Pattern(r"[A-Za-z0-9_.:{}-]+", "a version or stream, {driver} and the like")
]


class FactSource(ProfileSection):
    """A source of facts: document, date and reliability."""

    title: Text
    """Document or repository, with its commit if it has one."""

    as_of: Annotated[date, BeforeValidator(parse_date, json_schema_input_type=DayText)]
    """Date of the facts, e.g. 2026-08-17."""

    verified: Verified
    """``yes``: documented by the vendor; nothing was compared with a live repository."""


class RepositoryKey(ProfileSection):
    """Package signing key of a repository."""

    url: HttpsUrl
    """Vendor's URL of the key."""

    sha256: Sha256Digest | None = None
    """SHA-256; None if it is not pinned yet."""

    digest_of: Literal["file", "file_without_version_lines"] = "file"
    """Digested bytes: NVIDIA's check ignores lines that begin with ``Version``."""

    installed_as: KeyFile | None = None
    """File of the key on the installed system, from the distribution's own package."""


class CatalogRepository(ProfileSection):
    """A dnf repository of one release and architecture."""

    id: CatalogId
    """Name in ``packages``; the same for all releases and architectures."""

    release: ElRelease
    arch: Arch = "x86_64"

    url: HttpsUrl | None = None
    """URL; None if each site has its own."""

    key: RepositoryKey | None = None
    """None if the site provides the key."""

    on_media: Annotated[bool, Strict()] = False
    """Whether it is on the install media, which a build attaches to its guest."""

    build_only: Annotated[bool, Strict()] = False
    """Whether only the build uses it: neither the repository nor its key stays in an image."""

    gpgcheck: Annotated[bool, Strict()]
    """Whether dnf checks package signatures; the STIG requires true."""

    source: CatalogId
    """Key in ``sources``."""

    note: Text | None = None
    """Note for users."""


class Condition(ProfileSection):
    """Conditions on the profile under which a package is installed; all must match."""

    accelerator: Literal["nvidia", "amd"] | None = None
    kernel_module: Literal["open", "proprietary"] | None = None
    module_signing: tuple[ModuleSigning, ...] | None = None
    """Any of them."""

    nvswitch: Annotated[bool, Strict()] | None = None
    series: SeriesName | None = None


class CatalogPackage(ProfileSection):
    """A package that a layer can install."""

    name: PackagePattern
    """Name; a final ``*`` stands for the kernel version that it was built for."""

    layer: CatalogLayer
    repository: CatalogId
    releases: tuple[ElRelease, ...] = EL_RELEASES

    condition: Condition = Condition()
    """In which profiles it is installed; by default in all."""

    version: VersionPattern | None = None
    """Installed version; None if name or URL pin it."""

    stream: dict[ElRelease, VersionPattern] = Field(default_factory=dict)
    """Module stream, for releases with modules."""

    versionlock: tuple[ElRelease, ...] = ()
    """Releases on which dnf's versionlock pins it."""

    size_mib: Annotated[int, Strict()] | None = None
    """Download size in MiB; None if unknown."""

    licence: Text
    """Licence."""

    purpose: Purpose = "run"
    """``build``: installed while kernel modules are built, then removed; ``precompiled``: used
    instead of building them, if the repository has it for the kernel."""

    eula: Annotated[bool, Strict()] = False
    """Whether the licence requires acceptance."""

    source: CatalogId
    note: Text | None = None


class NvidiaBranch(ProfileSection):
    """An NVIDIA driver branch and the releases it has packages for."""

    branch: Version
    releases: tuple[ElRelease, ...]
    source: CatalogId


class RocmSeries(ProfileSection):
    """A series of ROCm releases with the same package names and repository."""

    series: SeriesName
    first: Version
    """First release, as major.minor."""

    last: Version
    """Last listed release, as major.minor."""

    releases: tuple[ElRelease, ...]
    """Distribution releases with packages."""

    gfx_targets: tuple[GfxTarget, ...]
    """GPU targets with packages."""

    source: CatalogId


class PackageCatalog(ProfileSection):
    """The software catalog."""

    sources: dict[CatalogId, FactSource]
    nvidia_branches: tuple[NvidiaBranch, ...]
    rocm_series: tuple[RocmSeries, ...]
    repositories: tuple[CatalogRepository, ...]
    packages: tuple[CatalogPackage, ...]

    def series_of(self, rocm: str) -> RocmSeries | None:
        """Return the series of a ROCm release, or None if it is not listed."""
        requested = major_minor(rocm)
        return next(
            (
                x
                for x in self.rocm_series
                if major_minor(x.first) <= requested <= major_minor(x.last)
            ),
            None,
        )
