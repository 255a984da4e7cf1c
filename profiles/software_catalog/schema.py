"""The typed list of repositories and packages, as ``packages.yaml`` is written.

Names, versions and addresses may hold placeholders in braces; ``PLACEHOLDERS``
names them and ``hardpan.profiles.software_catalog.placeholders`` knows what a profile puts there.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, Strict

from hardpan.profiles.schema.hardware import ProfileSection
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
        "a package name, never the one called cuda: it brings the newest driver along",
    ),
]
VersionPattern = Annotated[
    str, Pattern(r"[A-Za-z0-9_.:{}-]+", "a version or stream, {driver} and the like")
]


class FactSource(ProfileSection):
    """Where facts were read, when, and how far they can be trusted."""

    title: Text
    """Document or repository, with its commit where it has one."""

    as_of: Annotated[date, BeforeValidator(parse_date, json_schema_input_type=DayText)]
    """The day the facts held, e.g. 2026-08-17."""

    verified: Verified
    """``yes``: in the vendor's own words; nothing here was compared with a live repository."""


class RepositoryKey(ProfileSection):
    """The key that a repository's packages are signed with."""

    url: HttpsUrl
    """Where the vendor gives it out."""

    sha256: Sha256Digest | None = None
    """Its digest; none means that nobody has pinned it yet."""

    digest_of: Literal["file", "file_without_version_lines"] = "file"
    """What was digested: NVIDIA's own check drops the lines that begin with ``Version``."""


class CatalogRepository(ProfileSection):
    """One dnf repository, for one release and one architecture."""

    id: CatalogId
    """Its name in ``packages``; the same for all releases and architectures."""

    release: ElRelease
    arch: Arch = "x86_64"

    url: HttpsUrl | None = None
    """Its address; none for a repository that every site has at an address of its own."""

    key: RepositoryKey | None = None
    """None where the distribution or the site brings the key."""

    gpgcheck: Annotated[bool, Strict()]
    """Whether dnf checks the packages' signatures; the STIG takes nothing but true."""

    source: CatalogId
    """Which of ``sources`` says so."""

    note: Text | None = None
    """What a person should know before using it."""


class Condition(ProfileSection):
    """What a profile must say for a package to be asked for; all that is set must hold."""

    accelerator: Literal["nvidia", "amd"] | None = None
    kernel_module: Literal["open", "proprietary"] | None = None
    module_signing: Literal["site_key", "secure_boot_off"] | None = None
    nvswitch: Annotated[bool, Strict()] | None = None
    series: SeriesName | None = None


class CatalogPackage(ProfileSection):
    """One package that a layer may ask for."""

    name: PackagePattern
    """Its name; a ``*`` at the end stands for the kernel it was built for."""

    layer: CatalogLayer
    repository: CatalogId
    releases: tuple[ElRelease, ...] = EL_RELEASES

    when: Condition = Condition()
    """In which profiles; in all of them when nothing is said."""

    version: VersionPattern | None = None
    """The one version that is installed; none where the name or the address pins it."""

    stream: dict[ElRelease, VersionPattern] = Field(default_factory=dict)
    """The module stream it comes from, for releases that have modules."""

    versionlock: tuple[ElRelease, ...] = ()
    """Releases on which dnf's versionlock holds it."""

    size_mib: Annotated[int, Strict()] | None = None
    """Size of the download; none where it is not known."""

    licence: Text
    """Whose terms it comes under."""

    eula: Annotated[bool, Strict()] = False
    """True where the vendor wants its licence accepted."""

    source: CatalogId
    note: Text | None = None


class NvidiaBranch(ProfileSection):
    """A driver branch of NVIDIA and the releases it has packages for."""

    branch: Version
    releases: tuple[ElRelease, ...]
    source: CatalogId


class RocmSeries(ProfileSection):
    """A run of ROCm releases that share names and repository."""

    series: SeriesName
    first: Version
    """The first release, as major.minor."""

    last: Version
    """The last release that is listed, as major.minor."""

    releases: tuple[ElRelease, ...]
    """For which systems there are packages."""

    gfx_targets: tuple[GfxTarget, ...]
    """For which chips there are packages."""

    source: CatalogId


class PackageCatalog(ProfileSection):
    """All that the layers may ask for."""

    sources: dict[CatalogId, FactSource]
    nvidia_branches: tuple[NvidiaBranch, ...]
    rocm_series: tuple[RocmSeries, ...]
    repositories: tuple[CatalogRepository, ...]
    packages: tuple[CatalogPackage, ...]

    def series_of(self, rocm: str) -> RocmSeries | None:
        """The run of releases that ``rocm`` belongs to, or None where it is not listed."""
        requested = major_minor(rocm)
        return next(
            (
                x
                for x in self.rocm_series
                if major_minor(x.first) <= requested <= major_minor(x.last)
            ),
            None,
        )
