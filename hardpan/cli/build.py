"""The verbs ``build`` and ``prove``: both wings are needed, so they live above them."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import click

from hardpan.builder import pipeline as build_pipeline
from hardpan.cli.content_option import content_option
from hardpan.cli.key_options import KEY_REFERENCE, passphrase_options, passphrase_source
from hardpan.cli.scan import content_to_json, has_open_findings, require_complete
from hardpan.cli.verify import format_outcomes
from hardpan.core.console import print_json, print_line, print_message, show_progress, stderr
from hardpan.core.errors import Exit, UsageError
from hardpan.core.xdg import cache_home
from hardpan.preflight import output
from hardpan.preflight.checks import check_digest_form
from hardpan.preflight.plan import RunPlan, make_plan
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.scanners.evidence.signing_options import TIMESTAMP_HELP
from hardpan.scanners.report.formats.text_summary import format_summary
from hardpan.workflow import build_and_attest
from hardpan.workflow.keyring import KeyRefs
from hardpan.workflow.request import BuildRequest

_SEVERITIES = ("low", "medium", "high")
_PATH_TYPE = click.Path(path_type=Path)

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _add_build_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that both verbs have."""
    options: tuple[_Decorator, ...] = (
        click.argument("profile"),
        click.option(
            "-o",
            "--output",
            type=_PATH_TYPE,
            help="Folder for the outputs; reused. A dry run needs none.",
        ),
        click.option("--media", type=_PATH_TYPE, help="Install ISO; the catalogue's by default."),
        click.option("--media-sha256", help="What the ISO's digest must be."),
        content_option,
        click.option("--ssh-key", type=_PATH_TYPE, help="The operator's SSH private key."),
        click.option("--keys", type=_PATH_TYPE, help="Folder made by 'hardpan keys new'."),
        passphrase_options("", "The first line of this file opens the signing keys."),
        click.option(
            "--build-key", help=f"Signs the provenance, not --keys' build.pem: {KEY_REFERENCE}."
        ),
        click.option(
            "--luks-passphrase-file",
            type=_PATH_TYPE,
            help="Its first line opens the LUKS volume. Mode 0600.",
        ),
        click.option(
            "--cache",
            type=_PATH_TYPE,
            default=cache_home,
            help="Media, base installs, AI models; default: hardpan in $XDG_CACHE_HOME.",
        ),
        click.option(
            "--dry-run",
            is_flag=True,
            help="Check everything, print the plan; write and run nothing.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON."),
        click.option("-q", "--quiet", is_flag=True, help="No progress."),
    )
    return reduce(lambda decorated, option: option(decorated), reversed(options), command)


@click.command()
@_add_build_options
@click.option(
    "--as",
    "forms",
    default="iso,qcow2",
    show_default=True,
    help="What to build: iso, qcow2, or both with a comma.",
)
def build_command(
    forms: str, dry_run: bool, as_json: bool, quiet: bool, **given: Any
) -> int | None:
    """Build PROFILE: an unattended ISO, or a hardened and sealed image."""
    formats = set(forms.split(","))
    if not formats or formats - {"iso", "qcow2"}:
        raise UsageError(f"--as {forms}: expected iso, qcow2 or both with a comma")
    request = _build_request(given, dry_run=dry_run)
    with show_progress(quiet=quiet) as emit:
        plan = make_plan(request, emit, builds_image="qcow2" in formats, check_media_digest=dry_run)
        if dry_run:
            return _print_plan(plan, as_json=as_json)
        plan.require_startable()
        if formats == {"iso"}:
            iso = build_pipeline.build_iso(build_and_attest.prepare_build(request, emit))
            outputs = {"iso": str(iso.path), "iso_sha256": iso.sha256}
        else:
            image = build_and_attest.build_image(request, emit)
            disk = image.hardened.disk
            outputs = {
                "iso": str(image.iso.path),
                "iso_sha256": image.iso.sha256,
                "qcow2": str(disk.path),
                "qcow2_sha256": disk.sha256,
            }
    if as_json:
        print_json(outputs)
        return None
    for name, value in outputs.items():
        print_line(f"{name:<13} {value}")
    return None


