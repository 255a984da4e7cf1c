"""What a report is, and the table of them."""

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from hardpan.errors import InputError
from scanners.report.documents import Findings, SmokeDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a report may be drawn from."""

    findings: Findings
    smoke: SmokeDocument | None
    signer_sha256: str
    """Fingerprint of the key that signs the evidence the report lies in."""

    predicate_type: str
    """Type of the signed statement, as ``cosign --type`` wants it."""


class Renderer(Protocol):
    """Draws one report. Pure: the same report gives the same bytes."""

    def render(self, report: Report) -> bytes:
        """The file's content."""


REPORTS = {
    "findings": "scanners.report.json_documents:FindingsJson",
    "html": "scanners.report.html:Html",
    "junit": "scanners.report.junit:ChecksJunit",
    "junit-rules": "scanners.report.junit:RulesJunit",
    "smoke": "scanners.report.json_documents:SmokeJson",
}


def renderer(name: str) -> Renderer:
    """Make the renderer called ``name``; its module is imported only now."""
    if name not in REPORTS:
        raise InputError(f"no report {name!r}", hint=f"known: {', '.join(sorted(REPORTS))}")
    module, _, cls = REPORTS[name].partition(":")
    return cast(Renderer, getattr(import_module(module), cls)())
