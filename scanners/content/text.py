"""Render XCCDF texts as plain text: values inserted, lines, lists and code blocks retained.

XCCDF texts are XHTML with ``sub`` elements (NISTIR 7275r4, 7.2.3.6). White space is folded as in
XHTML, except in ``pre``. A benchmark without any XHTML, such as DISA's, has its layout in its line
breaks, which are then retained.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lxml import etree

from hardpan.core.errors import InputError
from hardpan.scanners.content.scap_xml import XCCDF, Element, element_text

_XHTML = "{http://www.w3.org/1999/xhtml}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_BLOCKS = (
    *("p", "div", "ul", "ol", "dl", "dt", "dd", "blockquote", "hr"),
    *("table", "thead", "tbody", "tr", "h1", "h2", "h3", "h4", "h5", "h6"),
)
_CODE_INDENT, _LIST_INDENT = "    ", "  "
_MAX_DEPTH = 64
_MAX_CHARACTERS = 256 << 10
_DISCUSSION = re.compile(r"\s*<VulnDiscussion>(.*?)</VulnDiscussion>", re.DOTALL)
"""DISA's descriptions have escaped elements in them; only this one is a description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitutions:
    """The texts that a benchmark's texts refer to."""

    values: Mapping[str, str | None]
    """Value id -> its value in the profile."""

    titles: Mapping[str, str]
    """Id of a Value, Rule or Group -> title."""

    plain_texts: Mapping[str, str]
    has_markup: bool
    """True if the benchmark has any XHTML."""

    def resolve_sub(self, element: Element) -> str:
        """Return the text of a ``sub``."""
        value_id = element.get("idref", "")
        if element.get("use") == "title" and value_id in self.titles:
            return self.titles[value_id]
        return self._resolve_value(value_id, f"[no value: {value_id}]")

    def resolve_object(self, element: Element) -> str | None:
        """Return the text of an XHTML ``object``; None if it is not one that XCCDF defines."""
        scheme, _, identifier = element.get("data", "").removeprefix("#xccdf:").partition(":")
        content = "".join(map(str, element.itertext()))
        if not element.get("data", "").startswith("#xccdf:"):
            return None
        if scheme == "title":
            return self.titles.get(identifier, content)
        return self._resolve_value(identifier, content) if scheme == "value" else None

    def _resolve_value(self, identifier: str, fallback: str) -> str:
        value = self.values.get(identifier)
        return self.plain_texts.get(identifier, fallback) if value is None else value


def read_substitutions(bench: Element, values: Mapping[str, str | None]) -> Substitutions:
    """Read what the texts of a benchmark may refer to; ``values`` are those of the profile."""
    items = bench.iter(XCCDF + "Value", XCCDF + "Rule", XCCDF + "Group")
    return Substitutions(
        values=values,
        titles={i.get("id", ""): element_text(i.find(XCCDF + "title")) for i in items},
        plain_texts={
            p.get("id", ""): "".join(map(str, p.itertext()))
            for p in bench.findall(XCCDF + "plain-text")
        },
        has_markup=next(bench.iter(_XHTML + "*"), None) is not None,
    )


def render_line(elements: Iterable[Element], substitutions: Substitutions) -> str:
    """Render the English one of a title's translations as one line; empty if there is none."""
    return " ".join(render_text(elements, substitutions).split())


def render_text(elements: Iterable[Element], substitutions: Substitutions) -> str:
    """Render the English one of a text's translations; empty if there is none.

    Raises:
        InputError: it is longer than 256 Ki characters, or its elements are nested too deeply.
    """
    element = _choose_language(list(elements))
    if element is None:
        return ""
    writer = _PlainTextWriter()
    _write_children(element, substitutions, writer, depth=0)
    text = writer.finish()
    discussion = _DISCUSSION.match(text)
    return discussion[1].strip() if discussion else text


def _choose_language(elements: list[Element]) -> Element | None:
    english = [e for e in elements if e.get(_LANGUAGE, "en").lower().startswith("en")]
    return next(iter(english or elements), None)


