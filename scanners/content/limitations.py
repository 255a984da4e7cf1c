"""Constructs with which a benchmark is evaluated whole: reducing it could change a verdict."""

from collections.abc import Iterator

from hardpan.scanners.content.scap_xml import XCCDF, Element

ADJACENT_ELEMENTS = (
    "the benchmark has elements without white space between them, and OpenSCAP 1.3.7 to 1.4.4 skip "
    "some of these: format the content, e.g. with 'xmllint --format'"
)

_READ_BY_ELEMENT = ("Benchmark", "Profile", "Group", "Rule", "Value", "check", "complex-check")


def find_limitations(bench: Element) -> tuple[str, ...]:
    """Return why a benchmark can be neither reduced nor partitioned; nothing if it can."""
    return tuple(dict.fromkeys(_iter_limitations(bench)))


def _iter_limitations(bench: Element) -> Iterator[str]:
    if bench.find(XCCDF + "TestResult") is not None:
        yield "the benchmark contains results"
    if any(g.get("extends") for g in bench.iter(XCCDF + "Group")):
        yield "a group extends another one"
    for parent in bench.iter(*(XCCDF + tag for tag in _READ_BY_ELEMENT)):
        if any(e.tail is None and e.getnext() is not None for e in parent):
            yield ADJACENT_ELEMENTS
            return
