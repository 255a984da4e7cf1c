"""What a merged ARF takes from the ARF of one part: its TestResult, its asset and its reports."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from hardpan.core.xml_text import quote_attribute
from hardpan.scanners.openscap.arf.rule_reader import XCCDF
from hardpan.scanners.openscap.arf.spans import Span, format_declarations
from hardpan.scanners.openscap.arf.state import invalid_arf

_ARF_URI = "http://scap.nist.gov/schema/asset-reporting-format/1.1"
_ARF = f"{_ARF_URI} "
DECLARATIONS = {
    "arf": _ARF_URI,
    "core": "http://scap.nist.gov/schema/reporting-core/1.1",
    "ai": "http://scap.nist.gov/schema/asset-identification/1.1",
}

_MAX_RESULT_BYTES = 64 << 20
"""Bytes of all TestResults."""

_MAX_HEADERS = 5_000
"""Elements before the results of a TestResult; a host has one for each of its addresses."""

_MAX_REPORTS = 64
"""OVAL and SCE results of one part."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,200}")
_HEADER = (
    *("benchmark", "tailoring-file", "title", "remark", "organization", "identity", "profile"),
    *("target", "target-address", "target-facts", "target-id-ref"),
)
"""Children of a TestResult before the results, in the order of the schema."""

_RETAINED = frozenset(
    XCCDF + name for name in (*_HEADER, "platform", "set-value", "set-complex-value", "rule-result")
)
"""Children of a TestResult that are copied."""


@dataclass(slots=True)
class PartResult:
    """TestResult and asset of one part; ``number`` makes the ids of its reports unique."""

    name: str
    number: int
    size: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    header: list[Span] = field(default_factory=list)
    platforms: dict[str, Span] = field(default_factory=dict)
    values: dict[str, Span] = field(default_factory=dict)
    rule_results: dict[str, list[Span]] = field(default_factory=dict)
    assets: Span | None = None
    report_ids: dict[str, str] = field(default_factory=dict)
    """Id of each OVAL or SCE report -> its id in the merged ARF."""

    report_id: str = ""
    result_report_id: str = ""

    def select(self, path: list[str], attributes: dict[str, str]) -> bool:
        """Select the data stream, the assets and what is in a TestResult."""
        tag = path[-1]
        if tag == _ARF + "report":
            self.report_id = attributes.get("id", "")
            self._add_report()
        elif tag == XCCDF + "TestResult" and path[-2:-1] == [_ARF + "content"]:
            if self.attributes:
                raise invalid_arf(self.name, "has more than one XCCDF result")
            self.attributes, self.result_report_id = dict(attributes), self.report_id
        is_in_result = path[-2:-1] == [XCCDF + "TestResult"] and tag in _RETAINED
        is_oval = path[-2:-1] == [_ARF + "content"] and tag != XCCDF + "TestResult"
        return is_in_result or is_oval or tag in (_ARF + "assets", _ARF + "report-requests")

    def open_stream(self, span: Span) -> Callable[[bytes], None] | None:
        """Skip the data stream, and the reports, which are copied later."""
        is_retained = span.tag.startswith(XCCDF) or span.tag == _ARF + "assets"
        return None if is_retained else _ignore

    def take(self, span: Span) -> None:
        """Retain an element."""
        if not span.data:
            return
        self.size += len(span.data)
        if self.size > _MAX_RESULT_BYTES:
            limit = _MAX_RESULT_BYTES >> 20
            raise invalid_arf(self.name, f"has results of more than {limit} MiB, not merged")
        name = span.tag.removeprefix(XCCDF)
        idref = span.attributes.get("idref", "")
        if span.tag == _ARF + "assets":
            self.assets = span
        elif name in _HEADER:
            if len(self.header) >= _MAX_HEADERS:
                raise invalid_arf(
                    self.name, f"has more than {_MAX_HEADERS} elements before results"
                )
            self.header.append(span)
        elif name == "platform":
            self.platforms.setdefault(idref, span)
        elif name in ("set-value", "set-complex-value"):
            self.values.setdefault(idref, span)
        elif name == "rule-result":
            self.rule_results.setdefault(idref, []).append(span)

    def _add_report(self) -> None:
        if not _NAME.fullmatch(self.report_id) or self.report_id in self.report_ids:
            raise invalid_arf(self.name, f"has a report with the id {self.report_id[:80]!a}")
        if len(self.report_ids) >= _MAX_REPORTS:
            raise invalid_arf(self.name, f"has more than {_MAX_REPORTS} reports")
        suffix = f"-part{self.number}" if self.number else ""
        self.report_ids[self.report_id] = f"{self.report_id}{suffix}"


class ReportCopier:
    """Copies the OVAL and SCE reports of one part."""

    def __init__(self, part: PartResult) -> None:
        self._part = part
        self._pieces: list[bytes] = []

    def flush(self) -> bytes:
        """Return what was copied since the last call."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data

    def select(self, path: list[str], attributes: dict[str, str]) -> bool:
        """Select the reports, and the data stream to skip it."""
        if path[-1] == _ARF + "report-requests":
            return True
        is_report = path[-2:] == [_ARF + "reports", _ARF + "report"]
        return is_report and attributes.get("id") != self._part.result_report_id

    def open_stream(self, span: Span) -> Callable[[bytes], None]:
        """Begin a report."""
        if span.tag == _ARF + "report-requests":
            return _ignore
        report_id = self._part.report_ids[span.attributes.get("id", "")]
        declarations = format_declarations(span.declarations, DECLARATIONS)
        start = f"\n<arf:report id={quote_attribute(report_id)}".encode()
        self._pieces.append(start + declarations + b">")
        return self._pieces.append

    def take(self, span: Span) -> None:
        """End a report."""
        if span.tag != _ARF + "report-requests":
            self._pieces.append(b"</arf:report>")


def _ignore(_data: bytes) -> None:
    """Skip what is not copied."""
