"""One ARF with the results of all parts, as oscap would have written it for the whole content.

It has the untouched data stream once, one TestResult with every rule-result and the recomputed
score, and the OVAL and SCE results of all parts under unique ids. The elements are copied from the
parts' ARFs, which the target sent: they are hostile, and were read within limits before.

Source: Asset Reporting Format 1.1 (NISTIR 7694), XCCDF 1.2 (NISTIR 7275r4), section 6.6.4.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from xml.sax.saxutils import escape, quoteattr

from hardpan.scanners.model.scan import Evaluation, RuleResult, Verdict
from hardpan.scanners.openscap.arf.results import Arf
from hardpan.scanners.openscap.arf.rule_reader import XCCDF
from hardpan.scanners.openscap.arf.spans import Span, SpanReader, format_declarations
from hardpan.scanners.openscap.arf.state import invalid_arf
from hardpan.scanners.openscap.arf.verdicts import combine_verdicts

MERGED_ARF = "arf.xml"
"""Name of the merged ARF in the evidence."""

_ARF_URI = "http://scap.nist.gov/schema/asset-reporting-format/1.1"
_ARF = f"{_ARF_URI} "
_DECLARATIONS = {
    "arf": _ARF_URI,
    "core": "http://scap.nist.gov/schema/reporting-core/1.1",
    "ai": "http://scap.nist.gov/schema/asset-identification/1.1",
}
_RESULT_DECLARATIONS = {**_DECLARATIONS, "": XCCDF.strip()}
_XCCDF_REPORT = "xccdf1"
_MAX_RESULT_BYTES = 64 << 20
"""Bytes of all TestResults."""

_MAX_REPORTS = 64
"""OVAL and SCE results of one part."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,200}")
_REFERENCE_TAG = re.compile(rb"<(?:[^\s<>/:]+:)?check-content-ref\s[^<]*")
_HREF = re.compile(rb"(\shref\s*=\s*)([\"'])#([^\"']*)\2")
_RESULT = re.compile(rb"<(?P<tag>(?:[^\s<>/:]+:)?result)>\s*(?P<result>[a-z]+)\s*</(?P=tag)\s*>")
_HEADER = (
    *("benchmark", "tailoring-file", "title", "remark", "organization", "identity", "profile"),
    *("target", "target-address", "target-facts", "target-id-ref"),
)
"""Children of a TestResult before the results, in the order of the schema."""

