"""Checks that a dnf repository has the packages of the software catalog."""

import re
from dataclasses import dataclass
from typing import Literal

from hardpan.builder.dnf.repodata import RepositoryIndex, Rpm
from hardpan.core.errors import InputError, UsageError
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.software_catalog.catalog_file import package_catalog
from hardpan.profiles.software_catalog.package_plan import plan_packages
from hardpan.profiles.software_catalog.placeholders import to_pattern
from hardpan.profiles.software_catalog.schema import CatalogRepository

PackageState = Literal["available", "other_version", "missing"]

_MAX_LISTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedPackage:
    """A package that the repository must have."""

    name: str
    """Name in the catalog or, with a profile, in its package plan."""

    pattern: re.Pattern[str]
    """Pattern that its name in the repository must match."""

    version: str | None
    """Required version; None accepts any."""

    verified: str
    """How well the catalog's source documents the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOutcome:
    """Result of the check for one expected package."""

    expected: ExpectedPackage
    state: PackageState
    """``available``, ``missing``, or ``other_version``: available in another version only."""

    names: tuple[str, ...]
    """Matching names in the repository."""

    versions: tuple[str, ...]
    """Last matching versions, in the repository's order."""

    size_bytes: int
    """Size of the file that would be installed; 0 if missing."""

    installed_bytes: int
    """Installed size; 0 if missing."""


def identify_repository(repo: str, *, repository_id: str, release: str) -> CatalogRepository:
    """Find the catalog entry of ``repo``, by its vendor's address or by ``repository_id``.

    Raises:
        UsageError: the entry is ambiguous without an id or a release.
        InputError: the catalog has no such repository for that release.
    """
    repositories = package_catalog().repositories
    address = repo.rstrip("/") + "/"
    matches = [r for r in repositories if r.url and to_pattern(r.url).fullmatch(address)]
    if repository_id:
        with_id = [r for r in repositories if r.id == repository_id]
        matches = [r for r in matches if r in with_id] or with_id
        if not matches:
            raise InputError(
                f"--id {repository_id}: not in the catalog", hint=f"known: {_ids(repositories)}"
            )
    if not matches:
        raise UsageError(
            f"{repo}: not the address of a vendor's repository",
            hint=f"give --id: {_ids(repositories)}",
        )
    matched_id = matches[0].id
    if release:
        matches = [r for r in matches if r.release == release]
    if not matches:
        raise InputError(f"{matched_id}: the catalog has none for {release}")
    if len({r.release for r in matches}) > 1:
        raise UsageError(
            f"{matched_id}: one repository per release", hint="give --release or --profile"
        )
    return matches[0]


def expected_from_catalog(repository: CatalogRepository) -> tuple[ExpectedPackage, ...]:
    """List the catalog's packages of ``repository``; placeholders match any value."""
    catalog = package_catalog()
    entries = {
        package.name: package
        for package in catalog.packages
        if package.repository == repository.id and repository.release in package.releases
    }
    return tuple(
        ExpectedPackage(
            name=name,
            pattern=to_pattern(name),
            version=None,
            verified=catalog.sources[package.source].verified,
        )
        for name, package in entries.items()
    )


def expected_from_profile(
    repository: CatalogRepository, profile: Profile
) -> tuple[ExpectedPackage, ...]:
    """List the packages that ``profile`` installs from ``repository``, with their versions.

    Raises:
        InputError: the profile installs none.
    """
    specs = {
        spec.package: spec
        for layer in plan_packages(profile, arch=repository.arch)
        for spec in layer.packages or ()
        if spec.repository.id == repository.id
    }
    if not specs:
        raise InputError(f"{profile.name}: installs no package from {repository.id}")
    return tuple(
        ExpectedPackage(
            name=name,
            pattern=to_pattern(name),
            version=spec.version,
            verified=spec.source.verified,
        )
        for name, spec in specs.items()
    )


def check_packages(
    expected: tuple[ExpectedPackage, ...], index: RepositoryIndex, arch: str
) -> tuple[PackageOutcome, ...]:
    """Check every expected package, in order."""
    candidates = [rpm for rpm in index.rpms if rpm.arch in (arch, "noarch")]
    return tuple(_check_package(package, candidates) for package in expected)


def _check_package(package: ExpectedPackage, candidates: list[Rpm]) -> PackageOutcome:
    name_matches = [rpm for rpm in candidates if package.pattern.fullmatch(rpm.name)]
    version_matches = [rpm for rpm in name_matches if package.version in (None, rpm.version)]
    selected = version_matches[-1:]
    state: PackageState = "missing"
    if version_matches:
        state = "available"
    elif name_matches:
        state = "other_version"
    return PackageOutcome(
        expected=package,
        state=state,
        names=tuple(dict.fromkeys(rpm.name for rpm in name_matches))[-_MAX_LISTED:],
        versions=tuple(dict.fromkeys(rpm.version for rpm in name_matches))[-_MAX_LISTED:],
        size_bytes=sum(rpm.size_bytes for rpm in selected),
        installed_bytes=sum(rpm.installed_bytes for rpm in selected),
    )


def _ids(repositories: tuple[CatalogRepository, ...]) -> str:
    return ", ".join(dict.fromkeys(r.id for r in repositories))
