"""``hardpan export``: render a format from verified evidence."""

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
    help="Trust policy; only verified evidence is exported.",
)
@click.option("--as", "name", required=True, type=click.Choice(sorted(FORMATS)), help="Format.")
@click.option(
    "--since",
    type=click.Path(path_type=Path),
    help="With --as html: show changes since this evidence file instead of the one recorded at "
    "scan time.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write to this file instead of stdout."
)
def export(
    evidence: Path, policy: Path, name: str, since: Path | None, output: Path | None
) -> None:
    """Render EVIDENCE in another format, from its signed findings.

    The evidence is verified first. Exceeded policy thresholds do not prevent an export.
    """
    if since is not None and name != "html":
        raise UsageError(f"--since: expected --as html, got --as {name}")
    trust = load_trust_policy(policy)
    verified = verify(evidence, trust, now=clock.now())
    file = FORMATS[name].filename
    if FORMATS[name].requires_smoke and verified.smoke is None:
        raise InputError(f"{evidence}: no smoke test ran, so there is no {file}")
    if FORMATS[name].requires_changes and verified.changes is None:
        raise InputError(
            f"{evidence}: was not compared with an earlier scan, so there is no {file}",
            hint="'hardpan diff OLDER NEWER' compares two; 'hardpan scan --previous' attaches it",
        )
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
