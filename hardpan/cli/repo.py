"""``hardpan media``: what a repository or install media holds, before anything is built."""

import click

from hardpan.builder.dnf import package_check, repodata
from hardpan.core.console import print_json, print_line, print_message, stderr
from hardpan.core.errors import Exit, UsageError
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.software_catalog.schema import EL_RELEASES


@click.group()
def media() -> None:
    """Look into repositories, before anything is built from them."""


@media.command("check-names")
@click.option("--repo", required=True, help="A dnf repository: its folder or http(s) address.")
@click.option("--id", "name", default="", help="Which of the list it is, e.g. cuda, for a mirror.")
@click.option("--release", type=click.Choice(EL_RELEASES), help="For which release.")
@click.option("--profile", "source", help="Check what this profile installs, at its versions.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def check_names(
    repo: str, name: str, release: str | None, source: str | None, as_json: bool
) -> int:
    """Tell which listed packages the repository has; exit code 1 when one is missing."""
    profile = load_profile(source) if source else None
    if profile and release and profile.release != release:
        raise UsageError(f"--release {release}: {profile.name} is for {profile.release}")
    repository = package_check.identify_repository(
        repo, name=name, release=profile.release if profile else release or ""
    )
    expected = (
        package_check.expected_from_profile(repository, profile)
        if profile
        else package_check.expected_from_catalog(repository)
    )
    index = repodata.read_repository(repo)
    outcomes = package_check.check_packages(expected, index, repository.arch)
    missing = sum(o.state != "there" for o in outcomes)
    if as_json:
        print_json(
            {
                "repo": repo,
                "id": repository.id,
                "release": repository.release,
                "arch": repository.arch,
                "profile": profile.name if profile else None,
                "revision": index.revision,
                "primary_sha256": index.primary_sha256,
                "missing": missing,
                "packages": [_to_json(o) for o in outcomes],
            }
        )
    else:
        for outcome in outcomes:
            print_line(_format_line(outcome))
        count_text = f"{len(index.rpms)} packages"
        print_message(
            stderr,
            f"{repository.id} for {repository.release} {repository.arch}: {count_text}, {missing} missing",
        )
    return int(Exit.FINDINGS if missing else Exit.OK)


def _to_json(outcome: package_check.PackageOutcome) -> dict[str, object]:
    return {
        "package": outcome.expected.name,
        "version": outcome.expected.version,
        "state": outcome.state,
        "names": list(outcome.names),
        "versions": list(outcome.versions),
        "size": outcome.size_bytes,
        "installed": outcome.installed_bytes,
        "verified": outcome.expected.verified,
    }


def _format_line(outcome: package_check.PackageOutcome) -> str:
    label = f"{outcome.expected.name} {outcome.expected.version or ''}".strip()
    if outcome.state == "there":
        details = f"{', '.join(outcome.names)} ({', '.join(outcome.versions)}; {_to_mib(outcome.size_bytes)} MiB)"
        return f"there     {label}: {details}"
    if outcome.state == "other_version":
        return f"MISSING   {label}: there in {', '.join(outcome.versions)}"
    return f"MISSING   {label} (in the list: {outcome.expected.verified})"


def _to_mib(size: int) -> int:
    return -(-size // (1 << 20))
