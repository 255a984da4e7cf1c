"""``hardpan scan``: scan a running host over SSH and sign the evidence."""

import contextlib
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from hardpan.cli import key_options
from hardpan.cli.content_option import content_option
from hardpan.cli.deviation_options import tailoring_option, waivers_option
from hardpan.cli.fail_on_option import fail_on_option
from hardpan.cli.nonce_option import nonce_option
from hardpan.cli.require_option import require_option
from hardpan.cli.scan_signing import SigningKey, prepare_signing, write_evidence
from hardpan.cli.target_options import TargetOptions, target_options
from hardpan.core.console import print_json, print_line, show_progress
from hardpan.core.errors import Exit, InputError, UsageError
from hardpan.core.events import Emit
from hardpan.core.files import require_free_space, require_writable_folder
from hardpan.profiles.loader.waiver_file import load_waivers
from hardpan.scanners import pipeline
from hardpan.scanners.collect.openscap_packages import load_packages
from hardpan.scanners.collect.plan import load_plan
from hardpan.scanners.content import datastream
from hardpan.scanners.content.script_checks import CheckEngine
from hardpan.scanners.content_provider import ContentProvider
from hardpan.scanners.deviations.tailoring_file import load_tailoring
from hardpan.scanners.evidence.file_names import EVIDENCE_SUFFIX
from hardpan.scanners.evidence.signing_options import (
    TIMESTAMP_HELP,
)
from hardpan.scanners.report.formats.text_summary import format_summary
from hardpan.scanners.report.headline import build_headline
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.registry import Report
from hardpan.scanners.scan_request import ScanRequest
from hardpan.ssh.local_target import AnyTarget
from hardpan.ssh.target import Target
from hardpan.ssh.transport_kind import TransportKind
from hardpan.ssh.transports import CONNECT_TIMEOUT_S, open_connection
from hardpan.workflow.image_target import ImageTarget, OpenTarget

_PATH = click.Path(path_type=Path)
_EVIDENCE_MIB = 32
"""Free space for the evidence; that of a STIG scan has 5 MiB, and is written to a new file."""
_WORKLOAD_PARTS = frozenset({"smoke", "chat"})


@click.command()
@click.argument("target")
@click.option(
    "--profile",
    "profile_name",
    metavar="NAME|FILE|XCCDF",
    help="hardpan profile (shipped name or file), or XCCDF profile of the content: stig, cis, a "
    "full id; default: the content's STIG, CIS level 1 server or standard profile.",
)
@click.option(
    "-o",
    "--output",
    type=_PATH,
    help="Evidence file to write; default: HOST-PROFILE-TIME.evidence.zip.",
)
@key_options.key_options
@content_option
@click.option(
    "--benchmark", metavar="ID", default="", help="Benchmark, if the content has several."
)
@waivers_option
@tailoring_option
@target_options
@require_option
@click.option(
    "--push-openscap",
    "openscap_packages",
    type=_PATH,
    multiple=True,
    metavar="RPM|DEB",
    help="Package of OpenSCAP to upload and unpack on the target for this scan; repeatable.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 16),
    metavar="N",
    help="Number of oscap processes on the target; default: by its processors and available "
    "memory, at most 4.",
)
@click.option(
    "--engine",
    "engine_name",
    type=click.Choice([e.value for e in CheckEngine]),
    default=CheckEngine.OVAL.value,
    show_default=True,
    help="What evaluates the rules that search all file systems: sce is faster, and uses the "
    "content's scripts if the target's OpenSCAP has the plugin.",
)
@click.option("--no-smoke", is_flag=True, help="Skip the AI workload test.")
@click.option(
    "--compatibility",
    is_flag=True,
    help="Run the compatibility checks of hardening and AI workloads for any profile.",
)
@nonce_option
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
    profile_name: str | None,
    *,
    output: Path | None,
    keys: key_options.KeyOptions,
    content: datastream.ContentSelection | None,
    benchmark: str,
    required: frozenset[str],
    waiver_file: Path | None,
    tailoring_file: Path | None,
    access: TargetOptions,
    openscap_packages: tuple[Path, ...],
    jobs: int | None,
    engine_name: str,
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
    """Scan TARGET and write signed evidence.

    TARGET is [user@]host[:port]; local: is this machine, image:FILE.qcow2 a virtual machine that is
    booted from a temporary copy of a disk image.

    The content and the profile follow the target's /etc/os-release, and the signing key is
    created on first use, unless options name them.

    Exits with 0 if the target is compliant (see --fail-on), 1 if not, 4 if a tool failed or a part
    of the scan has no results (the evidence contains the other parts), 5 if the target is
    unreachable, 6 if its host key does not match.
    """
    _check_options(output, required if no_smoke else frozenset())
    engine = CheckEngine(engine_name)
    if openscap_packages and engine is CheckEngine.SCE:
        raise UsageError(
            "--push-openscap: expected no --engine sce, which needs OpenSCAP on the target"
        )
    plan = load_plan(profile_name)
    if waiver_file is not None:
        plan = replace(plan, waivers=(*plan.waivers, *load_waivers(waiver_file)))
    tailoring = None if tailoring_file is None else load_tailoring(tailoring_file)
    scan_target = access.parse(target)
    packages = load_packages(openscap_packages)
    signing = prepare_signing(
        keys, tsa=tsa, certificate=certificate, previous=previous, policy=policy, nonce=nonce
    )
    sudo_password = access.read_sudo_password()
    login_password = scan_target.password if isinstance(scan_target, Target) else ""
    provider = ContentProvider(
        plan=plan,
        content=content,
        benchmark=benchmark,
        tailoring=tailoring,
        jobs=jobs,
        engine=engine,
        passwords={"sudo": sudo_password, "SSH": login_password},
    )
    provider.require_readable()
    with show_progress(quiet=quiet) as emit:
        with _open_target(scan_target, emit) as opened:
            request = ScanRequest(
                plan=plan,
                provide_content=provider.provide,
                required=required,
                openscap_packages=packages,
                run_smoke=not no_smoke,
                run_compatibility=compatibility,
                image=opened.image,
                invocation=("hardpan", *sys.argv[1:]),
                previous=signing.previous_statement,
            )
            with open_connection(
                opened.target,
                timeout_s=CONNECT_TIMEOUT_S,
                sudo_password=sudo_password,
                transport=TransportKind(access.transport),
                emit=emit,
            ) as connection:
                result = pipeline.scan(request, connection, emit)
                result = pipeline.let_host_sign(
                    result, connection, emit, nonce=nonce, required=required
                )
        report, evidence = write_evidence(result, signing, output, emit)
    if as_json:
        _print_json(report.findings, evidence, signing.key, fail_on)
    else:
        _print_summary(report, evidence, signing.key, fail_on)
    report.findings.require_complete()
    return int(Exit.FINDINGS if report.findings.has_open_rules(fail_on) else Exit.OK)


