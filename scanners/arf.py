"""Reads a target's ARF: what each rule came to, and what was found for it.

The file comes from the target, so it is hostile: no entities, no network, a
limit on bytes, depth and text, and elements are dropped as soon as they are read.
"""

import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from hardpan.errors import ToolError
from scanners.model import Verdict

MAX_BYTES = 256 << 20
MAX_FOUND = 12
"""Lines of evidence kept per rule."""

MAX_LINE = 300
"""Characters kept of one line of evidence."""

_MAX_DEPTH = 200
_MAX_ITEMS = 400_000

_XCCDF = "{http://checklists.nist.gov/xccdf/1.2}"
_ARF = "{http://scap.nist.gov/schema/asset-reporting-format/1.1}"
_RESULTS = "{http://oval.mitre.org/XMLSchema/oval-results-5}"
_DEFINITIONS = "{http://oval.mitre.org/XMLSchema/oval-definitions-5}"
_CHARACTERISTICS = "{http://oval.mitre.org/XMLSchema/oval-system-characteristics-5}"
_SCE = "http://open-scap.org/page/SCE"
_TELLING = (
    *("path", "filename", "filepath", "name", "username", "mount_point", "local_address"),
    *("unit", "property", "key", "instance", "subexpression", "value", "text", "version"),
    *("evr", "uread", "user_id", "group_id", "mount_options", "current_status"),
)
_QUIET = ("windows_view", "line", "pattern", "hash_type")

Element = etree._Element


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One rule-result of one ARF."""

    rule_id: str
    verdict: Verdict
    engine: str
    """``OVAL``, ``SCE`` or empty when nothing was checked."""

    found: tuple[str, ...]
    """What was looked at, one line per item or message; bounded and printable."""

    incomplete: bool
    """True when oscap gave up collecting (a memory limit): the verdict is not to be relied on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arf:
    """What one oscap process reported."""

    benchmark_version: str
    profile_id: str
    started: str
    finished: str
    score: float
    """oscap's own, over the rules of this process."""

    rules: dict[str, Judged]
    """Rule id -> result; rules that were not selected are left out."""

    platforms: tuple[str, ...]
    """CPE names that the target was found to match."""


