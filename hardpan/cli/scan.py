"""``hardpan scan``: scan a running host over SSH and sign the evidence."""

import sys
from pathlib import Path
from typing import Any

import click

from hardpan.cli import key_options
from hardpan.cli.content_option import content_option
from hardpan.core.console import print_json, print_line, prompt_secret, show_progress
from hardpan.core.errors import Exit, InputError, ToolError
from hardpan.core.events import StageMessage
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.scanners import pipeline
from hardpan.scanners.content import datastream
from hardpan.scanners.evidence.sign import writer
from hardpan.scanners.evidence.signing_options import (
    TIMESTAMP_HELP,
    next_chain_link,
    scanner_identity,
    timestamper,
)
from hardpan.scanners.ledger.previous_evidence import changes_since_previous, load_previous
from hardpan.scanners.model.results import NOT_COLLECTED_PREFIX
from hardpan.scanners.report.formats.text_summary import format_summary
from hardpan.scanners.report.model.documents import Findings
from hardpan.signing import load_matching_certificate
from hardpan.ssh.target import parse_target

_PATH = click.Path(path_type=Path)
_SEVERITIES = ("low", "medium", "high")


@click.command()
@click.argument("target")
@click.option("--profile", "profile_name", required=True, help="Profile: a shipped name or a file.")
@click.option(
    "-o",
    "--output",
    type=_PATH,
    help="FILE.evidence.zip to write; HOST-PROFILE-TIME.evidence.zip in this folder by default.",
)
@key_options.key_options(required=True)
@content_option
@click.option("--ssh-config", type=_PATH, help="OpenSSH client config to take settings from.")
@click.option("--identity", type=_PATH, help="SSH private key; the agent's by default.")
@click.option("--known-hosts", type=_PATH, help="File of host keys; ~/.ssh/known_hosts by default.")
@click.option("--host-key", "host_keys", multiple=True, help="Pinned host key, 'type base64'.")
@click.option(
    "--trust-new-host-key",
    is_flag=True,
    help="Believe an unknown host key this once. The evidence will say so.",
)
@click.option("--ask-sudo-password", is_flag=True, help="Ask for the password that sudo wants.")
@click.option("--no-smoke", is_flag=True, help="Leave the AI workload test out.")
@click.option(
    "--compatibility",
    is_flag=True,
    help="Run the compatibility checks of hardening and AI workloads for any profile.",
)
@click.option("--nonce", default="", help="A challenge from whom the evidence is for.")
@click.option("--timestamp", "tsa", metavar="URL", help=TIMESTAMP_HELP)
@click.option("--certificate", type=_PATH, help="The key's certificate: adds a CMS signature.")
@click.option(
    "--previous", type=_PATH, help="The host's last evidence: this one says it comes after it."
)
@click.option(
    "--policy",
    type=_PATH,
    help="With --previous: whom you trust. It is verified, and the page tells what changed since.",
)
@click.option(
    "--fail-on",
    type=click.Choice((*_SEVERITIES, "none")),
    default="high",
    show_default=True,
    help="End with 1 when a rule of this severity or above is open.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def scan(target: str, profile_name: str, **options: Any) -> int:
    """Scan TARGET ([user@]host[:port]) and write signed evidence.

    Exits with 0 when it is compliant (see --fail-on), 1 when not, 4 when a tool failed or a part
    of the scan has no results (the evidence has the other parts), 5 when the target cannot be
    reached, 6 when its host key is not the known one.
    """
    requested_output: Path | None = options["output"]
    if requested_output is not None and not requested_output.name.endswith(writer.EVIDENCE_SUFFIX):
        raise InputError(
            f"{requested_output}: expected a name that ends in {writer.EVIDENCE_SUFFIX}"
        )
    previous = load_previous(options["previous"], options["policy"])
    profile = load_profile(profile_name)
    evidence_signers = key_options.load_signers(options)
    sign_timestamp = timestamper(options["tsa"])
    if options["certificate"] is not None:
        load_matching_certificate(options["certificate"], evidence_signers.scan)
    ssh_target = parse_target(
        target,
        ssh_config=options["ssh_config"],
        identity=options["identity"],
        host_keys=options["host_keys"],
        known_hosts=options["known_hosts"],
        trust_new_host_key=options["trust_new_host_key"],
    )
    password = prompt_sudo_password() if options["ask_sudo_password"] else ""
    with show_progress(quiet=options["quiet"]) as emit:
        source = datastream.find(profile.stig.content, options["content"])
        emit(StageMessage(stage="content", text=str(source)))
        request = pipeline.ScanRequest(
            target=ssh_target,
            profile=profile,
            source=source,
            run_smoke=not options["no_smoke"],
            run_compatibility=options["compatibility"],
            nonce=options["nonce"],
            sudo_password=password,
            invocation=("hardpan", *sys.argv[1:]),
        )
        result = pipeline.scan(request, emit)
        report = writer.build_report(result, evidence_signers.scan)
        chain = next_chain_link(options["previous"], result.host.host_key_sha256)
        signing_options = writer.SigningOptions(
            timestamper=sign_timestamp,
            certificate=options["certificate"],
            chain=chain,
            runner=scanner_identity(),
            changes=None if previous is None else changes_since_previous(previous, chain, report),
        )
        output = requested_output or Path(writer.default_filename(report.findings))
        nonce = options["nonce"]
        writer.write_evidence(
            result,
            evidence_signers.scan,
            output,
            emit,
            nonce=nonce,
            pq_signer=evidence_signers.pq,
            options=signing_options,
        )
    _print_result(
        report.findings, format_summary(report.findings, report.smoke), output, options["as_json"]
    )
    require_complete(report.findings)
    return int(Exit.FINDINGS if has_open_findings(report.findings, options["fail_on"]) else Exit.OK)


def require_complete(findings: Findings) -> None:
    """Pass if every part of the scan has results.

    Raises:
        ToolError: some could not be asked or read.
    """
    missing = findings.uncollected_parts()
    if missing:
        parts = "; ".join(
            f"{c.name.removeprefix(NOT_COLLECTED_PREFIX)}: {c.message}" for c in missing
        )
        raise ToolError(
            ["the scan"],
            f"is not complete: {parts}",
            hint="the evidence was written, with these parts as errors",
        )


def has_open_findings(findings: Findings, fail_on: str) -> bool:
    """True when a rule at or above ``fail_on`` is open, waivers aside."""
    if fail_on == "none":
        return False
    counted = _SEVERITIES[_SEVERITIES.index(fail_on) :]
    return any(
        n for severity, n in findings.count_open_by_severity().items() if severity in counted
    )


def content_to_json(findings: Findings) -> dict[str, str]:
    """Which SCAP content was scanned with, for programs."""
    content = findings.content
    return {
        "name": content.name,
        "version": content.version,
        "date": content.date,
        "origin": content.origin_kind,
        "sha256": content.source_sha256,
    }


def prompt_sudo_password() -> str:
    """What a person types, unseen, when the target's sudo wants a password."""
    return prompt_secret("sudo password")


def _print_result(
    findings: Findings, summary: tuple[str, ...], output: Path, as_json: bool
) -> None:
    if as_json:
        answer = {
            "evidence": str(output),
            "counts": dict(findings.counts),
            "open": findings.count_open_by_severity(),
            "content": content_to_json(findings),
            "compatibility": None
            if findings.compatibility is None
            else findings.compatibility.count_verdicts(),
        }
        print_json(answer)
        return
    for line in summary:
        print_line(line)
    print_line(f"evidence: {output}")