@click.command()
@_add_build_options
@click.option("--key", help=f"Signs the evidence, not --keys' scan.pem: {KEY_REFERENCE}.")
@click.option("--pq-key", help="Signs it again, with ML-DSA, not --keys' scan-pq.pem.")
@click.option("--no-smoke", is_flag=True, help="Leave out the AI workload test.")
@click.option("--nonce", default="", help="An auditor's challenge, put into the statement.")
@click.option("--timestamp", "tsa", default="", metavar="URL", help=TIMESTAMP_HELP)
@click.option(
    "--fail-on",
    type=click.Choice((*_SEVERITIES, "none")),
    default="high",
    show_default=True,
    help="End with 1 when a rule of this severity or above is open.",
)
def prove_command(
    no_smoke: bool,
    nonce: str,
    tsa: str,
    fail_on: str,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Build PROFILE, boot it, scan it, sign the evidence, and verify it."""
    request = replace(
        _build_request(given, dry_run=dry_run),
        run_smoke_test=not no_smoke,
        nonce=nonce,
        timestamp_url=tsa,
    )
    with show_progress(quiet=quiet) as emit:
        plan = make_plan(request, emit, with_scan=True, check_media_digest=dry_run)
        if dry_run:
            return _print_plan(plan, as_json=as_json)
        plan.require_startable()
        result = build_and_attest.build_and_scan(request, emit)
    findings = result.verified.findings
    summary = _summarize(result)
    build_and_attest.write_summary(request.output_folder / "summary.json", summary)
    if as_json:
        print_json(summary)
    else:
        _print_result(result)
    require_complete(findings)
    failed = has_open_findings(findings, fail_on) or not result.verified.is_within_thresholds
    return int(Exit.FINDINGS if failed else Exit.OK)


def _print_plan(plan: RunPlan, *, as_json: bool) -> int:
    """Print what a run would do; the exit code that it would end with before it starts."""
    if as_json:
        print_json(output.to_json(plan))
    else:
        for line in output.to_text(plan):
            print_line(line)
    return int(plan.exit_code)


def _build_request(given: dict[str, Any], *, dry_run: bool) -> BuildRequest:
    check_digest_form(given["media_sha256"])
    if given["output"] is None and not dry_run:
        raise UsageError("no -o FOLDER for the outputs was given")
    profile = load_profile(given["profile"])
    return BuildRequest(
        profile=profile,
        output_folder=given["output"] or Path(profile.name),
        cache_folder=given["cache"].absolute(),
        media=given["media"],
        media_sha256=given["media_sha256"],
        content=given["content"],
        ssh_key_file=given["ssh_key"],
        keys_folder=given["keys"],
        key_refs=KeyRefs(
            scan=given.get("key"),
            build=given["build_key"],
            pq=given.get("pq_key"),
            passphrase_source=passphrase_source(given),
        ),
        luks_passphrase_file=given["luks_passphrase_file"],
        invocation=("hardpan", *sys.argv[1:]),
    )


def _summarize(result: build_and_attest.RunResult) -> dict[str, object]:
    findings = result.verified.findings
    hardened = result.image.hardened
    return {
        "profile": findings.profile,
        "image": hardened.disk.path.name,
        "image_sha256": hardened.disk.sha256,
        "iso": result.image.iso.path.name,
        "evidence": result.evidence.name,
        "statement_sha256": result.verified.statement_sha256,
        "before": hardened.baseline_counts,
        "after": dict(findings.counts),
        "score": findings.score,
        "content": content_to_json(findings),
        "open": dict(findings.count_open_by_severity()),
        "compatibility": None
        if findings.compatibility is None
        else findings.compatibility.count_verdicts(),
        "mended": build_and_attest.count_outcomes(hardened),
        "verdict": "verified" if result.verified.is_within_thresholds else "over the limits",
    }


def _print_result(result: build_and_attest.RunResult) -> None:
    hardened = result.image.hardened
    rows = [
        *("", "built"),
        f"  image     {hardened.disk.path} ({hardened.disk.path.stat().st_size >> 20} MiB)",
        f"  ISO       {result.image.iso.path}",
        f"  mended    {format_counts(build_and_attest.count_outcomes(hardened))}",
        *("", "scanned (before: as installed; now: after hardening and a restart)"),
        *(f"  {line}" for line in format_summary(result.verified.findings, result.verified.smoke)),
        *("", "verify"),
        *(f"  {line}" for line in format_outcomes(result.verified.records)),
        "",
        f"evidence    {result.evidence}",
        f"verdict     {'verified' if result.verified.is_within_thresholds else 'over the limits'}",
        f"check it    hardpan verify {result.evidence} --policy {result.image.keyring.policy}",
    ]
    for row in rows:
        print_line(row)
    if not hardened.baseline_counts:
        print_message(stderr, "nothing was scanned before hardening")


def format_counts(counts_by_name: dict[str, int]) -> str:
    """``applied 140, error 12, …``."""
    return ", ".join(f"{name} {n}" for name, n in counts_by_name.items()) or "nothing"
