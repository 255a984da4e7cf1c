"""VERIFY.md and verify.sh: how to check the evidence without hardpan. Tests run both."""

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hardpan.core.identifiers import PREDICATE_TYPE
from hardpan.core.resources import resource_path
from hardpan.scanners.report.registry import Report


def render_verify_md(report: Report) -> str:
    """The text of VERIFY.md. Holds nothing that came from the target."""
    return _render("VERIFY.md.j2", report.predicate_type, signer_sha256=report.signer_sha256)


def render_verify_script(predicate_type: str = PREDICATE_TYPE) -> str:
    """The text of verify.sh: the same for all evidence of one predicate type.

    An auditor runs the one that the installed hardpan writes, never the copy in the archive that
    is to be checked: whoever forged the archive wrote that one too.
    """
    return _render("verify.sh.j2", predicate_type)


def _render(template: str, predicate_type: str, *, signer_sha256: str = "") -> str:
    environment = Environment(
        loader=FileSystemLoader(resource_path("hardpan.scanners.evidence.sign", "templates")),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # no HTML; the two values are a digest and a constant
    )
    return environment.get_template(template).render(
        signer_sha256=signer_sha256, predicate_type=predicate_type
    )
