"""Streams an ARF: keeps what rules came to and what was looked at, and nothing else.

Three quarters of an ARF are the content that was scanned with, which nobody reads here.
A tree of it takes hundreds of megabytes; this takes a few, in one pass over chunks. Expat
still reads every byte, so what is not well-formed is refused wherever it lies.
"""

from collections.abc import Callable, Iterable
from xml.parsers import expat

from hardpan.scanners.arf_reading import MAX_LINE, Item, Reading, Said, clean, odd

MAX_BYTES = 256 << 20
MAX_FOUND = 12
"""Lines of evidence kept per rule."""

_MAX_DEPTH = 200
_MAX_TAG = 4 << 20
_MAX_ITEMS = 400_000
_MAX_NAMES = 10_000
"""Different names of elements and attributes, which expat's interface keeps."""

MAX_RULES = 5_000
"""Upstream's content for one release has 1,600."""

_MAX_RECORDS = 2_000_000
"""Rules, definitions, tests, and their references to one another."""

MAX_PLATFORMS = 1000
MAX_ID = 1000
"""Characters of an id, a time or a version."""

_NO_MEMORY = 1
"""Expat's code for it (XML_ERROR_NO_MEMORY)."""

_MAX_TEXT = 2 * MAX_LINE * MAX_FOUND
_CHUNK = 1 << 18

_XCCDF = "http://checklists.nist.gov/xccdf/1.2 "
_ARF = "http://scap.nist.gov/schema/asset-reporting-format/1.1 "
_RESULTS = "http://oval.mitre.org/XMLSchema/oval-results-5 "
_DEFINITIONS = "http://oval.mitre.org/XMLSchema/oval-definitions-5 "
_CHARACTERISTICS = "http://oval.mitre.org/XMLSchema/oval-system-characteristics-5 "
_SCE = "http://open-scap.org/page/SCE"
_TELLING = frozenset(
    (
        *("path", "filename", "filepath", "name", "username", "mount_point", "local_address"),
        *("unit", "property", "key", "instance", "subexpression", "value", "text", "version"),
        *("evr", "uread", "user_id", "group_id", "mount_options", "current_status"),
    )
)
_UNREAD = frozenset(
    (
        _ARF + "report-request",
        *(_DEFINITIONS + n for n in ("definitions", "objects", "states", "variables")),
    )
)
"""Nothing below these is looked at."""


def read(chunks: Iterable[bytes], name: str) -> Reading:
    """What an ARF says, from its bytes in order.

    Raises:
        ToolError: it is cut short, is not an ARF, or is beyond the limits.
        MemoryError: the process may not have as much memory as it takes.
    """
    reader = _Reader(name)
    try:
        for chunk in chunks:
            for begin in range(0, len(chunk), _CHUNK):
                reader.feed(chunk[begin : begin + _CHUNK])
        reader.parser.Parse(b"", True)
    except expat.ExpatError as e:
        if e.code == _NO_MEMORY:
            raise MemoryError from e
        raise odd(name, f"is cut short or is not XML: {e}") from e
    finally:
        reader.close()
    return reader.found