@dataclass(slots=True)
class _Reading:
    """What was read so far."""

    verdicts: dict[str, tuple[str, str, str, tuple[str, ...]]] = field(default_factory=dict)
    comments: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    items: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    tests: dict[str, dict[str, tuple[str, list[str]]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    definitions: dict[str, dict[str, tuple[list[str], list[str]]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    incomplete: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    about: dict[str, str] = field(default_factory=dict)
    platforms: list[str] = field(default_factory=list)
    score: float = 0.0
    whole: bool = False


def parse(data: bytes, *, name: str = "arf.xml") -> Arf:
    """What an ARF says.

    Raises:
        ToolError: it is cut short, is not an ARF, or is beyond the limits.
    """
    if len(data) > MAX_BYTES:
        raise _odd(name, f"is longer than {MAX_BYTES >> 20} MiB")
    if b"<!DOCTYPE" in data[:4096] or b"<!ENTITY" in data:
        raise _odd(name, "declares entities, which an ARF never does")
    reading = _Reading()
    try:
        _read(data, reading, name)
    except etree.XMLSyntaxError as e:
        raise _odd(name, f"is cut short or is not XML: {e}") from e
    if "profile" not in reading.about or not reading.whole:
        raise _odd(name, "holds no finished XCCDF result")
    return Arf(
        benchmark_version=reading.about.get("version", ""),
        profile_id=reading.about["profile"],
        started=reading.about.get("start", ""),
        finished=reading.about.get("end", ""),
        score=reading.score,
        rules=dict(_judged(reading, name)),
        platforms=tuple(reading.platforms),
    )


def _odd(name: str, why: str) -> ToolError:
    return ToolError(
        [f"the ARF {name}"], why, hint="the scan is not used; look at the target's disk and memory"
    )


def _read(data: bytes, reading: _Reading, name: str) -> None:
    events = etree.iterparse(
        io.BytesIO(data),
        events=("start", "end"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=True,
        remove_comments=True,
        remove_pis=True,
    )
    depth = 0
    report = ""
    for event, element in events:
        if event == "start":
            depth += 1
            if depth > _MAX_DEPTH:
                raise _odd(name, f"is nested deeper than {_MAX_DEPTH} levels")
            if element.tag == _ARF + "report":
                report = element.get("id", "")
            if depth == 1 and element.tag != _ARF + "asset-report-collection":
                raise _odd(name, f"begins with <{etree.QName(element).localname}>")
            continue
        depth -= 1
        if _take(element, report, reading):
            element.clear()
        if sum(map(len, reading.items.values())) > _MAX_ITEMS:
            raise _odd(name, f"has more than {_MAX_ITEMS} items")


def _take(element: Element, report: str, reading: _Reading) -> bool:
    """Keep what an element says; True when the element itself is not needed any more."""
    tag = element.tag
    if tag == _XCCDF + "rule-result":
        _take_rule(element, reading)
    elif tag == _XCCDF + "TestResult":
        _take_about(element, reading)
    elif tag == _XCCDF + "Rule" or tag == _ARF + "report-request":
        pass
    elif tag == _RESULTS + "definition":
        ids = [c.get("test_ref", "") for c in element.iter(_RESULTS + "criterion")]
        more = [c.get("definition_ref", "") for c in element.iter(_RESULTS + "extend_definition")]
        reading.definitions[report][element.get("definition_id", "")] = (ids, more)
    elif tag == _RESULTS + "test":
        ids = [i.get("item_id", "") for i in element.iter(_RESULTS + "tested_item")]
        reading.tests[report][element.get("test_id", "")] = (element.get("result", ""), ids)
    elif tag == _CHARACTERISTICS + "object" and element.get("flag") == "incomplete":
        reading.incomplete[report] |= {
            r.get("item_ref", "") for r in element.iter(_CHARACTERISTICS + "reference")
        }
    elif _is_in(element, _DEFINITIONS + "tests"):
        reading.comments[report][element.get("id", "")] = element.get("comment", "")
    elif _is_in(element, _CHARACTERISTICS + "system_data"):
        reading.items[report][element.get("id", "")] = _line(element)
    else:
        return False
    return True


def _is_in(element: Element, tag: str) -> bool:
    parent = element.getparent()
    return parent is not None and parent.tag == tag


def _take_about(element: Element, reading: _Reading) -> None:
    profile = element.find(_XCCDF + "profile")
    reading.about = {
        "version": element.get("version", ""),
        "start": element.get("start-time", ""),
        "end": element.get("end-time", ""),
        "profile": "" if profile is None else profile.get("idref", ""),
    }
    score = element.find(_XCCDF + "score")
    reading.whole = score is not None and bool(element.get("end-time"))
    try:
        reading.score = float(score.text or "0") if score is not None else 0.0
    except ValueError:
        reading.whole = False
    reading.platforms += [p.get("idref", "") for p in element.findall(_XCCDF + "platform")]


def _take_rule(element: Element, reading: _Reading) -> None:
    said = tuple(
        _clean("".join(map(str, m.itertext()))) for m in element.findall(_XCCDF + "message")
    )
    check = element.find(_XCCDF + "check")
    system = "" if check is None else check.get("system", "")
    reference = None if check is None else check.find(_XCCDF + "check-content-ref")
    where = ("", "")
    if reference is not None:
        where = (reference.get("href", "").removeprefix("#"), reference.get("name", ""))
    output = () if check is None else _printed(check)
    result = element.findtext(_XCCDF + "result", "")
    engine = {_SCE: "SCE"}.get(system, "OVAL" if "oval" in system else "")
    key = f"{where[0]} {where[1]}"
    reading.verdicts[element.get("idref", "")] = (result, engine, key, (*said, *output))


def _printed(check: Element) -> tuple[str, ...]:
    lines: list[str] = []
    for imported in check.findall(_XCCDF + "check-import"):
        text = (imported.text or "")[: MAX_LINE * MAX_FOUND]
        lines += [_clean(x) for x in text.splitlines() if x.strip()]
    return tuple(lines[:MAX_FOUND])


def _line(item: Element) -> str:
    kind = etree.QName(item).localname.removesuffix("_item")
    fields = []
    for child in item.iterchildren("{*}*"):
        name = etree.QName(child).localname
        text = (child.text or "").strip()
        if name in _TELLING and text and name not in _QUIET:
            fields.append(f"{name}={text[:MAX_LINE]}")
    state = item.get("status", "exists")
    shown = "" if state == "exists" else f" ({state})"
    return _clean(f"{kind}: {' '.join(fields)}{shown}")


def _clean(text: str) -> str:
    folded = " ".join(text[: MAX_LINE * 2].split())
    printable = "".join(c for c in folded if c.isprintable())
    return printable if len(printable) <= MAX_LINE else printable[: MAX_LINE - 1] + "…"


def _judged(reading: _Reading, name: str) -> Iterator[tuple[str, Judged]]:
    for rule_id, (result, engine, key, said) in reading.verdicts.items():
        try:
            verdict = Verdict(result)
        except ValueError as e:
            raise _odd(name, f"gives {rule_id[:200]} the result {result[:40]!r}") from e
        if verdict is Verdict.NOT_SELECTED:
            continue
        report, _, definition = key.partition(" ")
        lines, ids = _evidence(reading, report, definition)
        judged = Judged(
            rule_id=rule_id,
            verdict=verdict,
            engine="" if verdict in (Verdict.NOT_CHECKED, Verdict.NOT_APPLICABLE) else engine,
            found=tuple(dict.fromkeys([*said, *lines]))[:MAX_FOUND],
            incomplete=bool(reading.incomplete.get(report, set()) & ids),
        )
        yield rule_id, judged


def _evidence(reading: _Reading, report: str, definition: str) -> tuple[list[str], set[str]]:
    """Each test of a definition with its outcome and the items it looked at, and their ids."""
    items, comments = reading.items.get(report, {}), reading.comments.get(report, {})
    lines: list[str] = []
    ids: set[str] = set()
    for test in _tests_of(reading, report, definition):
        result, looked_at = reading.tests.get(report, {}).get(test, ("", []))
        ids.update(looked_at)
        if result and result != "not evaluated":
            lines.append(_clean(f"[{result}] {comments.get(test, test)}"))
            lines += [items[i] for i in looked_at[:MAX_FOUND] if i in items]
    return lines, ids


def _tests_of(reading: _Reading, report: str, definition: str) -> Iterator[str]:
    definitions = reading.definitions.get(report, {})
    seen: set[str] = set()
    todo = [definition]
    while todo:
        now = todo.pop(0)
        if now not in seen and now in definitions:
            seen.add(now)
            tests, more = definitions[now]
            yield from tests
            todo += more
