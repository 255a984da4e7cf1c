"""ARFs that a hostile target may send: each kind has much of one thing, to a given length."""

from collections.abc import Callable, Iterator

from tests.unit.openscap.samples import ARF

_TEMPLATE = ARF.replace("\x85", " ")
_CHUNK = 1 << 20
_MAX_RULES = 4500
"""With more of them an ARF is refused at once."""
_RULES = "<score system="
_DEFINITIONS = '<definition definition_id="d2">'
_CRITERIA = '<criterion test_ref="t1"/>'
_TESTS = '<test test_id="t1"'
_ITEMS = '<file_item id="7">'
_OVAL = "http://oval.mitre.org/XMLSchema/oval-definitions-5"


def _rules(n: int, definition: str) -> Iterator[tuple[str, str]]:
    if n < _MAX_RULES:
        reference = f'<check-content-ref href="#oval0" name="{definition}"/>'
        check = f'<check system="{_OVAL}">{reference}</check>'
        yield _RULES, f'<rule-result idref="r{n}"><result>pass</result>{check}</rule-result>'


def _shared_definitions(n: int) -> Iterator[tuple[str, str]]:
    """Rules that name one definition with many tests."""
    yield from _rules(n, "d1")
    yield _CRITERIA, f'<criterion test_ref="u{n}"/>'
    yield _TESTS, f'<test test_id="u{n}" result="not evaluated"/>'


def _chained_definitions(n: int) -> Iterator[tuple[str, str]]:
    """Rules that name one definition each, where each extends the next."""
    yield from _rules(n, f"c{n}")
    extends = f'<criteria><extend_definition definition_ref="c{n + 1}"/></criteria>'
    yield _DEFINITIONS, f'<definition definition_id="c{n}">{extends}</definition>'


def _pieces(anchor: str, piece: Callable[[int], str]) -> Callable[[int], Iterator[tuple[str, str]]]:
    return lambda n: iter([(anchor, piece(n))])


def _repeated_results(_n: int) -> Iterator[tuple[str, str]]:
    check = f'<check system="{_OVAL}"><check-content-ref href="#oval0" name="d1"/></check>'
    yield _RULES, f'<rule-result idref="r"><result>pass</result>{check}</rule-result>'


def _checks(n: int) -> Iterator[tuple[str, str]]:
    """Rules with many checks that name every definition of a report."""
    check = f'<check system="{_OVAL}"><check-content-ref href="#oval0"/></check>' * 15
    if n < _MAX_RULES:
        content = f'<result>fail</result><complex-check operator="OR">{check}</complex-check>'
        yield _RULES, f'<rule-result idref="r{n}">{content}</rule-result>'
    yield _DEFINITIONS, f'<definition definition_id="e{n}" result="false"/>'


REPEATED: dict[str, Callable[[int], Iterator[tuple[str, str]]]] = {
    "rules that share a definition": _shared_definitions,
    "definitions in a chain": _chained_definitions,
    "results of one rule": _repeated_results,
    "checks of complex checks": _checks,
    "values": _pieces(_RULES, lambda n: f'<set-value idref="v{n}">{n}</set-value>'),
    "overrides": _pieces("<result>fail<", lambda n: f"<override><remark>{n}</remark></override>"),
    "nested complex checks": _pieces("<result>fail<", lambda _: "<complex-check/>"),
    "tests": _pieces(_TESTS, lambda n: f'<test test_id="u{n}" result="true"/>'),
    "items that one test looked at": _pieces(
        "<tested_item", lambda n: f'<tested_item item_id="{n}"/>'
    ),
    "items": _pieces(_ITEMS, lambda n: f'<i id="{n}"><name>{n}</name></i>'),
    "fields of one item": _pieces("<filepath>", lambda n: f"<name>{n}</name>"),
    "messages": _pieces("<message>", lambda n: f"<message>{n}</message>"),
    "empty elements": _pieces(_RULES, lambda _: "<a/>"),
    "elements with a name each": _pieces(_RULES, lambda n: f"<a{n}/>"),
    "character references": _pieces("/etc/x<", lambda _: "&#120;"),
    "attributes of one element": _pieces('version="0.1.82"', lambda n: f'a{n}="" '),
    "name spaces of one element": _pieces('version="0.1.82"', lambda n: f'xmlns:a{n}="u{n}" '),
    "open comments": _pieces(_RULES, lambda _: "<!-- "),
}
"""Kind -> pieces for one round, each with the text before which it is inserted."""

LONG: dict[str, tuple[str, str]] = {
    "one attribute": ('version="0.1.82"', 'a="{}" version="0.1.82"'),
    "one text": ("<score", "<title>{}</title><score"),
    "one element name": ("<score", "<{}/><score"),
    "one comment": ("<score", "<!--{}--><score"),
}
"""Kind -> a text of the ARF, and what is there in its place with one value as long as the ARF."""

KINDS = (*REPEATED, *LONG)


def generate_hostile_arf(kind: str, size: int) -> Iterator[bytes]:
    """An ARF of about ``size`` bytes of this kind."""
    text = _repeated(kind, size) if kind in REPEATED else _long(kind, size)
    pending: list[str] = []
    length = 0
    for piece in text:
        pending.append(piece)
        length += len(piece)
        if length >= _CHUNK:
            yield "".join(pending).encode()
            pending, length = [], 0
    yield "".join(pending).encode()


def _repeated(kind: str, size: int) -> Iterator[str]:
    make = REPEATED[kind]
    rounds = size // sum(len(piece) for _, piece in make(size // 100))
    anchors = sorted({anchor for anchor, _ in make(0)}, key=_TEMPLATE.index)
    offset = 0
    for anchor in anchors:
        end = _TEMPLATE.index(anchor)
        yield _TEMPLATE[offset:end]
        offset = end
        if list(make(0)) == list(make(1)):
            yield "".join(piece for _, piece in make(0)) * rounds
            continue
        for n in range(rounds):
            yield from (piece for piece_anchor, piece in make(n) if piece_anchor == anchor)
    yield _TEMPLATE[offset:]


def _long(kind: str, size: int) -> Iterator[str]:
    anchor, form = LONG[kind]
    prefix, suffix = form.split("{}")
    offset = _TEMPLATE.index(anchor)
    yield _TEMPLATE[:offset] + prefix
    for _ in range(size // _CHUNK):
        yield "x" * _CHUNK
    yield "x" * (size % _CHUNK) + suffix + _TEMPLATE[offset + len(anchor) :]
