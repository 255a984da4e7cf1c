"""``hardpan export``: write one format again from verified evidence."""

from pathlib import Path

import click

from hardpan.core import clock
from hardpan.core.console import print_document, print_message, stderr
from hardpan.core.errors import InputError, UsageError
from hardpan.core.files import write_atomic
from hardpan.core.identifiers import PREDICATE_TYPE
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.scanners.evidence.statement.expected_signatures import read_expected_signatures
from hardpan.scanners.evidence.verify.verifier import verify
from hardpan.scanners.ledger.previous_evidence import changes_since, load_older
from hardpan.scanners.ledger.verification import snapshot_of
from hardpan.scanners.report.registry import FORMATS, Report, load_renderer


@click.command(
    epilog="Formats: " + "; ".join(f"{n}: {f.description}" for n, f in sorted(FORMATS.items()))
)
@click.argument("evidence", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    required=True,
    type=click.Path(path_type=Path),
    help="Whom and what you trust: nothing is drawn from what does not verify.",
)
@click.option("--as", "name", required=True, type=click.Choice(sorted(FORMATS)), help="Format.")
@click.option(
    "--since",
    type=click.Path(path_type=Path),
    help="With --as html: older evidence; the page tells what changed since, "
    "not since the one that the scan was compared with.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write; else to stdout."
)
def export(
    evidence: Path, policy: Path, name: str, since: Path | None, output: Path | None
) -> None:
    """Write EVIDENCE in another format, from its signed findings.

    The evidence is verified first; what the policy's limits say does not matter here.
    """
    if since is not None and name != "html":
        raise UsageError("--since: only the page tells what changed: give --as html with it")
    trust = load_trust_policy(policy)
    verified = verify(evidence, trust, now=clock.now())
    file = FORMATS[name].filename
    if FORMATS[name].requires_smoke and verified.smoke is None:
        raise InputError(f"{evidence}: no smoke test ran, so there is no {file}")
    if FORMATS[name].requires_changes and verified.changes is None:
        raise InputError(f"{evidence}: was compared with no older scan, so there is no {file}")
    scan_changes = verified.changes
    if since is not None:
        scan_changes = changes_since(load_older(since, trust), snapshot_of(evidence, verified))
    content = load_renderer(name).render(
        Report(
            findings=verified.findings,
            smoke=verified.smoke,
            signer_sha256=verified.signer_sha256,
            predicate_type=PREDICATE_TYPE,
            expected_signatures=read_expected_signatures(verified.statement.predicate),
            changes=scan_changes,
        )
    )
    if output is None:
        print_document(content)
        return
    write_atomic(output, content)
    print_message(stderr, f"wrote {output}")
