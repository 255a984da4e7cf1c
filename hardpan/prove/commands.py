"""The verbs ``build`` and ``prove``: both wings are needed, so they live above them."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import click

from hardpan.builder import pipeline as building
from hardpan.errors import Exit, UsageError
from hardpan.folders import cache_home
from hardpan.profiles.load import load
from hardpan.prove import job, telling
from hardpan.prove.asked import Asked
from hardpan.prove.before import check_digest_form
from hardpan.prove.examine import Plan, examine
from hardpan.prove.keyring import References
from hardpan.scanners.commands.content_option import content_option
from hardpan.scanners.commands.scan import check_complete, content_facts, is_open
from hardpan.scanners.commands.signers import KEY, unlock, unlock_options
from hardpan.scanners.commands.terms import TIMESTAMP_HELP
from hardpan.scanners.commands.verify import said
from hardpan.scanners.report.summary import lines
from hardpan.terminal import drawn, err, print_json, print_line, say

_SEVERITIES = ("low", "medium", "high")
_PATH = click.Path(path_type=Path)

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that both verbs have."""
    options: tuple[_Decorator, ...] = (
        click.argument("profile"),
        click.option(
            "-o",
            "--output",
            type=_PATH,
            help="Folder for the outputs; reused. A dry run needs none.",
        ),
        click.option("--media", type=_PATH, help="Install ISO; the catalogue's by default."),
        click.option("--media-sha256", help="What the ISO's digest must be."),
        content_option,
        click.option("--ssh-key", type=_PATH, help="The operator's SSH private key."),
        click.option("--keys", type=_PATH, help="Folder made by 'hardpan keys new'."),
        unlock_options("", "The first line of this file opens the signing keys."),
        click.option("--build-key", help=f"Signs the provenance, not --keys' build.pem: {KEY}."),
        click.option(
            "--luks-passphrase-file",
            type=_PATH,
            help="Its first line opens the LUKS volume. Mode 0600.",
        ),
        click.option(
            "--cache",
            type=_PATH,
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
    return reduce(lambda made, option: option(made), reversed(options), command)


@click.command()
@_shared
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
    wanted = set(forms.split(","))
    if not wanted or wanted - {"iso", "qcow2"}:
        raise UsageError(f"--as {forms}: expected iso, qcow2 or both with a comma")
    asked = _asked(given, dry_run=dry_run)
    with drawn(quiet=quiet) as emit:
        plan = examine(asked, emit, image="qcow2" in wanted, digest=dry_run)
        if dry_run:
            return _tell(plan, as_json=as_json)
        plan.check()
        if wanted == {"iso"}:
            iso = building.unattended_iso(job.plan(asked, emit))
            made = {"iso": str(iso.path), "iso_sha256": iso.sha256}
        else:
            image = job.build(asked, emit)
            disk = image.hardened.disk
            made = {
                "iso": str(image.iso.path),
                "iso_sha256": image.iso.sha256,
                "qcow2": str(disk.path),
                "qcow2_sha256": disk.sha256,
            }
    if as_json:
        print_json(made)
        return None
    for name, value in made.items():
        print_line(f"{name:<13} {value}")
    return None


@click.command()
@_shared
@click.option("--key", help=f"Signs the evidence, not --keys' scan.pem: {KEY}.")
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
    asked = replace(_asked(given, dry_run=dry_run), smoke=not no_smoke, nonce=nonce, timestamp=tsa)
    with drawn(quiet=quiet) as emit:
        plan = examine(asked, emit, proof=True, digest=dry_run)
        if dry_run:
            return _tell(plan, as_json=as_json)
        plan.check()
        proof = job.prove(asked, emit)
    findings = proof.verified.findings
    summary = _summary(proof)
    job.write_summary(asked.out / "summary.json", summary)
    if as_json:
        print_json(summary)
    else:
        _print(proof)
    check_complete(findings)
    failed = is_open(findings, fail_on) or not proof.verified.within_limits
    return int(Exit.FINDINGS if failed else Exit.DONE)


def _tell(plan: Plan, *, as_json: bool) -> int:
    """Print what a run would do; the exit code that it would end with before it starts."""
    if as_json:
        print_json(telling.data(plan))
    else:
        for line in telling.lines(plan):
            print_line(line)
    return int(plan.exit_code)


def _asked(given: dict[str, Any], *, dry_run: bool) -> Asked:
    check_digest_form(given["media_sha256"])
    if given["output"] is None and not dry_run:
        raise UsageError("no -o FOLDER for the outputs was given")
    profile = load(given["profile"])
    return Asked(
        profile=profile,
        out=given["output"] or Path(profile.name),
        cache=given["cache"].absolute(),
        media=given["media"],
        media_sha256=given["media_sha256"],
        content=given["content"],
        ssh_key=given["ssh_key"],
        keys=given["keys"],
        signers=References(
            scan=given.get("key"),
            build=given["build_key"],
            pq=given.get("pq_key"),
            unlock=unlock(given),
        ),
        luks_passphrase_file=given["luks_passphrase_file"],
        invocation=("hardpan", *sys.argv[1:]),
    )


def _summary(proof: job.Proof) -> dict[str, object]:
    findings = proof.verified.findings
    hardened = proof.image.hardened
    return {
        "profile": findings.profile,
        "image": hardened.disk.path.name,
        "image_sha256": hardened.disk.sha256,
        "iso": proof.image.iso.path.name,
        "evidence": proof.evidence.name,
        "statement_sha256": proof.verified.statement_sha256,
        "before": hardened.before,
        "after": dict(findings.counts),
        "score": findings.score,
        "content": content_facts(findings),
        "open": dict(findings.open_by_severity()),
        "paired": None if findings.paired is None else findings.paired.counts(),
        "mended": job.outcomes(hardened),
        "verdict": "verified" if proof.verified.within_limits else "over the limits",
    }


def _print(proof: job.Proof) -> None:
    hardened = proof.image.hardened
    rows = [
        *("", "built"),
        f"  image     {hardened.disk.path} ({hardened.disk.path.stat().st_size >> 20} MiB)",
        f"  ISO       {proof.image.iso.path}",
        f"  mended    {counts_of(job.outcomes(hardened))}",
        *("", "scanned (before: as installed; now: after hardening and a restart)"),
        *(f"  {line}" for line in lines(proof.verified.findings, proof.verified.smoke)),
        *("", "verify"),
        *(f"  {line}" for line in said(proof.verified.outcomes)),
        "",
        f"evidence    {proof.evidence}",
        f"verdict     {'verified' if proof.verified.within_limits else 'over the limits'}",
        f"check it    hardpan verify {proof.evidence} --policy {proof.image.ring.policy}",
    ]
    for row in rows:
        print_line(row)
    if not hardened.before:
        say(err, "nothing was scanned before hardening")


def counts_of(by_name: dict[str, int]) -> str:
    """``applied 140, error 12, …``."""
    return ", ".join(f"{name} {n}" for name, n in by_name.items()) or "nothing"