def _check_options(output: Path | None, required_without_smoke: frozenset[str]) -> None:
    """Check what would otherwise be noticed after the scan."""
    if output is not None and not output.name.endswith(EVIDENCE_SUFFIX):
        raise InputError(f"{output}: expected a name that ends in {EVIDENCE_SUFFIX}")
    folder = Path() if output is None else output.parent
    require_writable_folder(folder)
    require_free_space(folder, _EVIDENCE_MIB, purpose="the evidence")
    if not required_without_smoke.isdisjoint(_WORKLOAD_PARTS):
        raise UsageError("--no-smoke: expected no --require smoke or chat, which it leaves out")


@contextlib.contextmanager
def _open_target(target: AnyTarget | ImageTarget, emit: Emit) -> Iterator[OpenTarget]:
    """Boot the target for the length of the block if it is an image."""
    if not isinstance(target, ImageTarget):
        yield OpenTarget(target=target)
        return
    # It needs the extra 'build', which other targets do not.
    from hardpan.workflow.image_scan import boot_image

    with boot_image(target, emit) as booted_target:
        yield booted_target


def _format_command(command: str, evidence: Path, policy: Path | None, *options: str) -> str:
    """Return a command on the evidence as a shell reads it."""
    argv = ["hardpan", command, str(evidence), "--policy", str(policy or "trust.yaml"), *options]
    return shlex.join(argv)


def _print_json(findings: Findings, output: Path, scan_key: SigningKey, fail_on: str) -> None:
    headline = build_headline(findings)
    compatibility, tailoring = findings.compatibility, findings.content.tailoring
    answer = {
        "evidence": str(output),
        "key": scan_key.name,
        "verify": _format_command("verify", output, scan_key.policy),
        "profile": findings.profile,
        "counts": dict(findings.counts),
        "scores": findings.scores_to_json(),
        "headline": headline.to_json(),
        "gate": headline.describe_gate(fail_on),
        "open": findings.count_open_by_severity(),
        "openChecks": findings.count_open_checks_by_severity(),
        "content": findings.content.identity_to_json(),
        "tailoring": None if tailoring is None else tailoring.describe(),
        "waiverWarnings": [record.describe() for record in findings.waiver_warnings()],
        "compatibility": None if compatibility is None else compatibility.count_verdicts(),
    }
    print_json(answer)


def _print_summary(report: Report, output: Path, scan_key: SigningKey, fail_on: str) -> None:
    """Print the results, and what a user does with the evidence; the last line verifies it."""
    headline = build_headline(report.findings)
    html_options = ("--as", "html", "-o", "report.html")
    for line in (
        *format_summary(report.findings, report.smoke),
        f"result: {headline.describe_open()}; gate {headline.describe_gate(fail_on)}",
        f"key: {scan_key.name}",
        f"evidence: {output}",
        f"report: {_format_command('export', output, scan_key.policy, *html_options)}",
        f"verify: {_format_command('verify', output, scan_key.policy)}",
    ):
        print_line(line)
