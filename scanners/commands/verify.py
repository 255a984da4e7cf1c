"""``hardpan verify``: check evidence against a policy, and say each check."""

from pathlib import Path

import click

from hardpan import clock
from hardpan.errors import Exit, UsageError
from hardpan.files import write_atomic
from hardpan.scanners.evidence import svr
from hardpan.scanners.evidence.checks import CHECKS, Outcome, RefusedError, Status, as_data
from hardpan.scanners.evidence.guide import script
from hardpan.scanners.evidence.trust import load_policy
from hardpan.scanners.evidence.verify import Verified
from hardpan.scanners.evidence.verify import verify as check
from hardpan.signing import load_signer, sign
from hardpan.terminal import err, print_document, print_json, print_line, say

_MARKS = {
    Status.PASSED: "ok",
    Status.FAILED: "FAIL",
    Status.EXCEEDED: "OVER",
    Status.SKIPPED: "-",
    Status.NOT_CHECKED: "-",
    Status.NOT_RUN: "-",
}

_DESCRIPTIONS = dict(CHECKS)


_STDOUT = "-"


def _emit_script(context: click.Context, _: click.Parameter, file: str | None) -> None:
    """Write verify.sh and end: it needs neither evidence nor a policy."""
    if file is None or context.resilient_parsing:
        return
    if file == _STDOUT:
        print_document(script().encode())
    else:
        write_atomic(Path(file), script(), mode=0o755)
        say(err, f"wrote {file}")
    context.exit()


@click.command()
@click.argument("evidence", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    required=True,
    type=click.Path(path_type=Path),
    help="Whom and what you trust (trust.yaml); see 'hardpan keys new'.",
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

    Exits with 0 when every check holds, 1 when it is genuine but exceeds the
    policy's limits, 3 when a file cannot be used, 6 when it is not to be trusted.
    """
    if (emit_svr is None) != (key is None):
        raise UsageError("--emit-svr and --key go together")
    trust = load_policy(policy)
    signer = load_signer(key, passphrase_file=passphrase_file) if key else None
    if signer is not None:
        svr.check_role(signer, trust)
    now = clock.now()
    try:
        verified = check(evidence, trust, now=now)
    except RefusedError as e:
        _print(e.outcomes, "refused", None, as_json=as_json)
        raise
    verdict = "verified" if verified.within_limits else "over the limits"
    if emit_svr is not None and signer is not None:
        made = svr.statement(
            verified, trust, evidence_name=evidence.name, policy_name=policy.name, now=now
        )
        write_atomic(emit_svr, sign(made, signer).bundle)
    _print(verified.outcomes, verdict, verified, as_json=as_json)
    return int(Exit.DONE if verified.within_limits else Exit.FINDINGS)


def _print(
    outcomes: tuple[Outcome, ...], verdict: str, verified: Verified | None, *, as_json: bool
) -> None:
    if as_json:
        answer: dict[str, object] = {"verdict": verdict, "checks": as_data(outcomes)}
        if verified is not None:
            answer["statementSha256"] = verified.statement_sha256
            answer["key"] = verified.key.id
            answer["counts"] = verified.findings.counts
        print_json(answer)
        return
    for line in said(outcomes):
        print_line(line)
    print_line(f"verdict: {verdict}")


def said(outcomes: tuple[Outcome, ...]) -> tuple[str, ...]:
    """One line per check: mark, id, what it says or what was found."""
    return tuple(f"{_MARKS[o.outcome]:<5} {o.id:<12} {_why(o)}" for o in outcomes)


def _why(o: Outcome) -> str:
    match o.outcome:
        case Status.FAILED | Status.EXCEEDED:
            return o.why
        case Status.PASSED:
            return f"{_DESCRIPTIONS[o.id]}{': ' + o.why if o.why else ''}"
        case _:
            return f"{o.outcome}: {o.why}"
