"""The input of every report format, and the registry of the formats."""

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
    """The verified data that a format renders."""

    findings: Findings
    smoke: SmokeDocument | None
    signer_sha256: str
    """Fingerprint of the key that signs the evidence."""

    predicate_type: str
    """Type of the signed statement, as ``cosign --type`` expects it."""

    expected_signatures: ExpectedSignatures | None = None
    """The signatures that the statement announces; None if unknown."""

    changes: ScanChanges | None = None
    """None unless the scan was compared with earlier evidence, which verified."""

    @cached_property
    def findings_json(self) -> bytes:
        """The findings as RFC 8785 bytes; several formats take their digest."""
        return canonical_json(self.findings.to_json())


class Renderer(Protocol):
    """Renders one format. Pure: the same report gives the same bytes."""

    def render(self, report: Report) -> bytes:
        """Render the content of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One entry of the registry."""

    filename: str
    """File name in the evidence."""

    description: str
    """Its purpose and its consumers, for ``export --help``."""

    consumers: str
    """Programs or people that read it, for the index of the evidence."""

    renderer: str
    """``module:class``; the module is imported only when the format is rendered."""

    is_attached: bool = True
    """True if evidence contains it; other formats are rendered by ``hardpan export``."""

    requires_smoke: bool = False
    """True if it needs the results of a smoke test."""

    requires_stig: bool = False
    """True if it needs DISA's STIG of the content."""

    requires_changes: bool = False
    """True if it needs a comparison with an earlier scan."""

    def is_available(self, report: Report) -> bool:
        """Return whether the report has the data that this format needs."""
        stig = find_stig(report.findings.content.benchmark_id)
        return (
            (report.smoke is not None or not self.requires_smoke)
            and (stig is not None or not self.requires_stig)
            and (report.changes is not None or not self.requires_changes)
        )


FORMATS = {
    "changes": Format(
        filename="changes.json",
        description="changes since the previous scan, as listed in report.html",
        consumers="programs",
        renderer="hardpan.scanners.report.formats.json_documents:ChangesJson",
        requires_changes=True,
    ),
    "csv": Format(
        filename="findings.csv",
        description="the rules and checks as a table, for spreadsheets",
        consumers="Excel, LibreOffice",
        renderer="hardpan.scanners.report.formats.csv:Csv",
    ),
    "findings": Format(
        filename="findings.json",
        description="the findings, rule by rule; source of every other format",
        consumers="programs, jq",
        renderer="hardpan.scanners.report.formats.json_documents:FindingsJson",
    ),
    "html": Format(
        filename="report.html",
        description="self-contained HTML report, opens offline",
        consumers="people",
        renderer="hardpan.scanners.report.html.page:Html",
    ),
    "junit": Format(
        filename="junit.xml",
        description="the checks of the running system and of compatibility, for CI systems",
        consumers="Jenkins, GitLab and other CI systems",
        renderer="hardpan.scanners.report.formats.junit:ChecksJunit",
    ),
    "junit-rules": Format(
        filename="junit-rules.xml",
        description="the rules, for CI systems",
        consumers="Jenkins, GitLab and other CI systems",
        renderer="hardpan.scanners.report.formats.junit:RulesJunit",
    ),
    "cklb": Format(
        filename="checklist.cklb",
        description="the STIG's checklist for STIG Viewer 3, STIG Manager and eMASS",
        consumers="STIG Viewer 3, STIG Manager, eMASS",
        renderer="hardpan.scanners.report.stig.cklb:Cklb",
        requires_stig=True,
    ),
    "ckl": Format(
        filename="checklist.ckl",
        description="the STIG's checklist for STIG Viewer 2 and older tools",
        consumers="STIG Viewer 2, older tools",
        renderer="hardpan.scanners.report.stig.ckl:Ckl",
        requires_stig=True,
    ),
    "hdf": Format(
        filename="hdf.json",
        description="the requirements for Heimdall and the SAF tools",
        consumers="Heimdall, SAF CLI",
        renderer="hardpan.scanners.report.formats.hdf:Hdf",
    ),
    "oscal-ar": Format(
        filename="assessment-results.json",
        description="OSCAL assessment results, for GRC tools",
        consumers="GRC tools, compliance-trestle",
        renderer="hardpan.scanners.report.oscal.assessment_results:AssessmentResults",
    ),
    "oscal-poam": Format(
        filename="poam.json",
        description="OSCAL plan of action and milestones: the rules that are open or waived",
        consumers="GRC tools, trackers",
        renderer="hardpan.scanners.report.oscal.poam:Poam",
    ),
    "sarif": Format(
        filename="findings.sarif",
        description="SARIF 2.1.0 of open rules and checks, for code-scanning services and viewers",
        consumers="code-scanning services, SARIF viewers",
        renderer="hardpan.scanners.report.formats.sarif:Sarif",
    ),
    "smoke": Format(
        filename="smoke.json",
        description="the measurements of the AI workload",
        consumers="programs, jq",
        renderer="hardpan.scanners.report.formats.json_documents:SmokeJson",
        requires_smoke=True,
    ),
    "summary": Format(
        filename="summary.md",
        description="a summary on one page, in Markdown",
        consumers="people, in tickets and mails",
        renderer="hardpan.scanners.report.formats.markdown_summary:SummaryMd",
    ),
    "pdf": Format(
        filename="summary.pdf",
        description="the summary as PDF, by WeasyPrint",
        consumers="people",
        renderer="hardpan.scanners.report.formats.pdf:Pdf",
        is_attached=False,
    ),
}
"""Every format by name. To add one, add its module and an entry here."""


def load_renderer(name: str) -> Renderer:
    """Import and return the renderer of the format ``name``.

    Raises:
        InputError: there is no such format.
    """
    if name not in FORMATS:
        raise InputError(f"no format {name!r}", hint=f"known: {', '.join(sorted(FORMATS))}")
    module, _, class_name = FORMATS[name].renderer.partition(":")
    return cast(Renderer, getattr(import_module(module), class_name)())


def import_renderers() -> None:
    """Import the renderers of all formats that evidence contains."""
    for name, spec in FORMATS.items():
        if spec.is_attached:
            load_renderer(name)


def render_attachments(report: Report) -> Iterator[tuple[str, bytes]]:
    """Render all formats that evidence contains, one by one: file name and content."""
    for name, spec in FORMATS.items():
        if spec.is_attached and spec.is_available(report):
            yield spec.filename, load_renderer(name).render(report)
