"""What a profile's layers install: a pure function of the profile and the list of packages."""

from collections.abc import Mapping
from dataclasses import dataclass

from hardpan.profiles.hardware import Hardware
from hardpan.profiles.model import Profile
from hardpan.profiles.repositories import SiteRepository
from hardpan.profiles.software.fill import fill, values
from hardpan.profiles.software.load import catalogue
from hardpan.profiles.software.model import (
    Arch,
    Catalogue,
    ListedLayer,
    Package,
    Repository,
    Source,
    When,
)

LISTED: tuple[ListedLayer, ...] = ("nvidia_driver", "cuda", "amd_driver", "rocm", "containers")
"""The layers whose packages are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A repository as one profile uses it."""

    id: str
    """Its name in the list."""

    url: str | None
    """Its address; None where every site has its own and the profile says none."""

    more_urls: tuple[str, ...]
    """Further addresses of the same repository."""

    site: bool
    """True when the address is the site's."""

    key: str | None
    """Its armoured key, where the profile holds it."""

    key_url: str | None
    """Where its key is given out; None where the profile must hold it."""

    key_sha256: str | None
    """The key's digest; None where nobody has pinned it."""

    digest_of: str
    """What of the key was digested."""

    gpgcheck: bool
    """Whether dnf checks signatures."""

    source: Source
    """Where this was read."""

    note: str | None
    """What to know before using it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One package that a layer installs."""

    package: str
    """Its name."""

    version: str | None
    """Its one version; None where name or repository pin it, or nothing does."""

    stream: str | None
    """The module stream it comes from."""

    lock: str | None
    """What holds it at its version beside a stream: ``versionlock`` or None."""

    origin: Origin
    """The repository."""

    size_mib: int | None
    """Size of the download; None where it is not known."""

    licence: str
    """Whose terms it comes under."""

    eula: bool
    """True where the vendor wants the licence accepted."""

    source: Source
    """Where name and version were read."""

    note: str | None
    """What to know about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlan:
    """One layer and what it installs."""

    layer: str
    """Its name."""

    packages: tuple[Wanted, ...] | None
    """In the order of the list; None for a layer whose packages are not listed."""


def plan(
    profile: Profile, listed: Catalogue | None = None, *, arch: Arch = "x86_64"
) -> tuple[LayerPlan, ...]:
    """The profile's layers in order, each with its packages."""
    known = listed or catalogue()
    return tuple(
        LayerPlan(
            layer=layer,
            packages=_packages(profile, layer, known, arch) if layer in LISTED else None,
        )
        for layer in profile.layers
    )


def _packages(profile: Profile, layer: str, known: Catalogue, arch: Arch) -> tuple[Wanted, ...]:
    filled = values(profile.hardware)
    return tuple(
        _wanted(package, profile, known, filled, arch)
        for package in known.packages
        if package.layer == layer
        and profile.release in package.releases
        and _holds(package.when, profile.hardware, known)
    )


def _holds(when: When, hardware: Hardware, known: Catalogue) -> bool:
    nvidia, amd = hardware.nvidia, hardware.amd
    is_so: dict[str, object] = {"accelerator": hardware.accelerator}
    if nvidia:
        is_so |= nvidia.model_dump(include={"kernel_module", "module_signing", "nvswitch"})
    if amd:
        found = known.series_of(amd.rocm)
        is_so["series"] = found.series if found else None
    asked = when.model_dump(exclude_none=True)
    return all(is_so.get(name) == value for name, value in asked.items())


def _wanted(
    package: Package, profile: Profile, known: Catalogue, filled: Mapping[str, str], arch: Arch
) -> Wanted:
    release = profile.release
    by_release: Mapping[str, str] = {str(k): v for k, v in package.stream.items()}
    stream = by_release.get(release)
    words = dict(filled)
    return Wanted(
        package=fill(package.name, words),
        version=fill(package.version, words) if package.version else None,
        stream=fill(stream, words) if stream else None,
        lock="versionlock" if release in package.versionlock else None,
        origin=_origin(package.repository, profile, known, words, arch),
        size_mib=package.size_mib,
        licence=package.licence,
        eula=package.eula,
        source=known.sources[package.source],
        note=package.note,
    )


def _origin(
    name: str, profile: Profile, known: Catalogue, words: dict[str, str], arch: Arch
) -> Origin:
    found = _repository(name, profile.release, known, arch)
    ours = next((r for r in profile.repositories if r.id == name), SiteRepository(id=name))
    vendors = found.key
    pinned = vendors.sha256 if vendors else None
    return Origin(
        id=found.id,
        url=ours.url or (fill(found.url, words) if found.url else None),
        more_urls=ours.more_urls,
        site=ours.url is not None,
        key=ours.key,
        key_url=vendors.url if vendors and not ours.key else None,
        key_sha256=ours.key_sha256 or pinned,
        # The site digests the file as it lies there.
        digest_of=vendors.digest_of if vendors and not ours.key_sha256 else "file",
        gpgcheck=found.gpgcheck,
        source=known.sources[found.source],
        note=found.note,
    )


def _repository(name: str, release: str, known: Catalogue, arch: Arch) -> Repository:
    fits = [r for r in known.repositories if (r.id, r.release) == (name, release)]
    # One without an address is the same for every architecture.
    return next((r for r in fits if r.arch == arch), fits[0])
