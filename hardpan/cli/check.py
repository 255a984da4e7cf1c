"""``hardpan check``: validate profiles, and print their JSON Schema."""

import click

from hardpan.core import clock
from hardpan.core.console import print_json, print_line, print_message, stderr
from hardpan.core.errors import InputError, UsageError
from hardpan.profiles.loader.profile_file import load_profile, profile_digest, profile_json_schema
from hardpan.profiles.schema.profile import Profile


@click.command()
@click.argument("profiles", nargs=-1, metavar="PROFILE...")
@click.option("--schema", "as_schema", is_flag=True, help="Print the JSON Schema of a profile.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(profiles: tuple[str, ...], as_schema: bool, as_json: bool) -> None:
    """Validate PROFILE, a file or a shipped profile, and report all problems.

    The exit code is 3 if there is a problem.
    """
    if as_schema:
        print_json(profile_json_schema(), indent=2)
        return
    if not profiles:
        raise UsageError("no PROFILE given", hint="'hardpan profiles' lists the shipped profiles")
    results = [_check_profile(source) for source in profiles]
    if as_json:
        print_json([facts for facts, _ in results], indent=2)
    else:
        for facts, profile in results:
            if profile is not None:
                print_line(f"ok  {profile.name}  sha256:{facts['sha256']}")
    _warn_about_expired_waivers([profile for _, profile in results if profile is not None])
    _raise_problems([facts for facts, profile in results if profile is None])


def _check_profile(source: str) -> tuple[dict[str, object], Profile | None]:
    try:
        profile = load_profile(source)
    except InputError as e:
        return {"profile": source, "ok": False, "problems": str(e).splitlines()}, None
    return {
        "profile": source,
        "ok": True,
        "sha256": profile_digest(profile),
        "problems": [],
    }, profile


def _warn_about_expired_waivers(profiles: list[Profile]) -> None:
    """Warn about expired waivers: scans count their rules as findings."""
    today = clock.now().date()
    for profile in profiles:
        for waiver in profile.stig.expired_waivers(today):
            line = (
                f"warning: {profile.name}: the waiver for {waiver.rule} expired on {waiver.expires}"
            )
            print_message(stderr, line, style="yellow")


def _raise_problems(failed: list[dict[str, object]]) -> None:
    problems = [line for facts in failed for line in _to_lines(facts["problems"])]
    if problems:
        count_text = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        raise InputError(
            f"{count_text}\n" + "\n".join(problems),
            hint="hardpan check --schema prints the JSON Schema for your editor",
        )


def _to_lines(problems: object) -> list[str]:
    return [str(line) for line in problems] if isinstance(problems, list) else []