class _Reader:
    """Takes expat's calls. Where it is, the path says."""

    def __init__(self, name: str) -> None:
        self.found = Reading()
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self._name = name
        self._size = 0
        self._path: list[str] = []
        self._report = ""
        self._rule = Said(rule_id="")
        self._ids: list[str] = []
        self._more: list[str] = []
        self._looked_at: list[str] = []
        self._whole_object = True
        self._field_name = ""
        self._item: Item | None = None
        self._items = 0
        self._records = 0
        self._text: list[str] = []
        self._room = 0
        self._sink: Callable[[str], None] | None = None
        self._sink_depth = 0
        self._sink_whole = False
        self._starts = {
            _ARF + "report": self._start_report,
            _XCCDF + "TestResult": self._start_test_result,
            _XCCDF + "rule-result": self._start_rule,
            _RESULTS + "definition": self._start_definition,
            _RESULTS + "criterion": self._criterion,
            _RESULTS + "extend_definition": self._extend,
            _RESULTS + "test": self._start_test,
            _RESULTS + "tested_item": self._tested,
            _CHARACTERISTICS + "object": self._start_object,
        }
        self._parents = {
            _XCCDF + "TestResult": self._in_test_result,
            _XCCDF + "rule-result": self._in_rule,
            _XCCDF + "check": self._in_check,
            _DEFINITIONS + "tests": self._in_tests,
            _CHARACTERISTICS + "system_data": self._start_item,
            _CHARACTERISTICS + "object": self._in_object,
        }
        self._listen()

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._size += len(data)
        if self._size > MAX_BYTES:
            raise odd(self._name, f"is longer than {MAX_BYTES >> 20} MiB")
        self.parser.Parse(data, False)
        if len(self.parser.intern) > _MAX_NAMES:
            raise odd(self._name, f"has more than {_MAX_NAMES} different names")
        # Older versions of expat begin again with each chunk at a tag that has no end yet.
        if self._size - self.parser.CurrentByteIndex > _MAX_TAG:
            raise odd(self._name, f"has a tag or a comment of more than {_MAX_TAG >> 20} MiB")

    def close(self) -> None:
        """Let go of the parser, which holds this object's methods."""
        self.parser.StartElementHandler = self.parser.EndElementHandler = None
        self.parser.StartDoctypeDeclHandler = self.parser.CharacterDataHandler = None

    def _doctype(self, *_: object) -> None:
        raise odd(self._name, "declares entities, which an ARF never does")

    def _listen(self) -> None:
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        path = self._path
        path.append(tag)
        depth = len(path)
        if depth > _MAX_DEPTH:
            raise odd(self._name, f"is nested deeper than {_MAX_DEPTH} levels")
        if depth == 1:
            if tag != _ARF + "asset-report-collection":
                raise odd(self._name, f"begins with <{_local(tag)}>")
            return
        if self._sink is not None:
            if not self._sink_whole:
                self.parser.CharacterDataHandler = None
        elif self._item is not None:
            if depth == self._item.depth + 1 and _local(tag) in _TELLING:
                self._field_name = _local(tag)
                self._keep(self._field)
        elif tag in _UNREAD:
            self.parser.StartElementHandler = None
            self.parser.EndElementHandler = self._end_unread
        else:
            take = self._parents.get(path[-2])
            if take is not None:
                take(tag, attributes)
            begin = self._starts.get(tag)
            if begin is not None:
                begin(attributes)

    def _end_unread(self, tag: str) -> None:
        if tag == self._path[-1]:
            self._path.pop()
            self._listen()

    def _end(self, tag: str) -> None:
        # Elements of one name within one another end the unread part too early.
        if not self._path or self._path.pop() != tag:
            raise odd(self._name, f"has <{_local(tag)}> where oscap puts none")
        depth = len(self._path) + 1
        if self._sink is not None:
            if depth == self._sink_depth:
                sink, self._sink = self._sink, None
                self.parser.CharacterDataHandler = None
                sink("".join(self._text))
        elif self._item is not None:
            if depth == self._item.depth:
                self.found.items[self._report][self._item.id] = self._item.line()
                self._item = None
        elif tag == _XCCDF + "rule-result":
            known = self.found.rules.setdefault(self._rule.rule_id, self._rule)
            if known is not self._rule:
                known.is_repeated = True

    def _id(self, attributes: dict[str, str], name: str) -> str:
        """An attribute that something is known by."""
        value = attributes.get(name, "")
        if len(value) > MAX_ID:
            raise odd(self._name, f"has a {name} of {len(value)} characters")
        return value

    def _count(self) -> None:
        """Count one more of what is kept."""
        self._records += 1
        if self._records > _MAX_RECORDS:
            raise odd(self._name, f"has more than {_MAX_RECORDS} rules, tests and references")

    def _keep(self, sink: Callable[[str], None], *, whole: bool = False) -> None:
        """Give ``sink`` the text of the element that begins here; ``whole``: and below it."""
        self._sink, self._sink_whole = sink, whole
        self._sink_depth = len(self._path)
        self._text, self._room = [], _MAX_TEXT
        self.parser.CharacterDataHandler = self._characters

    def _characters(self, text: str) -> None:
        if self._room > 0:
            self._text.append(text[: self._room])
            self._room -= len(text)

    def _start_report(self, attributes: dict[str, str]) -> None:
        self._report = self._id(attributes, "id")
        self._count()

    def _start_test_result(self, attributes: dict[str, str]) -> None:
        if self.found.about:
            raise odd(self._name, "holds more than one XCCDF result")
        names = ("version", "start-time", "end-time")
        self.found.about = {n: self._id(attributes, n) for n in names if n in attributes}

    def _in_test_result(self, tag: str, attributes: dict[str, str]) -> None:
        about = self.found.about
        if tag == _XCCDF + "profile":
            about.setdefault("profile", self._id(attributes, "idref"))
        elif tag == _XCCDF + "platform":
            if len(self.found.platforms) < MAX_PLATFORMS:
                self.found.platforms.append(self._id(attributes, "idref"))
        elif tag == _XCCDF + "score" and "score" not in about:
            self._keep(lambda text: about.__setitem__("score", text))

    def _start_rule(self, attributes: dict[str, str]) -> None:
        self._count()
        if len(self.found.rules) > MAX_RULES:
            raise odd(self._name, f"has more than {MAX_RULES} rules")
        self._rule = Said(rule_id=self._id(attributes, "idref"))

    def _in_rule(self, tag: str, attributes: dict[str, str]) -> None:
        rule = self._rule
        if tag == _XCCDF + "result" and not rule.result:
            self._keep(lambda text: setattr(rule, "result", text))
        elif tag == _XCCDF + "message" and len(rule.messages) < MAX_FOUND:
            self._keep(lambda text: rule.messages.append(clean(text)), whole=True)
        elif tag == _XCCDF + "check":
            rule.checks += 1
            if rule.checks == 1:
                system = attributes.get("system", "")
                rule.engine = "SCE" if system == _SCE else "OVAL" if "oval" in system else ""

    def _in_check(self, tag: str, attributes: dict[str, str]) -> None:
        rule = self._rule
        if self._path[-3] != _XCCDF + "rule-result" or rule.checks != 1:
            return
        if tag == _XCCDF + "check-content-ref" and rule.where is None:
            report = self._id(attributes, "href").removeprefix("#")
            rule.where = (report, self._id(attributes, "name"))
        elif tag == _XCCDF + "check-import":
            self._keep(self._printed)

    def _printed(self, text: str) -> None:
        lines = (clean(x) for x in text.splitlines() if x.strip())
        self._rule.printed += list(lines)[: MAX_FOUND - len(self._rule.printed)]

    def _in_tests(self, _tag: str, attributes: dict[str, str]) -> None:
        self._count()
        comments = self.found.comments[self._report]
        comments[self._id(attributes, "id")] = attributes.get("comment", "")[: 2 * MAX_LINE]

    def _start_definition(self, attributes: dict[str, str]) -> None:
        self._count()
        self._ids, self._more = [], []
        definitions = self.found.definitions[self._report]
        definitions[self._id(attributes, "definition_id")] = (self._ids, self._more)

    def _criterion(self, attributes: dict[str, str]) -> None:
        self._count()
        self._ids.append(self._id(attributes, "test_ref"))

    def _extend(self, attributes: dict[str, str]) -> None:
        self._count()
        self._more.append(self._id(attributes, "definition_ref"))

    def _start_test(self, attributes: dict[str, str]) -> None:
        self._count()
        self._looked_at = []
        tests = self.found.tests[self._report]
        tests[self._id(attributes, "test_id")] = (self._id(attributes, "result"), self._looked_at)

    def _tested(self, attributes: dict[str, str]) -> None:
        self._count()
        self._looked_at.append(self._id(attributes, "item_id"))

    def _start_object(self, attributes: dict[str, str]) -> None:
        self._whole_object = attributes.get("flag") != "incomplete"

    def _in_object(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == _CHARACTERISTICS + "reference" and not self._whole_object:
            self._count()
            self.found.incomplete[self._report].add(self._id(attributes, "item_ref"))

    def _start_item(self, tag: str, attributes: dict[str, str]) -> None:
        self._items += 1
        if self._items > _MAX_ITEMS:
            raise odd(self._name, f"has more than {_MAX_ITEMS} items")
        self._item = Item(
            id=self._id(attributes, "id"),
            kind=_local(tag).removesuffix("_item"),
            status=self._id(attributes, "status") or "exists",
            depth=len(self._path),
        )

    def _field(self, text: str) -> None:
        if self._item is not None:
            self._item.add(self._field_name, text.strip())


def _local(tag: str) -> str:
    return tag.rpartition(" ")[2]
