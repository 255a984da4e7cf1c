"""What a report is, and the table of the formats it is written in."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Protocol, cast

from hardpan.core.errors import InputError
from hardpan.core.files import canonical_json
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.scanners.report.model.expected_signatures import ExpectedSignatures
from hardpan.scanners.report.model.scan_changes import ScanChanges
from hardpan.scanners.stig.manual_stig import find_stig


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a report may be drawn from."""

    findings: Findings
    smoke: SmokeDocument | None
    signer_sha256: str
    """Fingerprint of the key that signs the evidence the report lies in."""

    predicate_type: str
    """Type of the signed statement, as ``cosign --type`` wants it."""

    expected_signatures: ExpectedSignatures | None = None
    """How that evidence is to be signed; None where nobody said."""

    changes: ScanChanges | None = None
    """Only where it was compared with older evidence, which verified."""

    @cached_property
    def findings_json(self) -> bytes:
        """The findings as RFC 8785 bytes; several formats take their digest."""
        return canonical_json(self.findings.to_json())


class Renderer(Protocol):
    """Draws one report. Pure: the same report gives the same bytes."""

    def render(self, report: Report) -> bytes:
        """The file's content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format of the table."""

    filename: str
    """Its name in the evidence."""

    description: str
    """What it is, and who reads it."""

    renderer: str
    """``module:class``; the module is imported only when the format is drawn."""

    is_attached: bool = True
    """Whether evidence carries it; one that it does not is drawn by ``hardpan export``."""

    requires_smoke: bool = False
    """True for what exists only where a smoke test ran."""

    requires_stig: bool = False
    """True for what exists only where DISA's STIG for the content is on record."""

    requires_changes: bool = False
    """True for what exists only where the scan was compared with an older one."""

    def is_available(self, report: Report) -> bool:
        """False where there is nothing to draw it from."""
        stig = find_stig(report.findings.content.benchmark_id)
        return (
            (report.smoke is not None or not self.requires_smoke)
            and (stig is not None or not self.requires_stig)
            and (report.changes is not None or not self.requires_changes)
        )


FORMATS = {
    "changes": Format(
        filename="changes.json",
        description="what changed since the scan before, as the page tells it",
        renderer="hardpan.scanners.report.formats.json_documents:ChangesJson",
        requires_changes=True,
    ),
    "csv": Format(
        filename="findings.csv",
        description="the rules as a table, for spreadsheets",
        renderer="hardpan.scanners.report.formats.csv:Csv",
    ),
    "findings": Format(
        filename="findings.json",
        description="the findings, rule by rule: what every other format is drawn from",
        renderer="hardpan.scanners.report.formats.json_documents:FindingsJson",
    ),
    "html": Format(
        filename="report.html",
        description="one page for people, opens offline",
        renderer="hardpan.scanners.report.html.page:Html",
    ),
    "junit": Format(
        filename="junit.xml",
        description="the testinfra and compatibility checks for CI systems",
        renderer="hardpan.scanners.report.formats.junit:ChecksJunit",
    ),
    "junit-rules": Format(
        filename="junit-rules.xml",
        description="the rules for CI systems",
        renderer="hardpan.scanners.report.formats.junit:RulesJunit",
    ),
    "cklb": Format(
        filename="checklist.cklb",
        description="the STIG's checklist for STIG Viewer 3, STIG Manager and eMASS",
        renderer="hardpan.scanners.report.stig.cklb:Cklb",
        requires_stig=True,
    ),
    "ckl": Format(
        filename="checklist.ckl",
        description="the same for STIG Viewer 2 and tools of its time",
        renderer="hardpan.scanners.report.stig.ckl:Ckl",
        requires_stig=True,
    ),
    "hdf": Format(
        filename="hdf.json",
        description="the requirements for Heimdall and the SAF tools",
        renderer="hardpan.scanners.report.formats.hdf:Hdf",
    ),
    "oscal-ar": Format(
        filename="assessment-results.json",
        description="OSCAL assessment results, for GRC tools",
        renderer="hardpan.scanners.report.oscal.assessment_results:AssessmentResults",
    ),
    "oscal-poam": Format(
        filename="poam.json",
        description="OSCAL plan of action and milestones: the rules that are open or waived",
        renderer="hardpan.scanners.report.oscal.poam:Poam",
    ),
    "sarif": Format(
        filename="findings.sarif",
        description="SARIF 2.1.0 of the rules, for code-scanning services and viewers",
        renderer="hardpan.scanners.report.formats.sarif:Sarif",
    ),
    "smoke": Format(
        filename="smoke.json",
        description="the AI workload's figures",
        renderer="hardpan.scanners.report.formats.json_documents:SmokeJson",
        requires_smoke=True,
    ),
    "summary": Format(
        filename="summary.md",
        description="the answer on one page, in Markdown",
        renderer="hardpan.scanners.report.formats.markdown_summary:SummaryMd",
    ),
    "pdf": Format(
        filename="summary.pdf",
        description="the summary as PDF, by WeasyPrint",
        renderer="hardpan.scanners.report.formats.pdf:Pdf",
        is_attached=False,
    ),
}
"""Every format; a new one is a file beside this one and a row here."""


def load_renderer(name: str) -> Renderer:
    """Make the renderer called ``name``; its module is imported only now.

    Raises:
        InputError: there is no such format.
    """
    if name not in FORMATS:
        raise InputError(f"no format {name!r}", hint=f"known: {', '.join(sorted(FORMATS))}")
    module, _, class_name = FORMATS[name].renderer.partition(":")
    return cast(Renderer, getattr(import_module(module), class_name)())


def render_attachments(report: Report) -> Iterator[tuple[str, bytes]]:
    """File name and content of all formats that evidence carries, drawn one by one."""
    for name, spec in FORMATS.items():
        if spec.is_attached and spec.is_available(report):
            yield spec.filename, load_renderer(name).render(report)
