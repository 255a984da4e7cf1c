"""VERIFY.md and verify.sh: how to check the evidence without hardpan. Tests run both."""

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hardpan.resources import resource_path
from hardpan.scanners.report.base import Report


def guide(report: Report) -> str:
    """The text of VERIFY.md. Holds nothing that came from the target."""
    return _drawn("VERIFY.md.j2", report)


def script(report: Report) -> str:
    """The text of verify.sh: the same for all evidence of one predicate type."""
    return _drawn("verify.sh.j2", report)


def _drawn(template: str, report: Report) -> str:
    jinja = Environment(
        loader=FileSystemLoader(resource_path("hardpan.scanners.evidence", "templates")),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # no HTML; the two values are a digest and a constant
    )
    return jinja.get_template(template).render(
        signer_sha256=report.signer_sha256, predicate_type=report.predicate_type
    )