class _PlainTextWriter:
    """Collects lines; ``prefix`` starts each new line, ``marker`` only the next one."""

    def __init__(self) -> None:
        self.prefix = ""
        self.marker = ""
        self._lines: list[str] = []
        self._line = ""
        self._size = 0

    def add_folded(self, text: str) -> None:
        """Add text whose white space is folded; an empty line in it starts a paragraph."""
        paragraphs = re.split(r"\n[ \t]*\n\s*", text)
        for number, paragraph in enumerate(paragraphs):
            if number:
                self.break_line()
                self.add_blank_line()
            self._append(re.sub(r"\s+", " ", paragraph))

    def add_lines(self, text: str) -> None:
        """Add text whose line breaks and blanks are retained."""
        for number, line in enumerate(text.split("\n")):
            if number:
                self._push()
            self._append(line.rstrip("\r"), strip=False)

    def break_line(self) -> None:
        """End the line, if it has any text."""
        if self._line.strip():
            self._push()
        self._line = ""

    def add_line_break(self) -> None:
        """End the line, also an empty one."""
        self._push()

    def add_blank_line(self) -> None:
        """Add an empty line, but not a second one."""
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def finish(self) -> str:
        """Return the text, without empty lines around it and with at most one inside."""
        self.break_line()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip("\n")

    def _append(self, text: str, *, strip: bool = True) -> None:
        if strip and (not self._line or self._line.endswith(" ")):
            text = text.lstrip()
        self._size += len(text)
        if self._size > _MAX_CHARACTERS:
            raise InputError(f"a text: longer than {_MAX_CHARACTERS} characters")
        self._line += text

    def _push(self) -> None:
        line = self._line.rstrip()
        start = self.prefix + self.marker if line else ""
        if line and self.marker:
            self.prefix += " " * len(self.marker)
            self.marker = ""
        self._lines.append(start + line)
        self._line = ""
        self._size += 1


def _write_children(
    element: Element, substitutions: Substitutions, writer: _PlainTextWriter, *, depth: int
) -> None:
    if depth > _MAX_DEPTH:
        raise InputError(f"a text: elements nested deeper than {_MAX_DEPTH}")
    add = writer.add_folded if substitutions.has_markup else writer.add_lines
    add(element.text or "")
    for child in element:
        if isinstance(child.tag, str):  # no comment or processing instruction
            _write_element(child, substitutions, writer, depth=depth + 1)
        add(child.tail or "")


def _write_element(
    element: Element, substitutions: Substitutions, writer: _PlainTextWriter, *, depth: int
) -> None:
    name = etree.QName(element).localname
    resolved = _resolve(element, substitutions)
    if resolved is not None:
        writer.add_folded(resolved)
    elif name == "br":
        writer.add_line_break()
    elif name == "pre":
        _write_code(_raw_text(element, substitutions, depth=depth), writer)
    elif name == "li":
        _write_item(element, substitutions, writer, depth=depth)
    elif name in _BLOCKS:
        _write_block(element, substitutions, writer, depth=depth)
    else:
        _write_children(element, substitutions, writer, depth=depth)
        if name in ("td", "th") and element.getnext() is not None:
            writer.add_folded(" | ")


def _resolve(element: Element, substitutions: Substitutions) -> str | None:
    if element.tag == XCCDF + "sub":
        return substitutions.resolve_sub(element)
    if etree.QName(element).localname == "object":
        return substitutions.resolve_object(element)
    return None


def _write_block(
    element: Element, substitutions: Substitutions, writer: _PlainTextWriter, *, depth: int
) -> None:
    writer.break_line()
    is_paragraph = etree.QName(element).localname == "p"
    if is_paragraph:
        writer.add_blank_line()
    _write_children(element, substitutions, writer, depth=depth)
    writer.break_line()
    if is_paragraph:
        writer.add_blank_line()


def _write_item(
    element: Element, substitutions: Substitutions, writer: _PlainTextWriter, *, depth: int
) -> None:
    writer.break_line()
    outer_prefix = writer.prefix
    writer.prefix, writer.marker = outer_prefix + _LIST_INDENT, _item_marker(element)
    _write_children(element, substitutions, writer, depth=depth)
    writer.break_line()
    writer.prefix, writer.marker = outer_prefix, ""


def _item_marker(element: Element) -> str:
    parent = element.getparent()
    if parent is None or etree.QName(parent).localname != "ol":
        return "- "
    return f"{1 + sum(1 for _ in element.itersiblings(element.tag, preceding=True))}. "


def _write_code(text: str, writer: _PlainTextWriter) -> None:
    """Write the lines of a ``pre`` indented, without the blanks that all of them start with."""
    lines = [line.expandtabs().rstrip() for line in text.strip("\n").split("\n")]
    margin = min((len(x) - len(x.lstrip()) for x in lines if x), default=0)
    writer.break_line()
    outer_prefix = writer.prefix
    writer.prefix = outer_prefix + _CODE_INDENT
    writer.add_lines("\n".join(x[margin:] for x in lines))
    writer.break_line()
    writer.prefix = outer_prefix


def _raw_text(element: Element, substitutions: Substitutions, *, depth: int) -> str:
    """Return the text of a ``pre`` with its blanks and line breaks."""
    if depth > _MAX_DEPTH:
        raise InputError(f"a text: elements nested deeper than {_MAX_DEPTH}")
    parts = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str):
            resolved = _resolve(child, substitutions)
            if resolved is not None:
                parts.append(resolved)
            elif etree.QName(child).localname == "br":
                parts.append("\n")
            else:
                parts.append(_raw_text(child, substitutions, depth=depth + 1))
        parts.append(child.tail or "")
    return "".join(parts)
