"""Load a tailoring: an XCCDF 1.2 ``Tailoring``, alone or in a data stream, or the YAML form."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree
from pydantic import ValidationError

from hardpan.core.errors import InputError
from hardpan.core.files import Sha256, sha256_bytes
from hardpan.core.validation_errors import format_problems, locate_errors
from hardpan.core.yaml_source import YamlNode, read_yaml
from hardpan.scanners.content.content_file import read_content_file
from hardpan.scanners.content.scap_xml import DS, XCCDF, Element, parse_xml, serialize
from hardpan.scanners.deviations.tailoring_settings import TailoringSettings

_HINT = "docs/scan.md describes both forms of a tailoring"


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlTailoring:
    """A tailoring in YAML, and the locations of its settings."""

    settings: TailoringSettings
    tree: YamlNode


@dataclass(frozen=True, slots=True, kw_only=True)
class TailoringFile:
    """A tailoring file; its ids are compared with a benchmark later."""

    path: str
    """As the user named it, for messages."""

    name: str
    """Without its folder."""

    data: bytes
    """The file's bytes; the Tailoring alone if the file is a data stream."""

    sha256: Sha256
    content: YamlTailoring | Element
    """Settings, or the XCCDF ``Tailoring`` element."""


def load_tailoring(path: Path) -> TailoringFile:
    """Load the tailoring in a file.

    Raises:
        InputError: it cannot be read, is no tailoring, or has problems; each of YAML is reported on
            a line as ``file:line:column: path: expected, got``.
    """
    name, data = read_content_file(path)
    return parse_tailoring(data, path=str(path), name=name)


def parse_tailoring(data: bytes, *, path: str, name: str) -> TailoringFile:
    """Parse a tailoring; ``path`` names it in messages.

    Raises:
        InputError: see ``load_tailoring``.
    """
    content = _parse_xccdf(data, path) if _is_xml(data) else _parse_yaml(data, path)
    if not isinstance(content, YamlTailoring) and content.getparent() is not None:
        data = serialize(content)
    return TailoringFile(
        path=path, name=name, data=data, sha256=sha256_bytes(data), content=content
    )


def _is_xml(data: bytes) -> bool:
    return data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _parse_yaml(data: bytes, name: str) -> YamlTailoring:
    tree = read_yaml(data, name)
    try:
        settings = TailoringSettings.model_validate(tree.to_plain())
    except ValidationError as e:
        raise InputError(format_problems(locate_errors(tree, e)), hint=_HINT) from e
    return YamlTailoring(settings=settings, tree=tree)


def _parse_xccdf(data: bytes, name: str) -> Element:
    try:
        root = parse_xml(data, name)
    except etree.XMLSyntaxError as e:
        raise InputError(f"{name}: not XML: {e}") from e
    tailorings = list(_iter_tailorings(root))
    if len(tailorings) == 1:
        return tailorings[0]
    description = f"<{etree.QName(root).localname}>" if not tailorings else str(len(tailorings))
    raise InputError(f"{name}: expected one XCCDF 1.2 Tailoring, got {description}", hint=_HINT)


def _iter_tailorings(root: Element) -> Iterator[Element]:
    """Yield the document itself, or the tailoring components of a data stream collection."""
    if root.tag == XCCDF + "Tailoring":
        yield root
    elif root.tag == DS + "data-stream-collection":
        for component in root.iterchildren(DS + "component"):
            yield from component.iterchildren(XCCDF + "Tailoring")
