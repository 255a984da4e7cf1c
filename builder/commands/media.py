"""``hardpan media``: what a repository or install media holds, before anything is built."""

import click

from hardpan.builder.media import names, repodata
from hardpan.errors import Exit, UsageError
from hardpan.profiles.load import load
from hardpan.profiles.software.model import BOTH
from hardpan.terminal import err, print_json, print_line, say


@click.group()
def media() -> None:
    """Look into repositories, before anything is built from them."""


@media.command("check-names")
@click.option("--repo", required=True, help="A dnf repository: its folder or http(s) address.")
@click.option("--id", "name", default="", help="Which of the list it is, e.g. cuda, for a mirror.")
@click.option("--release", type=click.Choice(BOTH), help="For which release.")
@click.option("--profile", "source", help="Check what this profile installs, at its versions.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def check_names(
    repo: str, name: str, release: str | None, source: str | None, as_json: bool
) -> int:
    """Tell which listed packages the repository has; exit code 1 when one is missing."""
    profile = load(source) if source else None
    if profile and release and profile.release != release:
        raise UsageError(f"--release {release}: {profile.name} is for {profile.release}")
    told = names.which_repository(
        repo, name=name, release=profile.release if profile else release or ""
    )
    asked = names.of_profile(told, profile) if profile else names.of_list(told)
    there = repodata.read(repo)
    outcomes = names.compare(asked, there, told.arch)
    missing = sum(o.state != "there" for o in outcomes)
    if as_json:
        print_json(
            {
                "repo": repo,
                "id": told.id,
                "release": told.release,
                "arch": told.arch,
                "profile": profile.name if profile else None,
                "revision": there.revision,
                "primary_sha256": there.primary_sha256,
                "missing": missing,
                "packages": [_facts(o) for o in outcomes],
            }
        )
    else:
        for outcome in outcomes:
            print_line(_line(outcome))
        many = f"{len(there.rpms)} packages"
        say(err, f"{told.id} for {told.release} {told.arch}: {many}, {missing} missing")
    return int(Exit.FINDINGS if missing else Exit.DONE)


def _facts(o: names.Outcome) -> dict[str, object]:
    return {
        "package": o.asked.name,
        "version": o.asked.version,
        "state": o.state,
        "names": list(o.names),
        "versions": list(o.versions),
        "size": o.size,
        "installed": o.installed,
        "verified": o.asked.verified,
    }


def _line(o: names.Outcome) -> str:
    wanted = f"{o.asked.name} {o.asked.version or ''}".strip()
    if o.state == "there":
        more = f"{', '.join(o.names)} ({', '.join(o.versions)}; {_mib(o.size)} MiB)"
        return f"there     {wanted}: {more}"
    if o.state == "other_version":
        return f"MISSING   {wanted}: there in {', '.join(o.versions)}"
    return f"MISSING   {wanted} (in the list: {o.asked.verified})"


def _mib(size: int) -> int:
    return -(-size // (1 << 20))
