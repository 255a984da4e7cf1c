import pytest
from lxml import etree

from hardpan.core.xml_text import escape_text, quote_attribute

_TEXTS = ("plain", "", "é < ü & \"double\" 'single'", "]]></a>", "&amp;", "a\r\nb\tc\n", " \r ")


@pytest.mark.parametrize("text", _TEXTS)
def test_parser_reads_back_the_text(text: str) -> None:
    element = etree.fromstring(f"<a b={quote_attribute(text)}>{escape_text(text)}</a>")

    assert element.get("b") == text
    assert (element.text or "") == text
    assert not len(element)
