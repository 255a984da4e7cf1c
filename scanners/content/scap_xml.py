"""Read and write SCAP data streams: no entities, no network, white space retained."""

from collections.abc import Iterator

from lxml import etree

from hardpan.core.errors import InputError
from hardpan.core.limits import MAX_DATA_STREAM_BYTES

DS = "{http://scap.nist.gov/schema/scap/source/1.2}"
XCCDF = "{http://checklists.nist.gov/xccdf/1.2}"
OVAL = "{http://oval.mitre.org/XMLSchema/oval-definitions-5}"
CPE_DICT = "{http://cpe.mitre.org/dictionary/2.0}"
CATALOG = "{urn:oasis:names:tc:entity:xmlns:xml:catalog}"
XLINK = "{http://www.w3.org/1999/xlink}"

OVAL_SYSTEM = "http://oval.mitre.org/XMLSchema/oval-definitions-5"
OCIL_SYSTEM = "http://scap.nist.gov/schema/ocil/2"
SCE_SYSTEM = "http://open-scap.org/page/SCE"


Element = etree._Element


def create_parser() -> etree.XMLParser:
    """Return a parser for content: entities and the network are off, huge text nodes allowed.

    White space stays: oscap 1.3.7 crashes on a data stream without it. CDATA sections stay: oscap
    ignores text after one.
    """
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, strip_cdata=False
    )


def parse_xml(data: bytes, name: str) -> Element:
    """Parse a document that has no DOCTYPE, in any encoding, and return its root.

    Raises:
        InputError: it has one: the target's oscap would expand its entities.
        lxml.etree.XMLSyntaxError: it is not XML.
    """
    root = etree.fromstring(data, create_parser())
    if root.getroottree().docinfo.internalDTD is not None:
        raise InputError(f"{name}: has a DOCTYPE: expected SCAP content, which never has one")
    return root


def parse_data_stream(data: bytes, name: str) -> Element:
    """Parse a source data stream and return its root.

    Raises:
        InputError: it is not one, is not XML, or is too long.
    """
    if len(data) > MAX_DATA_STREAM_BYTES:
        raise InputError(f"{name}: longer than {MAX_DATA_STREAM_BYTES >> 20} MiB")
    try:
        root = parse_xml(data, name)
    except etree.XMLSyntaxError as e:
        raise _not_xml(data, name, str(e)) from e
    if root.tag != DS + "data-stream-collection":
        raise _not_data_stream(root, name)
    return root


def _not_xml(data: bytes, name: str, reason: str) -> InputError:
    if not data.strip():
        return InputError(f"{name}: expected a source data stream, got an empty file")
    if data.startswith((b"!<arch>", b"\xed\xab\xee\xdb")):
        hint = "unpack it: data streams are in /usr/share/xml/scap/ssg/content"
        return InputError(f"{name}: expected a source data stream, got a package", hint=hint)
    position = reason.partition(" (<string>")[0]  # lxml repeats the line
    return InputError(f"{name}: not XML: {position}")


_XCCDF_11 = "{http://checklists.nist.gov/xccdf/1.1}"
_ARF = "{http://scap.nist.gov/schema/asset-reporting-format/1.1}"
_COMPOSE_HINT = (
    "combine it with the OVAL files that it names: oscap ds sds-compose FILE-xccdf.xml FILE-ds.xml"
)
_OTHER_FILES = {
    XCCDF + "Benchmark": ("an XCCDF 1.2 benchmark without its checks", _COMPOSE_HINT),
    _XCCDF_11 + "Benchmark": (
        "an XCCDF 1.1 benchmark",
        "take SCAP 1.2 or 1.3 content: DISA's manual STIGs have no checks, its benchmarks have",
    ),
    OVAL + "oval_definitions": ("OVAL definitions without a benchmark", _COMPOSE_HINT),
    XCCDF + "Tailoring": ("an XCCDF tailoring", "give it with --tailoring"),
    _ARF + "asset-report-collection": ("the results of a scan (ARF)", ""),
    XCCDF + "TestResult": ("the results of a scan (XCCDF)", ""),
}


def _not_data_stream(root: Element, name: str) -> InputError:
    description, hint = _OTHER_FILES.get(str(root.tag), (f"<{etree.QName(root).localname}>", ""))
    return InputError(
        f"{name}: expected a source data stream, got {description}",
        hint=hint or "take the file that ends in -ds.xml",
    )


def serialize(root: Element) -> bytes:
    """Return the same bytes for the same tree."""
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def iter_benchmarks(root: Element) -> Iterator[Element]:
    """Yield the XCCDF benchmarks of a data stream collection, in document order."""
    for component in root.iterchildren(DS + "component"):
        yield from component.iterchildren(XCCDF + "Benchmark")


def find_benchmark(root: Element, name: str, benchmark_id: str = "") -> Element:
    """Return the XCCDF benchmark with this id, without an id the only one, of a data stream.

    Raises:
        InputError: there is none, or more than one and no id.
    """
    benchmarks = list(iter_benchmarks(root))
    ids = ", ".join(b.get("id", "") for b in benchmarks)
    if benchmark_id:
        benchmarks = [b for b in benchmarks if b.get("id") == benchmark_id][:1]
        if not benchmarks:
            raise InputError(f"{name}: no benchmark {benchmark_id!r}", hint=f"it has: {ids}")
    if len(benchmarks) != 1:
        raise InputError(
            f"{name}: expected one XCCDF 1.2 benchmark, got {len(benchmarks)}",
            hint=f"choose one of {ids}" if ids else "",
        )
    return benchmarks[0]


def element_text(element: Element | None) -> str:
    """Return all text below an element, white space folded."""
    return "" if element is None else " ".join("".join(map(str, element.itertext())).split())


def remove_element(element: Element) -> None:
    """Remove an element together with the white space after it."""
    parent = element.getparent()
    if parent is None:
        return
    if element.tail and element.tail.strip():
        previous = element.getprevious()
        if previous is None:
            parent.text = (parent.text or "") + element.tail
        else:
            previous.tail = (previous.tail or "") + element.tail
    parent.remove(element)
