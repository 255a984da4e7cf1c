"""``hardpan check``: validate profiles, waivers and tailoring, and print their JSON Schema."""

from collections.abc import Sequence
from pathlib import Path

import click

from hardpan.cli.content_option import content_option
from hardpan.cli.deviation_options import tailoring_option, waivers_option
from hardpan.core import clock
from hardpan.core.console import print_json, print_line, print_message, stderr
from hardpan.core.error_collector import ErrorCollector
from hardpan.core.errors import InputError, UsageError
from hardpan.core.xdg import cache_home
from hardpan.preflight.deviation_checks import (
    DeviationFiles,
    DeviationProblems,
    check_deviations,
)
from hardpan.preflight.media_checks import check_media
from hardpan.profiles.loader.profile_file import (
    LoadedProfile,
    load_located_profile,
    profile_digest,
    profile_json_schema,
)
from hardpan.profiles.schema.waivers import RuleWaiver
from hardpan.scanners.content.datastream import ContentSelection


@click.command()
@click.argument("profiles", nargs=-1, metavar="PROFILE...")
@waivers_option
@tailoring_option
@content_option
@click.option(
    "--media",
    type=click.Path(path_type=Path),
    help="Also check that this install ISO has every package of the profiles.",
)
@click.option("--schema", "as_schema", is_flag=True, help="Print the JSON Schema of a profile.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    profiles: tuple[str, ...],
    waiver_file: Path | None,
    tailoring_file: Path | None,
    content: ContentSelection | None,
    media: Path | None,
    as_schema: bool,
    as_json: bool,
) -> None:
    """Validate PROFILE, a file or a shipped profile, and report all problems.

    Waivers and a tailoring are compared with the rules of the profile's SCAP content.

    The exit code is 3 if there is a problem.
    """
    if as_schema:
        print_json(profile_json_schema(), indent=2)
        return
    files = DeviationFiles(waivers=waiver_file, tailoring=tailoring_file)
    if not profiles and files == DeviationFiles():
        raise UsageError("no PROFILE given", hint="'hardpan profiles' lists the shipped profiles")
    results = [_check_profile(source) for source in profiles]
    loaded_profiles = [loaded for _, loaded in results if loaded is not None]
    deviations = check_deviations(loaded_profiles, files, content)
    for facts, loaded in results:
        if loaded is not None:
            problems = deviations.by_profile.get(loaded.profile.name, [])
            _add_problems(facts, [*problems, *_check_media(loaded, media)])
    all_facts = [facts for facts, _ in results] + _describe_files(files, deviations)
    if as_json:
        print_json(all_facts, indent=2)
    else:
        _print_valid(all_facts, loaded_profiles)
    for note in deviations.notes:
        print_message(stderr, f"warning: {note}", style="yellow")
    _warn_about_expired_waivers(loaded_profiles, deviations)
    _raise_problems(all_facts)


def _check_profile(source: str) -> tuple[dict[str, object], LoadedProfile | None]:
    try:
        loaded = load_located_profile(source)
    except InputError as e:
        return {"profile": source, "ok": False, "problems": str(e).splitlines()}, None
    return {
        "profile": source,
        "ok": True,
        "sha256": profile_digest(loaded.profile),
        "problems": [],
    }, loaded


def _check_media(loaded: LoadedProfile, media: Path | None) -> list[str]:
    """Return what prevents a build of the profile from the ISO ``media``."""
    if media is None:
        return []
    errors = ErrorCollector()
    check_media(loaded.profile, media, cache_home(), errors)
    return [str(collected.error) for collected in errors.collected]


def _add_problems(facts: dict[str, object], problems: list[str]) -> None:
    if problems:
        facts.update(ok=False, problems=problems)


def _describe_files(
    files: DeviationFiles, deviations: DeviationProblems
) -> list[dict[str, object]]:
    paths = [str(path) for path in (files.waivers, files.tailoring) if path is not None]
    return [
        {
            "file": path,
            "ok": not deviations.by_file.get(path),
            "problems": deviations.by_file.get(path, []),
        }
        for path in paths
    ]


def _print_valid(all_facts: list[dict[str, object]], loaded: Sequence[LoadedProfile]) -> None:
    names = iter(loaded)
    for facts in all_facts:
        if "sha256" in facts:
            name = next(names).profile.name
            if facts["ok"]:
                print_line(f"ok  {name}  sha256:{facts['sha256']}")
        elif facts["ok"] and "file" in facts:
            print_line(f"ok  {facts['file']}")


def _warn_about_expired_waivers(
    profiles: Sequence[LoadedProfile], deviations: DeviationProblems
) -> None:
    """Warn about expired waivers: scans count their rules as findings."""
    today = clock.now().date()
    for loaded in profiles:
        for waiver in loaded.profile.stig.expired_waivers(today):
            _warn_about_expiry(loaded.profile.name, waiver)
    for located in deviations.waivers:
        if located.waiver.has_expired(today):
            _warn_about_expiry(located.source, located.waiver)


def _warn_about_expiry(source: str, waiver: RuleWaiver) -> None:
    line = f"warning: {source}: the waiver for {waiver.label} expired on {waiver.expires}"
    print_message(stderr, line, style="yellow")


def _raise_problems(all_facts: list[dict[str, object]]) -> None:
    # A file that does not fit several profiles has the same problem with each of them.
    problems = list(
        dict.fromkeys(line for facts in all_facts for line in _to_lines(facts["problems"]))
    )
    if problems:
        count_text = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        raise InputError(
            f"{count_text}\n" + "\n".join(problems),
            hint="hardpan check --schema prints the JSON Schema for your editor",
        )


def _to_lines(problems: object) -> list[str]:
    return [str(line) for line in problems] if isinstance(problems, list) else []
