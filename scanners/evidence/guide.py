"""VERIFY.md: how to check the evidence without hardpan. A test runs its commands."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scanners.report.base import Report


def guide(report: Report) -> str:
    """The text of VERIFY.md. Holds nothing that came from the target."""
    jinja = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # Markdown; its two values are a digest and a constant
    )
    return jinja.get_template("VERIFY.md.j2").render(
        signer_sha256=report.signer_sha256, predicate_type=report.predicate_type
    )
