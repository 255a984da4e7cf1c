"""Whether a repository has the packages that the list says it has."""

import re
from dataclasses import dataclass

from hardpan.builder.dnf.repodata import RepositoryIndex, Rpm
from hardpan.core.errors import InputError, UsageError
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.software_catalog.catalog_file import package_catalog
from hardpan.profiles.software_catalog.package_plan import plan_packages
from hardpan.profiles.software_catalog.placeholders import to_pattern
from hardpan.profiles.software_catalog.schema import CatalogRepository

_MAX_LISTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedPackage:
    """One package that is looked for."""

    name: str
    """As the list or, with a profile, the plan has it."""

    pattern: re.Pattern[str]
    """What its name in the repository must be."""

    version: str | None
    """The one version it must have, or None for any."""

    verified: str
    """How far the list trusts the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOutcome:
    """What became of one of them."""

    expected: ExpectedPackage
    state: str
    """``there``, ``missing``, or ``other_version`` when only its version is not."""

    names: tuple[str, ...]
    """The names found."""

    versions: tuple[str, ...]
    """The last few versions found, as the repository lists them."""

    size_bytes: int
    """Bytes of the file that would be taken; 0 when missing."""

    installed_bytes: int
    """Bytes that it takes once installed; 0 when missing."""


def identify_repository(repo: str, *, name: str, release: str) -> CatalogRepository:
    """The entry of the list that ``repo`` is: by its vendor's address, or by ``name``.

    Raises:
        UsageError: it cannot be told, or only with the release.
        InputError: the list has no such repository for that release.
    """
    repositories = package_catalog().repositories
    address = repo.rstrip("/") + "/"
    matches = [r for r in repositories if r.url and to_pattern(r.url).fullmatch(address)]
    if name:
        matches = [r for r in matches if r.id == name] or [r for r in repositories if r.id == name]
    if not matches and name:
        raise InputError(f"--id {name}: not in the list", hint=f"known: {_ids(repositories)}")
    if not matches:
        raise UsageError(
            f"{repo}: not the address of a vendor's repository",
            hint=f"say --id: {_ids(repositories)}",
        )
    if release and not any(r.release == release for r in matches):
        raise InputError(f"{matches[0].id}: the list has none for {release}")
    matches = [r for r in matches if not release or r.release == release]
    if len({r.release for r in matches}) > 1:
        raise UsageError(
            f"{matches[0].id}: there is one for each release", hint="say --release or --profile"
        )
    return matches[0]


def expected_from_catalog(repository: CatalogRepository) -> tuple[ExpectedPackage, ...]:
    """Everything that the list takes from ``repository``, with any filling."""
    catalog = package_catalog()
    entries = {
        p.name: p
        for p in catalog.packages
        if p.repository == repository.id and repository.release in p.releases
    }
    return tuple(
        ExpectedPackage(
            name=name,
            pattern=to_pattern(name),
            version=None,
            verified=catalog.sources[p.source].verified,
        )
        for name, p in entries.items()
    )


def expected_from_profile(
    repository: CatalogRepository, profile: Profile
) -> tuple[ExpectedPackage, ...]:
    """What ``profile`` takes from ``repository``, at its versions.

    Raises:
        InputError: nothing.
    """
    specs = {
        w.package: w
        for layer in plan_packages(profile, arch=repository.arch)
        for w in layer.packages or ()
        if w.repository.id == repository.id
    }
    if not specs:
        raise InputError(f"{profile.name}: takes nothing from {repository.id}")
    return tuple(
        ExpectedPackage(
            name=name,
            pattern=to_pattern(name),
            version=w.version,
            verified=w.source.verified,
        )
        for name, w in specs.items()
    )


def check_packages(
    expected: tuple[ExpectedPackage, ...], index: RepositoryIndex, arch: str
) -> tuple[PackageOutcome, ...]:
    """What became of each, in the order asked."""
    candidates = [rpm for rpm in index.rpms if rpm.arch in (arch, "noarch")]
    return tuple(_check_package(package, candidates) for package in expected)


def _check_package(package: ExpectedPackage, candidates: list[Rpm]) -> PackageOutcome:
    name_matches = [rpm for rpm in candidates if package.pattern.fullmatch(rpm.name)]
    version_matches = [rpm for rpm in name_matches if package.version in (None, rpm.version)]
    selected = version_matches[-1:]
    return PackageOutcome(
        expected=package,
        state="there" if version_matches else "other_version" if name_matches else "missing",
        names=tuple(dict.fromkeys(rpm.name for rpm in name_matches))[-_MAX_LISTED:],
        versions=tuple(dict.fromkeys(rpm.version for rpm in name_matches))[-_MAX_LISTED:],
        size_bytes=sum(rpm.size_bytes for rpm in selected),
        installed_bytes=sum(rpm.installed_bytes for rpm in selected),
    )


def _ids(repositories: tuple[CatalogRepository, ...]) -> str:
    return ", ".join(dict.fromkeys(r.id for r in repositories))
