"""VERIFY.md and verify.sh: how to check the evidence without hardpan. Tests run both."""

from hardpan.core.identifiers import PREDICATE_TYPE
from hardpan.core.resources import resource_path
from hardpan.core.templates import text_environment
from hardpan.scanners.report.registry import Report


def render_verify_md(report: Report) -> str:
    """Render VERIFY.md, which contains no data from the target."""
    return _render("VERIFY.md.j2", report.predicate_type, signer_sha256=report.signer_sha256)


def render_verify_script(predicate_type: str = PREDICATE_TYPE) -> str:
    """Render verify.sh, which is the same for all evidence of one predicate type.

    An auditor runs the one that the installed hardpan writes, never the copy in the archive that
    is to be checked: whoever forged the archive wrote that one too.
    """
    return _render("verify.sh.j2", predicate_type)


def _render(template: str, predicate_type: str, *, signer_sha256: str = "") -> str:
    environment = text_environment(
        resource_path("hardpan.scanners.evidence.sign", "templates"), trim_blocks=False
    )
    return environment.get_template(template).render(
        signer_sha256=signer_sha256, predicate_type=predicate_type
    )
