"""``hardpan prove``: build, boot, scan, sign and verify in one run."""

from dataclasses import replace
from pathlib import Path

import click

from hardpan.cli.build_options import BuildOptions, build_options, print_plan
from hardpan.cli.check_records import format_check_records
from hardpan.cli.deviation_options import tailoring_option
from hardpan.cli.fail_on_option import fail_on_option
from hardpan.cli.key_options import KEY_REFERENCE
from hardpan.cli.nonce_option import nonce_option
from hardpan.core.console import print_json, print_line, print_message, show_progress, stderr
from hardpan.core.errors import Exit
from hardpan.preflight.plan import make_plan
from hardpan.scanners.deviations.tailoring_file import load_tailoring
from hardpan.scanners.evidence.signing_options import TIMESTAMP_HELP
from hardpan.scanners.report.formats.text_summary import format_summary
from hardpan.workflow.build_and_attest import RunResult, build_and_scan
from hardpan.workflow.request import lock_outputs
from hardpan.workflow.summary import summarize, write_summary


@click.command()
@build_options
@click.option(
    "--key", help=f"Key that signs the evidence instead of scan.pem in --keys: {KEY_REFERENCE}."
)
@click.option(
    "--pq-key",
    help="ML-DSA key that signs the evidence again, instead of scan-pq.pem in --keys.",
)
@tailoring_option
@click.option("--no-smoke", is_flag=True, help="Skip the AI workload test.")
@nonce_option
@click.option("--timestamp", "timestamp_url", default="", metavar="URL", help=TIMESTAMP_HELP)
@fail_on_option
def prove(
    options: BuildOptions,
    key: str | None,
    pq_key: str | None,
    tailoring_file: Path | None,
    no_smoke: bool,
    nonce: str,
    timestamp_url: str,
    fail_on: str,
) -> int:
    """Build PROFILE, boot it, scan it, sign the evidence, and verify it."""
    request = replace(
        options.to_request(key=key, pq_key=pq_key),
        tailoring=None if tailoring_file is None else load_tailoring(tailoring_file),
        run_smoke_test=not no_smoke,
        nonce=nonce,
        timestamp_url=timestamp_url,
    )
    with show_progress(quiet=options.quiet) as emit:
        reads_media = options.dry_run and not options.explain
        plan = make_plan(
            request,
            emit,
            with_scan=True,
            check_media_digest=reads_media,
            may_skip_checks=not options.plans_only,
        )
        if options.plans_only:
            return print_plan(plan, options)
        plan.require_startable()
        with lock_outputs(request, emit):
            result = build_and_scan(request, emit)
            summary = summarize(result)
            write_summary(summary, request.output_folder)
    if options.as_json:
        print_json(summary)
    else:
        _print_result(result)
    findings = result.verified.findings
    findings.require_complete()
    if findings.has_open_rules(fail_on) or not result.verified.is_within_thresholds:
        return int(Exit.FINDINGS)
    return int(Exit.OK)


def _print_result(result: RunResult) -> None:
    hardened = result.image.hardened
    image_mib = hardened.disk.path.stat().st_size >> 20
    rows = [
        *("", "built"),
        f"  image       {hardened.disk.path} ({image_mib} MiB)",
        f"  ISO         {result.image.iso.path}",
        f"  remediated  {_format_counts(hardened.count_rule_outcomes())}",
        *("", "scanned (baseline: before hardening; current: after hardening and a reboot)"),
        *(f"  {line}" for line in format_summary(result.verified.findings, result.verified.smoke)),
        *("", "verify"),
        *(f"  {line}" for line in format_check_records(result.verified.records)),
        "",
        f"evidence    {result.evidence}",
        f"verdict     {result.verified.verdict}",
        f"verify with hardpan verify {result.evidence} --policy {result.image.keyring.policy}",
    ]
    for row in rows:
        print_line(row)
    if not hardened.baseline_counts:
        print_message(stderr, "nothing was scanned before hardening")


def _format_counts(counts_by_name: dict[str, int]) -> str:
    """Return e.g. ``applied 140, no fix 1``."""
    counts = (f"{name.replace('_', ' ')} {count}" for name, count in counts_by_name.items())
    return ", ".join(counts) or "nothing"
