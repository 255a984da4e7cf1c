"""``hardpan check``: every problem of a profile at once, and the schema for editors."""

import click

from hardpan import clock
from hardpan.errors import InputError, UsageError
from hardpan.profiles.load import digest, load, schema
from hardpan.profiles.model import Profile
from hardpan.terminal import err, print_json, print_line, say


@click.command()
@click.argument("profiles", nargs=-1, metavar="PROFILE...")
@click.option("--schema", "as_schema", is_flag=True, help="Print the JSON Schema of a profile.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def check(profiles: tuple[str, ...], as_schema: bool, as_json: bool) -> None:
    """Check PROFILE, a file or the name of a shipped one, and tell every problem.

    Exit code 3 when there is a problem.
    """
    if as_schema:
        print_json(schema(), indent=2)
        return
    if not profiles:
        raise UsageError("no PROFILE was given", hint="hardpan profiles lists the shipped ones")
    results = [_checked(source) for source in profiles]
    if as_json:
        print_json([facts for facts, _ in results], indent=2)
    else:
        for facts, profile in results:
            if profile is not None:
                print_line(f"ok  {profile.name}  sha256:{facts['sha256']}")
    _warn([profile for _, profile in results if profile is not None])
    _end_badly([facts for facts, profile in results if profile is None])


def _checked(source: str) -> tuple[dict[str, object], Profile | None]:
    try:
        profile = load(source)
    except InputError as e:
        return {"profile": source, "ok": False, "problems": str(e).splitlines()}, None
    return {"profile": source, "ok": True, "sha256": digest(profile), "problems": []}, profile


def _warn(profiles: list[Profile]) -> None:
    """Say which waivers no longer hold: a scan counts those rules as findings."""
    today = clock.now().date()
    for profile in profiles:
        for e in profile.stig.expired(today):
            line = f"warning: {profile.name}: the waiver for {e.rule} ended on {e.expires}"
            say(err, line, style="yellow")


def _end_badly(bad: list[dict[str, object]]) -> None:
    problems = [line for facts in bad for line in _lines(facts["problems"])]
    if problems:
        many = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        raise InputError(
            f"{many}\n" + "\n".join(problems),
            hint="hardpan check --schema prints the JSON Schema for your editor",
        )


def _lines(problems: object) -> list[str]:
    return [str(line) for line in problems] if isinstance(problems, list) else []
