"""One ARF with the results of all parts, as oscap would have written it for the whole content.

It has the untouched data stream once, one TestResult with every rule-result and the recomputed
score, and the OVAL and SCE results of all parts under unique ids. The elements are copied from the
parts' ARFs, which the target sent: they are hostile, and were read within limits before.

Source: Asset Reporting Format 1.1 (NISTIR 7694), XCCDF 1.2 (NISTIR 7275r4), section 6.6.4.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from hardpan.core.clock import Deadline
from hardpan.core.files import Sha256, sha256_bytes
from hardpan.core.xml_text import escape_text, quote_attribute
from hardpan.scanners.model.scan import Evaluation, RuleResult, Verdict
from hardpan.scanners.openscap.arf.part_result import DECLARATIONS, PartResult, ReportCopier
from hardpan.scanners.openscap.arf.results import Arf
from hardpan.scanners.openscap.arf.rule_reader import XCCDF
from hardpan.scanners.openscap.arf.spans import Span, SpanReader, format_declarations
from hardpan.scanners.openscap.arf.state import invalid_arf
from hardpan.scanners.openscap.arf.verdicts import combine_verdicts

MERGED_ARF = "arf.xml"
"""Name of the merged ARF in the evidence."""

_RESULT_DECLARATIONS = {**DECLARATIONS, "": XCCDF.strip()}
_XCCDF_REPORT = "xccdf1"
MAX_DURATION_S = 60.0
"""Seconds for reading the parts and copying their reports; an ARF of 38 MB takes 3."""

_REFERENCE_TAG = re.compile(rb"<(?:[^\s<>/:]+:)?check-content-ref\s[^<]*")
_HREF = re.compile(rb"(\shref\s*=\s*)([\"'])#([^\"']*)\2")
_RESULT = re.compile(rb"<(?P<tag>(?:[^\s<>/:]+:)?result)>\s*(?P<result>[a-z]+)\s*</(?P=tag)\s*>")
_PROLOG = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml(?P<declaration>[^>]*)\?>)?")
_UTF8 = ("utf-8", "us-ascii", "ascii")
_UTF16_BY_START = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}
"""XML 1.0, appendix F.1."""

_TRANSCODED = re.compile(r"utf-16-?(le|be)?|iso-8859-[0-9]{1,2}|(windows-|cp)125[0-9]")
"""Encodings that Python and libxml2 read alike."""

_ENCODING = re.compile(rb"encoding\s*=\s*[\"'](?P<name>[^\"']*)[\"']")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartArf:
    """The ARF of one part."""

    name: str
    open: Callable[[], Iterable[bytes]]
    """Returns its bytes, each time from the beginning."""


def merge_arfs(
    parts: Sequence[PartArf],
    evaluation: Evaluation,
    data_stream: bytes,
    *,
    timeout_s: float = MAX_DURATION_S,
) -> Iterator[bytes]:
    """Yield the merged ARF of the parts that were read.

    Raises:
        ToolError: they cannot be merged within ``timeout_s``; the reason says why.
    """
    deadline = Deadline(timeout_s)
    results = [_read_part(part, number, deadline) for number, part in enumerate(parts)]
    yield from _format_results(results, evaluation, data_stream)
    for part, result in zip(parts, results, strict=True):
        copier = ReportCopier(result)
        for _ in SpanReader(part.name, copier).read(part.open()):
            _require_time(deadline, part)
            yield copier.flush()
    yield b"\n</arf:reports>\n</arf:asset-report-collection>\n"


def extract_data_stream(arf: bytes, sha256: Sha256) -> bytes | None:
    """Return the data stream with this digest in a merged ARF; None if it has another one.

    The ARF has it without its XML declaration: the usual ones are tried.
    """
    start = arf.find(_CONTENT_START)
    end = arf.find(_CONTENT_END, start)
    if start < 0 or end < 0:
        return None
    content = arf[start + len(_CONTENT_START) : end]
    data_streams = (prolog + content for prolog in _PROLOGS)
    return next((data for data in data_streams if sha256_bytes(data) == sha256), None)


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


def _read_part(part: PartArf, number: int, deadline: Deadline) -> PartResult:
    result = PartResult(name=part.name, number=number)
    for _ in SpanReader(part.name, result).read(part.open()):
        _require_time(deadline, part)
    if not result.attributes or not result.rule_results:
        raise invalid_arf(part.name, "has no XCCDF result")
    result.report_ids.pop(result.result_report_id, None)
    return result


def _require_time(deadline: Deadline, part: PartArf) -> None:
    if deadline.remaining_s <= 0:
        raise invalid_arf(part.name, "cannot be merged within the time limit")


def _format_results(
    parts: Sequence[PartResult], evaluation: Evaluation, data_stream: bytes
) -> Iterator[bytes]:
    """Yield the merged ARF up to the reports of the checks."""
    declarations = format_declarations(DECLARATIONS, {})
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n<arf:asset-report-collection'
    yield declarations + b">\n" + _RELATIONSHIPS
    yield _CONTENT_START
    yield _remove_prolog(data_stream)
    yield _CONTENT_END
    assets = parts[0].assets
    if assets is not None:
        yield assets.to_bytes(DECLARATIONS)
    yield b"\n<arf:reports>\n"
    yield f'<arf:report id="{_XCCDF_REPORT}"><arf:content>\n'.encode()
    yield from _format_test_result(parts, evaluation)
    yield b"</arf:content></arf:report>"


def _remove_prolog(data_stream: bytes) -> bytes:
    """Return a data stream in UTF-8, as oscap writes it, without what may only begin a document.

    Raises:
        ToolError: its encoding is none that is known here, or the data is not in it.
    """
    for start, name in _UTF16_BY_START.items():
        if data_stream.startswith(start):
            return _strip_prolog(_to_utf8(data_stream, name))
    encoding = _ENCODING.search(_match_prolog(data_stream)["declaration"] or b"")
    name = "utf-8" if encoding is None else encoding["name"].decode("ascii", "replace").lower()
    return _strip_prolog(data_stream if name in _UTF8 else _to_utf8(data_stream, name))


def _match_prolog(data: bytes) -> re.Match[bytes]:
    match = _PROLOG.match(data)
    assert match is not None  # noqa: S101 - it may be empty
    return match


def _strip_prolog(data: bytes) -> bytes:
    return data[_match_prolog(data).end() :]


def _to_utf8(data: bytes, encoding: str) -> bytes:
    if not _TRANSCODED.fullmatch(encoding):
        raise invalid_arf(MERGED_ARF, f"cannot have a data stream in {encoding[:40]!a}")
    try:
        return data.decode(encoding).encode()
    except (LookupError, ValueError) as e:
        raise invalid_arf(MERGED_ARF, f"cannot have a data stream that is not {encoding}") from e


def _format_test_result(parts: Sequence[PartResult], evaluation: Evaluation) -> Iterator[bytes]:
    first = parts[0]
    attributes = {"start-time": evaluation.started, "end-time": evaluation.finished}
    for name in ("id", "version", "test-system"):
        if name in first.attributes:
            attributes[name] = first.attributes[name]
    texts = "".join(f" {name}={quote_attribute(value)}" for name, value in attributes.items())
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


def _format_rule(result: RuleResult, parts: Sequence[PartResult], time: str) -> Iterator[bytes]:
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
    texts = "".join(f" {name}={quote_attribute(value)}" for name, value in attributes.items())
    message = f'<message severity="error">{escape_text(reason)}</message>'
    return (
        f"\n<rule-result{texts} time={quote_attribute(time)}>"
        f"<result>{result.verdict.value}</result>{message}</rule-result>"
    ).encode()


def _rename_reference(part: PartResult, match: re.Match[bytes]) -> bytes:
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


_CONTENT_START = b'<arf:report-requests>\n<arf:report-request id="collection1"><arf:content>'
_CONTENT_END = b"</arf:content></arf:report-request>\n</arf:report-requests>\n"
_PROLOGS = (
    b"<?xml version='1.0' encoding='utf-8'?>",  # as content.scap_xml.serialize writes it
    *(
        f'<?xml version="1.0" encoding="{name}"{standalone}?>'.encode()
        for name in ("utf-8", "UTF-8")
        for standalone in ("", ' standalone="yes"', ' standalone="no"')
    ),
    b'<?xml version="1.0"?>',
    b"",
)
"""XML declarations of data streams."""

_RELATIONSHIPS = b"""<core:relationships
 xmlns:arfvocab="http://scap.nist.gov/specifications/arf/vocabulary/relationships/1.0#">
<core:relationship type="arfvocab:createdFor" subject="xccdf1"><core:ref>collection1</core:ref>
</core:relationship>
<core:relationship type="arfvocab:isAbout" subject="xccdf1"><core:ref>asset0</core:ref>
</core:relationship>
</core:relationships>
"""
