"""Streaming parser of an ARF: retains rule results, values and collected items, nothing else.

Three quarters of an ARF are the content that was scanned with, which is not needed here.
A tree of it takes hundreds of megabytes; this parser takes a few, in one pass over chunks. Expat
still reads every byte, so malformed XML is refused anywhere in the file.
"""

from collections.abc import Callable, Iterable
from xml.parsers import expat

from hardpan.scanners.openscap.arf.oval_reader import CHARACTERISTICS, OvalReader
from hardpan.scanners.openscap.arf.rule_reader import MAX_CHECK_LINES, XCCDF, RuleReader
from hardpan.scanners.openscap.arf.skip import ElementSkipper
from hardpan.scanners.openscap.arf.state import (
    EVIDENCE_FIELDS,
    MAX_LINE,
    CollectedItem,
    ParserState,
    invalid_arf,
)

MAX_BYTES = 256 << 20
MAX_EVIDENCE_LINES = 3 * MAX_CHECK_LINES
"""Lines of evidence per rule, over all its results and checks."""

_MAX_DEPTH = 200
_MAX_TAG = 4 << 20
_MAX_NAMES = 10_000
"""Different names of elements and attributes, which expat's interface caches."""

MAX_RULES = 5_000
"""Upstream's content for one release has 1,600."""

_MAX_RECORDS = 2_000_000
"""Rules, definitions, tests, and their references to one another."""

MAX_RULE_RESULTS = 20_000
"""A rule may have several, one for each definition of its check."""

MAX_VALUES = 5_000
"""Upstream's content for one release has 400."""

MAX_PLATFORMS = 1000
MAX_ID = 1000
"""Characters of an id, a time or a version."""

_NO_MEMORY = 1
"""Expat's error code XML_ERROR_NO_MEMORY."""

MAX_TEXT = 2 * MAX_LINE * MAX_CHECK_LINES
"""Characters that are retained of one text, such as a value."""

_CHUNK = 1 << 18

_ARF = "http://scap.nist.gov/schema/asset-reporting-format/1.1 "
_RESULTS = "http://oval.mitre.org/XMLSchema/oval-results-5 "
_DEFINITIONS = "http://oval.mitre.org/XMLSchema/oval-definitions-5 "
_SKIPPED_ELEMENTS = frozenset(
    (
        _ARF + "report-request",
        *(_DEFINITIONS + n for n in ("definitions", "objects", "states", "variables")),
    )
)
"""Elements whose content is skipped."""


def parse_elements(chunks: Iterable[bytes], name: str) -> ParserState:
    """Parse an ARF from its bytes in order into the parser's state.

    Raises:
        ToolError: it is cut short, is not an ARF, or is beyond the limits.
        MemoryError: the process may not use as much memory as parsing needs.
    """
    reader = _ArfReader(name)
    try:
        for chunk in chunks:
            for offset in range(0, len(chunk), _CHUNK):
                reader.feed(chunk[offset : offset + _CHUNK])
        reader.parser.Parse(b"", True)
    except expat.ExpatError as e:
        if e.code == _NO_MEMORY:
            raise MemoryError from e
        raise invalid_arf(name, f"is cut short or is not XML: {e}") from e
    finally:
        reader.close()
    return reader.state


