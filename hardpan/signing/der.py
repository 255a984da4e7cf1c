"""DER, read strictly: each value has one encoding, and nothing follows it.

Source: ITU-T X.690, clauses 8.1 and 10.1. Only low tag numbers are read; no format that is
read here uses others.
"""

from dataclasses import dataclass

from hardpan.signing.strict_json import MalformedError

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
UTF8_STRING, GENERALIZED_TIME, SEQUENCE, SET = 0x0C, 0x18, 0x30, 0x31
MAX_INTEGER_BYTES = 64
_CONSTRUCTED, _HIGH_TAG = 0x20, 0x1F
_MAX_LENGTH_BYTES = 4


def context_tag(number: int, *, constructed: bool = True) -> int:
    """The identifier octet of the context-specific tag ``[number]``."""
    return 0x80 | (_CONSTRUCTED if constructed else 0) | number


@dataclass(frozen=True, slots=True)
class DerElement:
    """One value."""

    tag: int
    """Its identifier octet."""

    body: bytes
    encoded: bytes
    """Identifier, length and body."""

    label: str
    """What it belongs to, for messages."""

    def read_children(self) -> tuple["DerElement", ...]:
        """The values inside.

        Raises:
            MalformedError: it is not constructed, or its body is not a row of values.
        """
        if not self.tag & _CONSTRUCTED:
            raise MalformedError(f"{self.label}: expected a constructed DER value")
        elements = []
        offset = 0
        while offset < len(self.body):
            element = _read_element(self.body, offset, self.label)
            elements.append(element)
            offset += len(element.encoded)
        return tuple(elements)

    def read_only_child(self) -> "DerElement":
        """The one value inside.

        Raises:
            MalformedError: there is another number of them.
        """
        children = self.read_children()
        if len(children) != 1:
            raise MalformedError(f"{self.label}: expected one DER value, got {len(children)}")
        return children[0]

    def expect(self, tag: int) -> "DerElement":
        """Itself.

        Raises:
            MalformedError: its tag is another one than ``tag``.
        """
        if self.tag != tag:
            raise MalformedError(f"{self.label}: expected DER tag {tag:#04x}, got {self.tag:#04x}")
        return self

    def read_integer(self) -> int:
        """The value of an INTEGER.

        Raises:
            MalformedError: it is none, is not in its shortest form, or is too long.
        """
        body = self.expect(INTEGER).body
        if not 0 < len(body) <= MAX_INTEGER_BYTES:
            raise MalformedError(f"{self.label}: an integer of {len(body)} bytes")
        if len(body) > 1 and (body[0], body[1] >> 7) in ((0x00, 0), (0xFF, 1)):
            raise MalformedError(f"{self.label}: an integer that is not in its shortest form")
        return int.from_bytes(body, "big", signed=True)

    def read_oid(self) -> str:
        """The value of an OBJECT IDENTIFIER, dotted.

        Raises:
            MalformedError: it is none, or is damaged.
        """
        body = self.expect(OID).body
        if not body or body[-1] & 0x80 or len(body) > MAX_INTEGER_BYTES:
            raise MalformedError(f"{self.label}: a damaged object identifier")
        arcs: list[int] = []
        arc = 0
        is_arc_start = True
        for octet in body:
            if is_arc_start and octet == 0x80:
                raise MalformedError(f"{self.label}: a damaged object identifier")
            arc = arc << 7 | octet & 0x7F
            is_arc_start = not octet & 0x80
            if is_arc_start:
                arcs.append(arc)
                arc = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def read_der(data: bytes, *, label: str, max_bytes: int) -> DerElement:
    """The one value that ``data`` is.

    Raises:
        MalformedError: too many bytes, no DER, or bytes after its end.
    """
    if len(data) > max_bytes:
        raise MalformedError(f"{label}: expected at most {max_bytes} bytes, got {len(data)}")
    element = _read_element(data, 0, label)
    if len(element.encoded) != len(data):
        raise MalformedError(f"{label}: {len(data) - len(element.encoded)} bytes after its end")
    return element


def _read_element(data: bytes, offset: int, label: str) -> DerElement:
    head = data[offset : offset + 2]
    if len(head) < 2:
        raise MalformedError(f"{label}: not DER: cut short")
    if head[0] & _HIGH_TAG == _HIGH_TAG:
        raise MalformedError(f"{label}: not DER that is read here: tag {head[0]:#04x}")
    body_offset, size = offset + 2, head[1]
    if size & 0x80:
        count = size & 0x7F
        digits = data[body_offset : body_offset + count]
        size = int.from_bytes(digits, "big")
        is_truncated = len(digits) != count
        if count > _MAX_LENGTH_BYTES or is_truncated or size < 0x80 or digits[:1] == b"\0":
            raise MalformedError(f"{label}: not DER: a length that is not in its shortest form")
        body_offset += count
    end = body_offset + size
    if end > len(data):
        raise MalformedError(f"{label}: not DER: cut short")
    return DerElement(
        tag=head[0], body=data[body_offset:end], encoded=data[offset:end], label=label
    )
