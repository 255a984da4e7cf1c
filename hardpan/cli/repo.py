"""``hardpan repo``: checks of dnf repositories before anything is built from them."""

import click

from hardpan.builder.dnf import package_check, repodata
from hardpan.builder.dnf.package_check import PackageOutcome
from hardpan.builder.dnf.repodata import RepositoryIndex
from hardpan.core.console import print_json, print_line, print_message, stderr
from hardpan.core.errors import Exit, UsageError
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.software_catalog.schema import EL_RELEASES, CatalogRepository


@click.group()
def repo() -> None:
    """Check dnf repositories before a build."""


@repo.command()
@click.option("--repo", "address", required=True, help="Repository: a folder or http(s) address.")
@click.option("--id", "repository_id", default="", help="Catalog id of a mirror, e.g. cuda.")
@click.option("--release", type=click.Choice(EL_RELEASES), help="Release of the repository.")
@click.option("--profile", "source", help="Check the packages of this profile, at its versions.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    address: str, repository_id: str, release: str | None, source: str | None, as_json: bool
) -> int:
    """Check that a repository has the listed packages; exit code 1 if one is missing."""
    profile = load_profile(source) if source else None
    if profile and release and profile.release != release:
        raise UsageError(f"--release {release}: {profile.name} is for {profile.release}")
    repository = package_check.identify_repository(
        address, repository_id=repository_id, release=profile.release if profile else release or ""
    )
    if profile:
        expected = package_check.expected_from_profile(repository, profile)
    else:
        expected = package_check.expected_from_catalog(repository)
    index = repodata.read_repository(address)
    outcomes = package_check.check_packages(expected, index, repository.arch)
    missing = sum(outcome.state != "available" for outcome in outcomes)
    if as_json:
        result = _result_to_json(address, repository, index, outcomes)
        print_json({**result, "profile": profile.name if profile else None})
    else:
        for outcome in outcomes:
            print_line(_format_line(outcome))
        print_message(
            stderr,
            f"{repository.id} for {repository.release} {repository.arch}:"
            f" {len(index.rpms)} packages, {missing} missing",
        )
    return int(Exit.FINDINGS if missing else Exit.OK)


def _result_to_json(
    address: str,
    repository: CatalogRepository,
    index: RepositoryIndex,
    outcomes: tuple[PackageOutcome, ...],
) -> dict[str, object]:
    return {
        "repo": address,
        "id": repository.id,
        "release": repository.release,
        "arch": repository.arch,
        "revision": index.revision,
        "primary_sha256": index.primary_sha256,
        "missing": sum(outcome.state != "available" for outcome in outcomes),
        "packages": [_outcome_to_json(outcome) for outcome in outcomes],
    }


def _outcome_to_json(outcome: PackageOutcome) -> dict[str, object]:
    return {
        "package": outcome.expected.name,
        "version": outcome.expected.version,
        "state": outcome.state,
        "names": list(outcome.names),
        "versions": list(outcome.versions),
        "size_bytes": outcome.size_bytes,
        "installed_bytes": outcome.installed_bytes,
        "verified": outcome.expected.verified,
    }


def _format_line(outcome: PackageOutcome) -> str:
    label = f"{outcome.expected.name} {outcome.expected.version or ''}".strip()
    versions = ", ".join(outcome.versions)
    if outcome.state == "available":
        size = f"{_to_mib(outcome.size_bytes)} MiB"
        return f"available {label}: {', '.join(outcome.names)} ({versions}; {size})"
    if outcome.state == "other_version":
        return f"MISSING   {label}: available in {versions}"
    return f"MISSING   {label} (catalog entry verified: {outcome.expected.verified})"


def _to_mib(size_bytes: int) -> int:
    return -(-size_bytes // (1 << 20))
