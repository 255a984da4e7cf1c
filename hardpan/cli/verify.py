"""``hardpan verify``: verify evidence against a trust policy and print each check."""

from pathlib import Path

import click

from hardpan.cli.check_records import format_check_records
from hardpan.core import clock
from hardpan.core.console import print_document, print_json, print_line, print_message, stderr
from hardpan.core.errors import Exit, UsageError
from hardpan.core.files import write_atomic
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.scanners.evidence.sign.verify_instructions import render_verify_script
from hardpan.scanners.evidence.verify import svr
from hardpan.scanners.evidence.verify.registry import records_to_json
from hardpan.scanners.evidence.verify.verification_log import CheckRecord, VerificationError
from hardpan.scanners.evidence.verify.verifier import VerifiedEvidence
from hardpan.scanners.evidence.verify.verifier import verify as verify_evidence
from hardpan.signing import load_signer, sign

_STDOUT = "-"


def _emit_script(context: click.Context, _: click.Parameter, file: str | None) -> None:
    """Write verify.sh and end: it needs neither evidence nor a policy."""
    if file is None or context.resilient_parsing:
        return
    if file == _STDOUT:
        print_document(render_verify_script().encode())
    else:
        write_atomic(Path(file), render_verify_script(), mode=0o755)
        print_message(stderr, f"wrote {file}")
    context.exit()


@click.command()
@click.argument("evidence", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    required=True,
    type=click.Path(path_type=Path),
    help="Trust policy (trust.yaml); see 'hardpan keys new'.",
)
@click.option(
    "--emit-script",
    metavar="[FILE]",
    is_flag=False,
    flag_value=_STDOUT,
    is_eager=True,
    expose_value=False,
    callback=_emit_script,
    help="Print verify.sh, or write it to FILE, and exit. It checks unpacked evidence with "
    "openssl, jq and coreutils. Never run the copy that an archive brings.",
)
@click.option(
    "--emit-svr",
    type=click.Path(path_type=Path),
    help="Write the outcome as a signed in-toto verification result (SVR v0.2). Needs --key.",
)
@click.option(
    "--key", type=click.Path(path_type=Path), help="The verifier's own key, of the role verify."
)
@click.option(
    "--passphrase-file", type=click.Path(path_type=Path), help="Its first line opens the key."
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def verify(
    evidence: Path,
    policy: Path,
    emit_svr: Path | None,
    key: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> int:
    """Check EVIDENCE against a policy.

    Exits with 0 if every check passes, 1 if the evidence is authentic but exceeds the thresholds
    of the policy, 3 if a file cannot be used, 6 if the evidence is not trusted.
    """
    if (emit_svr is None) != (key is None):
        raise UsageError("--emit-svr and --key go together")
    trust = load_trust_policy(policy)
    signer = load_signer(key, passphrase_file=passphrase_file) if key else None
    if signer is not None:
        svr.check_signer_role(signer, trust)
    now = clock.now()
    try:
        verified = verify_evidence(evidence, trust, now=now)
    except VerificationError as e:
        _print_result(e.records, "refused", None, as_json=as_json)
        raise
    if emit_svr is not None and signer is not None:
        statement = svr.build_statement(
            verified, trust, evidence_name=evidence.name, policy_name=policy.name, now=now
        )
        write_atomic(emit_svr, sign(statement, signer).bundle)
    _print_result(verified.records, verified.verdict, verified, as_json=as_json)
    return int(Exit.OK if verified.is_within_thresholds else Exit.FINDINGS)


def _print_result(
    records: tuple[CheckRecord, ...],
    verdict: str,
    verified: VerifiedEvidence | None,
    *,
    as_json: bool,
) -> None:
    if as_json:
        answer: dict[str, object] = {"verdict": verdict, "checks": records_to_json(records)}
        if verified is not None:
            answer["statementSha256"] = verified.statement_sha256
            answer["key"] = verified.key.id
            answer["counts"] = verified.findings.counts
        print_json(answer)
        return
    for line in format_check_records(records):
        print_line(line)
    print_line(f"verdict: {verdict}")
