"""``hardpan export``: write one format again from verified evidence."""

from pathlib import Path

import click

from hardpan import clock
from hardpan.errors import InputError
from hardpan.files import write_atomic
from hardpan.terminal import err, plain, say
from scanners.evidence.policy import load_policy
from scanners.evidence.statement import PREDICATE_TYPE
from scanners.evidence.verify import verify
from scanners.report.base import FORMATS, Report, renderer


@click.command(
    epilog="Formats: " + "; ".join(f"{n}: {f.about}" for n, f in sorted(FORMATS.items()))
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
    "-o", "--output", type=click.Path(path_type=Path), help="File to write; else to stdout."
)
def export(evidence: Path, policy: Path, name: str, output: Path | None) -> None:
    """Write EVIDENCE in another format, from its signed findings.

    The evidence is verified first; what the policy's limits say does not matter here.
    """
    verified = verify(evidence, load_policy(policy), now=clock.now())
    if FORMATS[name].of_smoke and verified.smoke is None:
        raise InputError(f"{evidence}: no smoke test ran, so there is no {FORMATS[name].file}")
    drawn = renderer(name).render(
        Report(
            findings=verified.findings,
            smoke=verified.smoke,
            signer_sha256=verified.signer_sha256,
            predicate_type=PREDICATE_TYPE,
        )
    )
    if output is None:
        click.echo(drawn, nl=False)
        return
    write_atomic(output, drawn)
    say(err, plain(f"wrote {output}"))
