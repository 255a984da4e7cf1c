"""``hardpan repo``: checks of dnf repositories before anything is built from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from hardpan.builder.dnf import package_check
from hardpan.builder.dnf.package_check import PackageOutcome
from hardpan.builder.dnf.repository_trust import RepositoryMetadata, SignatureState, read_metadata
from hardpan.builder.layers.signing_keys import load_signing_key
from hardpan.core.console import print_json, print_line, print_message, stderr
from hardpan.core.errors import Exit, InputError, UnreachableError, UsageError
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.software_catalog.package_plan import RepositorySource, plan_packages
from hardpan.profiles.software_catalog.schema import EL_RELEASES, CatalogRepository

_FILE_SCHEME = "file://"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """What a repository has, and what it lacks."""

    address: str
    repository: CatalogRepository
    metadata: RepositoryMetadata
    outcomes: tuple[PackageOutcome, ...]

    @property
    def missing(self) -> int:
        """How many packages are missing."""
        return sum(outcome.state != "available" for outcome in self.outcomes)


@click.group()
def repo() -> None:
    """Check dnf repositories before a build."""


@repo.command()
@click.argument("subject", required=False, metavar="[URL|FOLDER|PROFILE]")
@click.option("--repo", "address", help="Repository: a folder or http(s) address; as SUBJECT.")
@click.option("--id", "repository_id", default="", help="Catalog id of a mirror, e.g. cuda.")
@click.option("--release", type=click.Choice(EL_RELEASES), help="Release of the repository.")
@click.option("--profile", "source", help="Check the packages of this profile, at its versions.")
@click.option(
    "--repo-key",
    "key_file",
    type=click.Path(path_type=Path),
    help="OpenPGP public key of the metadata; default: the one that the profile pins.",
)
@click.option(
    "--max-age", type=click.IntRange(min=0), metavar="DAYS", help="Fail if the metadata is older."
)
@click.option("--require-signature", is_flag=True, help="Fail without a valid signature.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    subject: str | None,
    address: str | None,
    repository_id: str,
    release: str | None,
    source: str | None,
    key_file: Path | None,
    max_age: int | None,
    require_signature: bool,
    as_json: bool,
) -> int:
    """Check the metadata of a repository, and that it has the listed packages.

    With a PROFILE, every repository is checked that its layers install from. Signature and age of
    the metadata are reported. The exit code is 1 if a package is missing or a required property is
    not there, and 6 if the signature is not valid.
    """
    if subject is not None and address is None and _is_address(subject):
        subject, address = None, subject
    if (subject is None) == (address is None):
        raise UsageError("expected one repository or one profile", hint="see --help")
    profile = load_profile(subject or source or "") if subject or source else None
    if profile and release and profile.release != release:
        raise UsageError(f"--release {release}: {profile.name} is for {profile.release}")
    if address is not None:
        expected_release = profile.release if profile else release or ""
        reports = [_check_address(address, repository_id, expected_release, profile, key_file)]
    else:
        assert profile is not None  # noqa: S101 - checked above
        reports = list(_check_profile(profile, key_file))
    failures = [_count_failures(r, max_age, require_signature=require_signature) for r in reports]
    if as_json:
        results = [{**_to_json(r), "profile": profile.name if profile else None} for r in reports]
        print_json(results[0] if address is not None else {"repositories": results})
    else:
        for report in reports:
            _print_report(report)
    return int(Exit.FINDINGS if any(failures) else Exit.OK)


def _is_address(subject: str) -> bool:
    return "://" in subject or Path(subject).is_dir()


def _check_address(
    address: str, repository_id: str, release: str, profile: Profile | None, key_file: Path | None
) -> _Report:
    repository = package_check.identify_repository(
        address, repository_id=repository_id, release=release
    )
    if profile:
        expected = package_check.expected_from_profile(repository, profile)
    else:
        expected = package_check.expected_from_catalog(repository)
    metadata = read_metadata(
        address, load_key=lambda folder: _load_key(folder, repository.id, profile, key_file)
    )
    return _Report(
        address=address,
        repository=repository,
        metadata=metadata,
        outcomes=package_check.check_packages(expected, metadata.index, repository.arch),
    )


def _check_profile(profile: Profile, key_file: Path | None) -> Iterator[_Report]:
    """Check each repository that the profile's layers install from."""
    sources = _repository_sources(profile)
    if not sources:
        raise InputError(f"{profile.name}: its layers install from no repository")
    for source in sources.values():
        if source.on_media:
            text = f"{source.id}: on the install media, which 'hardpan media inspect' compares"
            print_message(stderr, text)
            continue
        if source.url is None:
            raise InputError(
                f"{profile.name}: repository {source.id}: expected its url in the profile, got none"
            )
        for url in (source.url, *source.more_urls):
            address = url.removeprefix(_FILE_SCHEME)
            yield _check_address(address, source.id, profile.release, profile, key_file)


def _repository_sources(profile: Profile) -> dict[str, RepositorySource]:
    return {
        spec.repository.id: spec.repository
        for layer in plan_packages(profile)
        for spec in layer.packages or ()
    }


def _load_key(
    folder: Path, repository_id: str, profile: Profile | None, key_file: Path | None
) -> Path | None:
    """Return the key of a repository: the given one, or the one that the profile pins."""
    source = _repository_sources(profile).get(repository_id) if profile else None
    if key_file is not None or source is None or source.key_sha256 is None:
        return key_file
    path = folder / "key.asc"
    try:
        path.write_bytes(load_signing_key(source))
    except UnreachableError as e:
        print_message(stderr, f"{repository_id}: the signature is not checked: {e}", style="yellow")
        return None
    return path


def _count_failures(report: _Report, max_age: int | None, *, require_signature: bool) -> int:
    """Count what is missing; report what the options require and the metadata has not."""
    metadata = report.metadata
    problems = []
    if require_signature and metadata.signature is not SignatureState.VALID:
        problems.append(f"expected a valid signature, got {metadata.signature}")
    if max_age is not None and (metadata.age_days is None or metadata.age_days > max_age):
        age = "none" if metadata.age_days is None else str(metadata.age_days)
        problems.append(f"expected an age of at most {max_age} days, got {age}")
    for problem in problems:
        print_message(stderr, f"{report.address}: {problem}", style="yellow")
    return report.missing + len(problems)


def _print_report(report: _Report) -> None:
    for outcome in report.outcomes:
        print_line(_format_line(outcome))
    print_line(f"metadata  {report.metadata}")
    repository = report.repository
    print_message(
        stderr,
        f"{repository.id} for {repository.release} {repository.arch}:"
        f" {len(report.metadata.index.rpms)} packages, {report.missing} missing",
    )


def _to_json(report: _Report) -> dict[str, object]:
    repository, metadata = report.repository, report.metadata
    return {
        "repo": report.address,
        "id": repository.id,
        "release": repository.release,
        "arch": repository.arch,
        "revision": metadata.index.revision,
        "primary_sha256": metadata.index.primary_sha256,
        "created": metadata.created.isoformat() if metadata.created else None,
        "age_days": metadata.age_days,
        "signature": metadata.signature,
        "signed_by": metadata.fingerprint or None,
        "missing": report.missing,
        "packages": [_outcome_to_json(outcome) for outcome in report.outcomes],
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