class _ArfReader:
    """Handles expat's events; ``_path`` is the current element."""

    def __init__(self, name: str) -> None:
        self.state = ParserState()
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self._name = name
        self._size = 0
        self._skipper = ElementSkipper(self.parser, self._end_skipped)
        self._path: list[str] = []
        self._rules = RuleReader(
            name, self._path, self._read_id, self._capture_text, self._count_record
        )
        self._oval = OvalReader(name, self.state, self._read_id, self._count_record)
        self._result_count = 0
        self._field_name = ""
        self._item: CollectedItem | None = None
        self._record_count = 0
        self._text: list[str] = []
        self._remaining_chars = 0
        self._sink: Callable[[str], None] | None = None
        self._sink_depth = 0
        self._sink_includes_children = False
        self._start_handlers = {
            _ARF + "report": self._start_report,
            XCCDF + "TestResult": self._start_test_result,
            XCCDF + "rule-result": self._start_rule,
            _RESULTS + "definition": self._oval.start_definition,
            _RESULTS + "criterion": self._oval.start_criterion,
            _RESULTS + "extend_definition": self._oval.start_extension,
            _RESULTS + "test": self._oval.start_test,
            _RESULTS + "tested_item": self._oval.start_tested_item,
            CHARACTERISTICS + "object": self._oval.start_object,
        }
        self._child_handlers = {
            XCCDF + "TestResult": self._in_test_result,
            XCCDF + "rule-result": self._rules.in_result,
            XCCDF + "complex-check": self._rules.in_complex_check,
            XCCDF + "check": self._rules.in_check,
            XCCDF + "override": self._rules.in_override,
            _DEFINITIONS + "tests": self._oval.in_tests,
            CHARACTERISTICS + "system_data": self._start_item,
            CHARACTERISTICS + "object": self._oval.in_object,
        }
        self._set_handlers()

    def feed(self, data: bytes) -> None:
        """Parse the next bytes."""
        self._size += len(data)
        if self._size > MAX_BYTES:
            raise invalid_arf(self._name, f"is longer than {MAX_BYTES >> 20} MiB")
        self._skipper.start_chunk(data, self._size - len(data))
        self.parser.Parse(data, False)
        if len(self.parser.intern) > _MAX_NAMES:
            raise invalid_arf(self._name, f"has more than {_MAX_NAMES} different names")
        # Older versions of expat parse an unterminated tag again with each chunk.
        if self._size - self.parser.CurrentByteIndex > _MAX_TAG:
            raise invalid_arf(
                self._name, f"has a tag or a comment of more than {_MAX_TAG >> 20} MiB"
            )

    def close(self) -> None:
        """Release the parser, which refers to this object's methods."""
        self.parser.StartElementHandler = self.parser.EndElementHandler = None
        self.parser.StartDoctypeDeclHandler = self.parser.CharacterDataHandler = None

    def _doctype(self, *_: object) -> None:
        raise invalid_arf(self._name, "declares entities, which an ARF never does")

    def _set_handlers(self) -> None:
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        path = self._path
        path.append(tag)
        depth = len(path)
        if depth > _MAX_DEPTH:
            raise invalid_arf(self._name, f"is nested deeper than {_MAX_DEPTH} levels")
        if depth == 1:
            if tag != _ARF + "asset-report-collection":
                raise invalid_arf(self._name, f"begins with <{_local_name(tag)}>")
            return
        if self._sink is not None:
            if not self._sink_includes_children:
                self.parser.CharacterDataHandler = None
        elif self._item is not None:
            if depth == self._item.depth + 1 and _local_name(tag) in EVIDENCE_FIELDS:
                self._field_name = _local_name(tag)
                self._capture_text(self._add_field)
        elif tag in _SKIPPED_ELEMENTS:
            self._skipper.skip(tag)
        else:
            handle_child = self._child_handlers.get(path[-2])
            if handle_child is not None:
                handle_child(tag, attributes)
            handle_start = self._start_handlers.get(tag)
            if handle_start is not None:
                handle_start(attributes)

    def _end_skipped(self) -> None:
        self._path.pop()
        self._set_handlers()

    def _end(self, tag: str) -> None:
        # Nested elements of the same name end the skipped part too early.
        if not self._path or self._path.pop() != tag:
            raise invalid_arf(self._name, f"has <{_local_name(tag)}> where oscap writes none")
        depth = len(self._path) + 1
        if self._sink is not None:
            if depth == self._sink_depth:
                sink, self._sink = self._sink, None
                self.parser.CharacterDataHandler = None
                sink("".join(self._text))
        elif self._item is not None:
            if depth == self._item.depth:
                self.state.items[self._oval.report][self._item.id] = self._item.format_line()
                self._item = None
        elif tag == XCCDF + "rule-result":
            result = self._rules.end_result()
            self.state.rules.setdefault(result.rule_id, []).append(result)
        elif tag == XCCDF + "complex-check":
            self._rules.end_complex_check()

    def _read_id(self, attributes: dict[str, str], name: str) -> str:
        """Return an attribute that identifies something."""
        value = attributes.get(name, "")
        if len(value) > MAX_ID:
            raise invalid_arf(self._name, f"has a {name} of {len(value)} characters")
        return value

    def _count_record(self) -> None:
        """Count one more retained record."""
        self._record_count += 1
        if self._record_count > _MAX_RECORDS:
            raise invalid_arf(
                self._name, f"has more than {_MAX_RECORDS} rules, tests and references"
            )

    def _capture_text(self, sink: Callable[[str], None], *, include_children: bool = False) -> None:
        """Pass the text of the current element, and optionally of its children, to ``sink``."""
        self._sink, self._sink_includes_children = sink, include_children
        self._sink_depth = len(self._path)
        self._text, self._remaining_chars = [], MAX_TEXT
        self.parser.CharacterDataHandler = self._characters

    def _characters(self, text: str) -> None:
        if self._remaining_chars > 0:
            self._text.append(text[: self._remaining_chars])
            self._remaining_chars -= len(text)

    def _start_report(self, attributes: dict[str, str]) -> None:
        self._oval.report = self._read_id(attributes, "id")
        self._count_record()

    def _start_test_result(self, attributes: dict[str, str]) -> None:
        if self.state.metadata:
            raise invalid_arf(self._name, "has more than one XCCDF result")
        attribute_names = ("version", "start-time", "end-time")
        self.state.metadata = {
            n: self._read_id(attributes, n) for n in attribute_names if n in attributes
        }

    def _in_test_result(self, tag: str, attributes: dict[str, str]) -> None:
        metadata = self.state.metadata
        if tag == XCCDF + "profile":
            metadata.setdefault("profile", self._read_id(attributes, "idref"))
        elif tag == XCCDF + "platform":
            if len(self.state.platforms) < MAX_PLATFORMS:
                self.state.platforms.append(self._read_id(attributes, "idref"))
        elif tag == XCCDF + "set-value":
            self._start_value(self._read_id(attributes, "idref"))
        elif tag == XCCDF + "score" and "score" not in metadata:
            self._capture_text(lambda text: metadata.__setitem__("score", text))

    def _start_value(self, value_id: str) -> None:
        if len(self.state.values) >= MAX_VALUES:
            raise invalid_arf(self._name, f"has more than {MAX_VALUES} values")

        def add_value(text: str) -> None:
            if self.state.values.setdefault(value_id, text) != text:
                raise invalid_arf(self._name, f"gives {value_id[:200]!a} two values")

        self._capture_text(add_value)

    def _start_rule(self, attributes: dict[str, str]) -> None:
        self._count_record()
        self._result_count += 1
        if self._path[-2] != XCCDF + "TestResult":
            raise invalid_arf(self._name, "has <rule-result> where oscap writes none")
        if len(self.state.rules) > MAX_RULES:
            raise invalid_arf(self._name, f"has more than {MAX_RULES} rules")
        if self._result_count > MAX_RULE_RESULTS:
            raise invalid_arf(self._name, f"has more than {MAX_RULE_RESULTS} results of rules")
        self._rules.start_result(attributes)

    def _start_item(self, tag: str, attributes: dict[str, str]) -> None:
        self._item = self._oval.create_item(_local_name(tag), attributes, len(self._path))

    def _add_field(self, text: str) -> None:
        if self._item is not None:
            self._item.add(self._field_name, text.strip())


def _local_name(tag: str) -> str:
    return tag.rpartition(" ")[2]