_PROLOG = re.compile(rb"\s*(?:<\?xml[^>]*\?>)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartArf:
    """The ARF of one part."""

    name: str
    open: Callable[[], Iterable[bytes]]
    """Returns its bytes, each time from the beginning."""


@dataclass(slots=True)
class _PartResult:
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
        is_in_result = path[-2:-1] == [XCCDF + "TestResult"]
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


class _ReportCopier:
    """Copies the OVAL and SCE reports of one part."""

    def __init__(self, part: _PartResult) -> None:
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
        declarations = format_declarations(span.declarations, _DECLARATIONS)
        start = f"\n<arf:report id={quoteattr(report_id)}".encode()
        self._pieces.append(start + declarations + b">")
        return self._pieces.append

    def take(self, span: Span) -> None:
        """End a report."""
        if span.tag != _ARF + "report-requests":
            self._pieces.append(b"</arf:report>")


def merge_arfs(
    parts: Sequence[PartArf], evaluation: Evaluation, data_stream: bytes
) -> Iterator[bytes]:
    """Yield the merged ARF of the parts that were read.

    Raises:
        ToolError: they cannot be merged; the reason says why.
    """
    results = [_read_part(part, number) for number, part in enumerate(parts)]
    yield from _format_results(results, evaluation, data_stream)
    for part, result in zip(parts, results, strict=True):
        copier = _ReportCopier(result)
        for _ in SpanReader(part.name, copier).read(part.open()):
            yield copier.flush()
    yield b"\n</arf:reports>\n</arf:asset-report-collection>\n"


def require_equal(arf: Arf, evaluation: Evaluation) -> None:
    """Pass if a merged ARF, read again, has the results of the evaluation.

    Raises:
        ToolError: a rule has another result, or there are more or fewer rules.
    """
    verdicts = {rule_id: result.verdict for rule_id, result in arf.rules.items()}
    expected = {result.rule_id: result.verdict for result in evaluation.results}
    differing = sorted(
        rule_id
        for rule_id in verdicts.keys() | expected.keys()
        if verdicts.get(rule_id) != expected.get(rule_id)
    )
    if differing:
        raise invalid_arf(MERGED_ARF, f"has another result of {differing[0][:200]!a}")


def _read_part(part: PartArf, number: int) -> _PartResult:
    result = _PartResult(name=part.name, number=number)
    for _ in SpanReader(part.name, result).read(part.open()):
        pass
    if not result.attributes or not result.rule_results:
        raise invalid_arf(part.name, "has no XCCDF result")
    result.report_ids.pop(result.result_report_id, None)
    return result


def _format_results(
    parts: Sequence[_PartResult], evaluation: Evaluation, data_stream: bytes
) -> Iterator[bytes]:
    """Yield the merged ARF up to the reports of the checks."""
    declarations = format_declarations(_DECLARATIONS, {})
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n<arf:asset-report-collection'
    yield declarations + b">\n" + _RELATIONSHIPS
    yield b'<arf:report-requests>\n<arf:report-request id="collection1"><arf:content>'
    yield data_stream[_PROLOG.match(data_stream).end() :]  # type: ignore[union-attr]
    yield b"</arf:content></arf:report-request>\n</arf:report-requests>\n"
    assets = parts[0].assets
    if assets is not None:
        yield assets.to_bytes(_DECLARATIONS)
    yield b"\n<arf:reports>\n"
    yield f'<arf:report id="{_XCCDF_REPORT}"><arf:content>\n'.encode()
    yield from _format_test_result(parts, evaluation)
    yield b"</arf:content></arf:report>"


def _format_test_result(parts: Sequence[_PartResult], evaluation: Evaluation) -> Iterator[bytes]:
    first = parts[0]
    attributes = {"start-time": evaluation.started, "end-time": evaluation.finished}
    for name in ("id", "version", "test-system"):
        if name in first.attributes:
            attributes[name] = first.attributes[name]
    texts = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    yield f'<TestResult xmlns="{XCCDF.strip()}"{texts}>'.encode()
    platforms = {idref: span for part in parts for idref, span in part.platforms.items()}
    values = {idref: span for part in parts for idref, span in part.values.items()}
    for span in (*first.header, *platforms.values(), *values.values()):
        yield b"\n" + span.to_bytes(_RESULT_DECLARATIONS)
    for result in evaluation.results:
        yield from _format_rule(result, parts, evaluation.finished)
    system = "urn:xccdf:scoring:default"
    yield f'\n<score system="{system}" maximum="100.000000">{evaluation.score:.6f}</score>'.encode()
    yield b"\n</TestResult>"


def _format_rule(result: RuleResult, parts: Sequence[_PartResult], time: str) -> Iterator[bytes]:
    spans = [(part, span) for part in parts for span in part.rule_results.get(result.rule_id, ())]
    verdict = _combine_results(span for _, span in spans)
    is_weakened = (verdict, result.verdict) == (Verdict.PASS, Verdict.UNKNOWN)
    if verdict is not result.verdict and not is_weakened:
        yield _format_missing_rule(result, time)
        return
    for part, span in spans:
        data = span.to_bytes(_RESULT_DECLARATIONS)
        data = _REFERENCE_TAG.sub(partial(_rename_reference, part), data)
        yield b"\n" + (_weaken_pass(data) if is_weakened else data)


def _combine_results(spans: Iterable[Span]) -> Verdict | None:
    """Return the combined result of rule-results; None without any."""
    matches = [_RESULT.search(span.data) for span in spans]
    names = [m["result"].decode() for m in matches if m is not None]
    if not names or not set(names).issubset(Verdict):
        return None
    return combine_verdicts(Verdict(name) for name in names)


def _format_missing_rule(result: RuleResult, time: str) -> bytes:
    reason = " / ".join(result.evidence_lines) or "no result"
    attributes = {"idref": result.rule_id, "role": result.role, "severity": result.severity}
    texts = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    message = f'<message severity="error">{escape(reason)}</message>'
    return (
        f"\n<rule-result{texts} time={quoteattr(time)}>"
        f"<result>{result.verdict.value}</result>{message}</rule-result>"
    ).encode()


def _rename_reference(part: _PartResult, match: re.Match[bytes]) -> bytes:
    def rename(href: re.Match[bytes]) -> bytes:
        report_id = href[3].decode("utf-8", "replace")
        new_id = part.report_ids.get(report_id, report_id).encode()
        return href[1] + href[2] + b"#" + new_id + href[2]

    return _HREF.sub(rename, match[0])


def _weaken_pass(data: bytes) -> bytes:
    """Return a rule-result with the result ``unknown`` instead of ``pass``.

    oscap reports ``pass`` for what it could not collect completely.
    """
    return _RESULT.sub(
        lambda m: m[0].replace(b"pass", b"unknown") if m["result"] == b"pass" else m[0],
        data,
        count=1,
    )


def _ignore(_data: bytes) -> None:
    """Skip what is not copied."""


_RELATIONSHIPS = b"""<core:relationships
 xmlns:arfvocab="http://scap.nist.gov/specifications/arf/vocabulary/relationships/1.0#">
<core:relationship type="arfvocab:createdFor" subject="xccdf1"><core:ref>collection1</core:ref>
</core:relationship>
<core:relationship type="arfvocab:isAbout" subject="xccdf1"><core:ref>asset0</core:ref>
</core:relationship>
</core:relationships>
"""
