"""What a profile's layers install: a pure function of the profile and the list of packages."""

from collections.abc import Mapping
from dataclasses import dataclass

from hardpan.profiles.schema.hardware import Hardware
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.repositories import SiteRepository
from hardpan.profiles.software_catalog.catalog_file import package_catalog
from hardpan.profiles.software_catalog.placeholders import fill_placeholders, placeholder_values
from hardpan.profiles.software_catalog.schema import (
    Arch,
    CatalogLayer,
    CatalogPackage,
    CatalogRepository,
    Condition,
    FactSource,
    PackageCatalog,
)

CATALOG_LAYERS: tuple[CatalogLayer, ...] = (
    "nvidia_driver",
    "cuda",
    "amd_driver",
    "rocm",
    "containers",
)
"""The layers whose packages are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySource:
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

    source: FactSource
    """Where this was read."""

    note: str | None
    """What to know before using it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSpec:
    """One package that a layer installs."""

    package: str
    """Its name."""

    version: str | None
    """Its one version; None where name or repository pin it, or nothing does."""

    stream: str | None
    """The module stream it comes from."""

    lock: str | None
    """What holds it at its version beside a stream: ``versionlock`` or None."""

    repository: RepositorySource
    """The repository."""

    size_mib: int | None
    """Size of the download; None where it is not known."""

    licence: str
    """Whose terms it comes under."""

    eula: bool
    """True where the vendor wants the licence accepted."""

    source: FactSource
    """Where name and version were read."""

    note: str | None
    """What to know about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlan:
    """One layer and what it installs."""

    layer: str
    """Its name."""

    packages: tuple[PackageSpec, ...] | None
    """In the order of the list; None for a layer whose packages are not listed."""


def plan_packages(
    profile: Profile, catalog: PackageCatalog | None = None, *, arch: Arch = "x86_64"
) -> tuple[LayerPlan, ...]:
    """The profile's layers in order, each with its packages."""
    used_catalog = catalog or package_catalog()
    return tuple(
        LayerPlan(
            layer=layer,
            packages=_layer_packages(profile, layer, used_catalog, arch)
            if layer in CATALOG_LAYERS
            else None,
        )
        for layer in profile.layers
    )


def _layer_packages(
    profile: Profile, layer: str, catalog: PackageCatalog, arch: Arch
) -> tuple[PackageSpec, ...]:
    values = placeholder_values(profile.hardware)
    return tuple(
        _package_spec(package, profile, catalog, values, arch)
        for package in catalog.packages
        if package.layer == layer
        and profile.release in package.releases
        and _matches(package.when, profile.hardware, catalog)
    )


def _matches(condition: Condition, hardware: Hardware, catalog: PackageCatalog) -> bool:
    nvidia, amd = hardware.nvidia, hardware.amd
    facts: dict[str, object] = {"accelerator": hardware.accelerator}
    if nvidia:
        facts |= nvidia.model_dump(include={"kernel_module", "module_signing", "nvswitch"})
    if amd:
        series = catalog.series_of(amd.rocm)
        facts["series"] = series.series if series else None
    required = condition.model_dump(exclude_none=True)
    return all(facts.get(name) == value for name, value in required.items())


def _package_spec(
    package: CatalogPackage,
    profile: Profile,
    catalog: PackageCatalog,
    values: Mapping[str, str],
    arch: Arch,
) -> PackageSpec:
    release = profile.release
    streams: Mapping[str, str] = {str(k): v for k, v in package.stream.items()}
    stream = streams.get(release)
    texts = dict(values)
    return PackageSpec(
        package=fill_placeholders(package.name, texts),
        version=fill_placeholders(package.version, texts) if package.version else None,
        stream=fill_placeholders(stream, texts) if stream else None,
        lock="versionlock" if release in package.versionlock else None,
        repository=_repository_source(package.repository, profile, catalog, texts, arch),
        size_mib=package.size_mib,
        licence=package.licence,
        eula=package.eula,
        source=catalog.sources[package.source],
        note=package.note,
    )


def _repository_source(
    name: str, profile: Profile, catalog: PackageCatalog, texts: dict[str, str], arch: Arch
) -> RepositorySource:
    repository = _find_repository(name, profile.release, catalog, arch)
    site_repository = next(
        (r for r in profile.repositories if r.id == name), SiteRepository(id=name)
    )
    vendor_key = repository.key
    vendor_sha256 = vendor_key.sha256 if vendor_key else None
    return RepositorySource(
        id=repository.id,
        url=site_repository.url
        or (fill_placeholders(repository.url, texts) if repository.url else None),
        more_urls=site_repository.more_urls,
        site=site_repository.url is not None,
        key=site_repository.key,
        key_url=vendor_key.url if vendor_key and not site_repository.key else None,
        key_sha256=site_repository.key_sha256 or vendor_sha256,
        # The site digests the file as it lies there.
        digest_of=vendor_key.digest_of if vendor_key and not site_repository.key_sha256 else "file",
        gpgcheck=repository.gpgcheck,
        source=catalog.sources[repository.source],
        note=repository.note,
    )


def _find_repository(
    name: str, release: str, catalog: PackageCatalog, arch: Arch
) -> CatalogRepository:
    matches = [r for r in catalog.repositories if (r.id, r.release) == (name, release)]
    # One without an address is the same for every architecture.
    return next((r for r in matches if r.arch == arch), matches[0])
