"""``hardpan scan``: scan a running host over SSH and sign the evidence."""

import sys
from pathlib import Path

import click

from hardpan.cli import key_options
from hardpan.cli.content_option import content_option
from hardpan.cli.fail_on_option import fail_on_option
from hardpan.core.console import print_json, print_line, prompt_secret, show_progress
from hardpan.core.errors import Exit, InputError
from hardpan.core.events import StageMessage
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.scanners import pipeline
from hardpan.scanners.content import datastream, prepare
from hardpan.scanners.evidence.file_names import EVIDENCE_SUFFIX
from hardpan.scanners.evidence.sign import writer
from hardpan.scanners.evidence.signing_options import (
    TIMESTAMP_HELP,
    next_chain_link,
    scanner_identity,
    timestamper,
)
from hardpan.scanners.ledger.previous_evidence import changes_since_previous, load_previous
from hardpan.scanners.report.formats.text_summary import format_summary
from hardpan.scanners.report.model.documents import Findings
from hardpan.signing import load_matching_certificate
from hardpan.ssh.target import parse_target

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("target")
@click.option("--profile", "profile_name", required=True, help="Profile: a shipped name or a file.")
@click.option(
    "-o",
    "--output",
    type=_PATH,
    help="Evidence file to write; default: HOST-PROFILE-TIME.evidence.zip.",
)
@key_options.key_options
@content_option
@click.option("--ssh-config", type=_PATH, help="OpenSSH client configuration file.")
@click.option("--identity", type=_PATH, help="SSH private key; default: the agent's keys.")
@click.option("--known-hosts", type=_PATH, help="Known hosts file; default: ~/.ssh/known_hosts.")
@click.option("--host-key", "host_keys", multiple=True, help="Pinned host key, 'type base64'.")
@click.option(
    "--trust-new-host-key",
    is_flag=True,
    help="Accept an unknown host key for this run; the evidence records it.",
)
@click.option(
    "--ask-sudo-password", is_flag=True, help="Prompt for the sudo password of the target."
)
@click.option("--no-smoke", is_flag=True, help="Skip the AI workload test.")
@click.option(
    "--compatibility",
    is_flag=True,
    help="Run the compatibility checks of hardening and AI workloads for any profile.",
)
@click.option("--nonce", default="", help="Challenge of the recipient; recorded in the evidence.")
@click.option("--timestamp", "tsa", metavar="URL", help=TIMESTAMP_HELP)
@click.option("--certificate", type=_PATH, help="Certificate of the key; adds a CMS signature.")
@click.option(
    "--previous", type=_PATH, help="Previous evidence of this host; links the new statement to it."
)
@click.option(
    "--policy",
    type=_PATH,
    help="With --previous: trust policy to verify it; the report then lists changes since.",
)
@fail_on_option
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def scan(
    target: str,
    profile_name: str,
    *,
    output: Path | None,
    keys: key_options.KeyOptions,
    content: datastream.ContentSelection | None,
    ssh_config: Path | None,
    identity: Path | None,
    known_hosts: Path | None,
    host_keys: tuple[str, ...],
    trust_new_host_key: bool,
    ask_sudo_password: bool,
    no_smoke: bool,
    compatibility: bool,
    nonce: str,
    tsa: str | None,
    certificate: Path | None,
    previous: Path | None,
    policy: Path | None,
    fail_on: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Scan TARGET ([user@]host[:port]) and write signed evidence.

    Exits with 0 if the target is compliant (see --fail-on), 1 if not, 4 if a tool failed or a part
    of the scan has no results (the evidence contains the other parts), 5 if the target is
    unreachable, 6 if its host key does not match.
    """
    if output is not None and not output.name.endswith(EVIDENCE_SUFFIX):
        raise InputError(f"{output}: expected a name that ends in {EVIDENCE_SUFFIX}")
    previous_scan = load_previous(previous, policy)
    profile = load_profile(profile_name)
    evidence_signers = key_options.load_signers(keys)
    sign_timestamp = timestamper(tsa)
    if certificate is not None:
        load_matching_certificate(certificate, evidence_signers.scan)
    ssh_target = parse_target(
        target,
        ssh_config=ssh_config,
        identity=identity,
        host_keys=host_keys,
        known_hosts=known_hosts,
        trust_new_host_key=trust_new_host_key,
    )
    password = prompt_secret("sudo password") if ask_sudo_password else ""
    with show_progress(quiet=quiet) as emit:
        source = datastream.find(profile.stig.content, content)
        emit(StageMessage(stage="content", text=str(source)))
        request = pipeline.ScanRequest(
            target=ssh_target,
            profile=profile,
            content=prepare.prepare(source, profile.stig.profile_id),
            run_smoke=not no_smoke,
            run_compatibility=compatibility,
            nonce=nonce,
            sudo_password=password,
            invocation=("hardpan", *sys.argv[1:]),
        )
        result = pipeline.scan(request, emit)
        report = writer.build_report(result, evidence_signers.scan)
        chain = next_chain_link(previous, result.host.host_key_sha256)
        signing_options = writer.SigningOptions(
            timestamper=sign_timestamp,
            certificate=certificate,
            chain=chain,
            runner=scanner_identity(),
            changes=None
            if previous_scan is None
            else changes_since_previous(previous_scan, chain, report),
        )
        output = output or Path(writer.default_filename(report.findings))
        writer.write_evidence(
            result,
            evidence_signers.scan,
            output,
            emit,
            nonce=nonce,
            pq_signer=evidence_signers.pq,
            options=signing_options,
        )
    _print_result(report.findings, format_summary(report.findings, report.smoke), output, as_json)
    report.findings.require_complete()
    return int(Exit.FINDINGS if report.findings.has_open_rules(fail_on) else Exit.OK)


def _print_result(
    findings: Findings, summary: tuple[str, ...], output: Path, as_json: bool
) -> None:
    if as_json:
        answer = {
            "evidence": str(output),
            "counts": dict(findings.counts),
            "open": findings.count_open_by_severity(),
            "content": findings.content.identity_to_json(),
            "compatibility": None
            if findings.compatibility is None
            else findings.compatibility.count_verdicts(),
        }
        print_json(answer)
        return
    for line in summary:
        print_line(line)
    print_line(f"evidence: {output}")
