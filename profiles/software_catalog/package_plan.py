"""Package plan of a profile: the packages of its layers, a pure function of the catalog."""

from collections.abc import Mapping
from dataclasses import dataclass

from hardpan.profiles.schema.hardware import Hardware
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.repositories import SiteRepository
from hardpan.profiles.software_catalog.catalog_file import package_catalog
from hardpan.profiles.software_catalog.placeholders import fill_placeholders, placeholder_values
from hardpan.profiles.software_catalog.schema import (
    EL_RELEASES,
    Arch,
    CatalogLayer,
    CatalogPackage,
    CatalogRepository,
    Condition,
    FactSource,
    PackageCatalog,
    Purpose,
)

CATALOG_LAYERS: tuple[CatalogLayer, ...] = (
    "nvidia_driver",
    "cuda",
    "amd_driver",
    "rocm",
    "containers",
)
"""Layers whose packages are in the catalog."""

DISTRIBUTION_REPOSITORY = "rocky"
"""Repository of the distribution's packages, on which packages of vendors depend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySource:
    """A repository with the settings of a profile."""

    id: str
    """Catalog id."""

    url: str | None
    """URL; None if each site has its own and the profile sets none."""

    more_urls: tuple[str, ...]
    """Further URLs of the same repository."""

    site: bool
    """Whether the URL is the site's."""

    on_media: bool
    """Whether it is on the install media: the profile sets no URL of its own."""

    build_only: bool
    """Whether neither the repository nor its key stays in an image."""

    key: str | None
    """Armoured key, if it is in the profile."""

    key_url: str | None
    """URL of the key; None if it must be in the profile."""

    key_file: str | None
    """File of the key on the installed system; None if the build copies the key there."""

    key_sha256: str | None
    """SHA-256 of the key; None if it is not pinned."""

    digest_of: str
    """Which bytes of the key file were digested."""

    gpgcheck: bool
    """Whether dnf checks signatures."""

    source: FactSource
    """Source of these facts."""

    note: str | None
    """Note for users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSpec:
    """A package of a layer."""

    package: str
    """Name."""

    version: str | None
    """Pinned version; None if name or repository pin it, or nothing does."""

    stream: str | None
    """Module stream."""

    lock: str | None
    """``versionlock`` if dnf's versionlock pins it, otherwise None."""

    repository: RepositorySource
    """Repository."""

    size_mib: int | None
    """Download size in MiB; None if unknown."""

    purpose: Purpose
    """Whether the image has it, only its build, or the image instead of built modules."""

    licence: str
    """Licence."""

    eula: bool
    """Whether the licence requires acceptance."""

    source: FactSource
    """Source of name and version."""

    note: str | None
    """Note for users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlan:
    """A layer and its packages."""

    layer: str
    """Name."""

    packages: tuple[PackageSpec, ...] | None
    """In catalog order; None if the layer's packages are not in the catalog."""


def plan_packages(
    profile: Profile, catalog: PackageCatalog | None = None, *, arch: Arch = "x86_64"
) -> tuple[LayerPlan, ...]:
    """Return the profile's layers in order, each with its packages."""
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
        and _matches(package.condition, profile.hardware, catalog)
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
    return all(
        facts.get(name) in (value if isinstance(value, tuple) else (value,))
        for name, value in required.items()
    )


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
        purpose=package.purpose,
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
    is_on_media = repository.on_media and site_repository.url is None
    return RepositorySource(
        id=repository.id,
        url=site_repository.url
        or (fill_placeholders(repository.url, texts) if repository.url else None),
        more_urls=site_repository.more_urls,
        site=site_repository.url is not None,
        on_media=is_on_media,
        build_only=repository.build_only or is_on_media,
        key=site_repository.key,
        key_url=vendor_key.url if vendor_key and not site_repository.key else None,
        key_file=vendor_key.installed_as if vendor_key and is_on_media else None,
        key_sha256=site_repository.key_sha256 or vendor_sha256,
        # The site digests the file as it is stored.
        digest_of=vendor_key.digest_of if vendor_key and not site_repository.key_sha256 else "file",
        gpgcheck=repository.gpgcheck,
        source=catalog.sources[repository.source],
        note=repository.note,
    )


def distribution_repository(profile: Profile) -> RepositorySource | None:
    """Return the repository of the distribution's packages; None for a release without one."""
    catalog = package_catalog()
    if profile.release not in EL_RELEASES:
        return None
    texts = placeholder_values(profile.hardware)
    return _repository_source(DISTRIBUTION_REPOSITORY, profile, catalog, texts, "x86_64")


def _find_repository(
    name: str, release: str, catalog: PackageCatalog, arch: Arch
) -> CatalogRepository:
    matches = [r for r in catalog.repositories if (r.id, r.release) == (name, release)]
    # A repository without a URL is the same for every architecture.
    return next((r for r in matches if r.arch == arch), matches[0])
