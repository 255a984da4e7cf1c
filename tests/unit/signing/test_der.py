import pytest

from hardpan.signing.der import context_tag, read_der
from hardpan.signing.strict_json import MalformedError
from tests.tools.tsa import encode_der


def _refused(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError) as caught:
        read_der(data, label="x", max_bytes=1000)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x: not DER: cut short"),
        (b"\x30", "x: not DER: cut short"),
        (b"\x30\x01", "x: not DER: cut short"),
        (b"\x30\x00\x00", "x: 1 bytes after its end"),
        (b"\x1f\x01\x00", "tag 0x1f"),
        (b"\xbf\x01\x00", "tag 0xbf"),
        (b"\x30\x80\x00\x00", "a length that is not in its shortest form"),
        (b"\x30\x81\x01\x00", "a length that is not in its shortest form"),
        (b"\x30\x82\x00\x80" + bytes(128), "a length that is not in its shortest form"),
        (b"\x30\x82\x01", "a length that is not in its shortest form"),
        (b"\x30\x82\x90", "a length that is not in its shortest form"),
        (b"\x30\x85\x00\x00\x00\x00\x01\x00", "a length that is not in its shortest form"),
        (b"\x30\x85\x01\x00\x00\x00\x00", "a length that is not in its shortest form"),
        (b"\x30\xff" + bytes(127), "a length that is not in its shortest form"),
        (bytes(1001), "x: expected at most 1000 bytes, got 1001"),
    ],
)
def test_der_in_another_encoding_is_refused(data: bytes, message: str) -> None:
    _refused(data, message)


def test_der_element_returns_children_and_values() -> None:
    integers = (encode_der(2, b"\x00\x80"), encode_der(2, b"\xff"))
    data = encode_der(0x30, *integers, encode_der(0xA0, encode_der(4, b"x")))
    outer = read_der(data, label="x", max_bytes=1000)
    first, second, tagged = outer.read_children()

    assert (first.read_integer(), second.read_integer()) == (128, -1)
    assert tagged.expect(context_tag(0)).read_only_child().body == b"x"
    assert context_tag(1, constructed=False) == 0x81


def test_der_long_length_is_read() -> None:
    assert read_der(encode_der(4, bytes(200)), label="x", max_bytes=1000).body == bytes(200)
    assert read_der(encode_der(4, bytes(128)), label="x", max_bytes=1000).body == bytes(128)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", "1.2.840.113549.1.7.2"),
        (b"\x55\x1d", "2.5.29"),
        (b"\x88\x37", "2.999"),
        (b"\x00", "0.0"),
    ],
)
def test_der_object_identifier_is_read(body: bytes, value: str) -> None:
    assert read_der(encode_der(6, body), label="x", max_bytes=1000).read_oid() == value


@pytest.mark.parametrize(
    "data",
    [
        encode_der(6),
        encode_der(6, b"\x80"),
        encode_der(6, b"\x2a\x80\x01"),
        encode_der(6, b"\x2a\x86"),
        encode_der(6, b"\x01" * 65),
        encode_der(2, b"\x01"),
    ],
)
def test_der_damaged_object_identifier_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read_der(data, label="x", max_bytes=1000).read_oid()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encode_der(2), "an integer of 0 bytes"),
        (encode_der(2, b"\x01" * 65), "an integer of 65 bytes"),
        (encode_der(2, b"\x00\x01"), "not in its shortest form"),
        (encode_der(2, b"\xff\x80"), "not in its shortest form"),
        (encode_der(4, b"\x01"), "expected DER tag 0x02, got 0x04"),
    ],
)
def test_der_damaged_integer_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        read_der(data, label="x", max_bytes=1000).read_integer()


def test_der_children_must_fill_a_constructed_element() -> None:
    for data, message in (
        (encode_der(4, b"\x02\x01\x01"), "expected a constructed DER value"),
        (encode_der(0x30, b"\x02\x02\x01"), "cut short"),
    ):
        with pytest.raises(MalformedError, match=message):
            read_der(data, label="x", max_bytes=1000).read_children()
    for parts in ((), (encode_der(5), encode_der(5))):
        with pytest.raises(MalformedError, match=f"expected one DER value, got {len(parts)}"):
            read_der(encode_der(0x30, *parts), label="x", max_bytes=1000).read_only_child()
