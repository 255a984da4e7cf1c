"""Text as XML content and as attribute values.

``xml.sax.saxutils`` does the same, but imports ``urllib.request`` and with it ``ssl``, which takes
longer than any other module of a scan.
"""


def escape_text(text: str) -> str:
    """Return ``text``, which has no character that XML forbids, as the content of an element."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\r", "&#13;")  # a parser reads the character itself as a line end


def quote_attribute(text: str) -> str:
    """Return ``text``, which has no character that XML forbids, as a quoted attribute value."""
    value = escape_text(text).replace('"', "&quot;")
    return f'"{value}"'.replace("\n", "&#10;").replace("\t", "&#9;")
