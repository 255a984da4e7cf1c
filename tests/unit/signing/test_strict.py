import pytest

from hardpan.signing import MalformedError, parse_json


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a":1,"a":2}', "a key appears twice"),
        (b'{"x":{"a":1,"\\u0061":2}}', "a key appears twice"),
        (b'{"a":NaN}', "NaN is not a JSON number"),
        (b'{"a":-Infinity}', "-Infinity is not a JSON number"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"a":"\xff"}', "byte 6 is not UTF-8"),
        (b'{"a":"\\ud800"}', "a lone surrogate"),
        (b'{"\\udfff":1}', "a lone surrogate"),
        (b'["\\ud800"]', "a lone surrogate"),
        (b"{} {}", "Extra data"),
        (b"{}x", "Extra data"),
        (b"", "Expecting value"),
        (b'{"a":' + b"9" * 100_000 + b"}", "an integer beyond 2**53"),
        (b'{"a":9007199254740993}', "an integer beyond 2**53"),
        (b"[" * 100_000, "nested deeper than 24"),
        (b'{"a":' * 25 + b"1" + b"}" * 25, "nested deeper than 24"),
        (b'{"a":"\n"}', "Invalid control character"),
        (b"x" * 200_001, "expected at most 200000 bytes"),
    ],
)
def test_json_that_two_readers_could_read_differently_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_json(text, what="it", max_bytes=200_000)
    assert said in str(caught.value)
    assert str(caught.value).startswith("it: ")


def test_brackets_inside_text_do_not_count_as_depth() -> None:
    text = b'{"a":"' + b"[{" * 1000 + b'\\"[[[","b":"\\u00e9"}'

    assert parse_json(text, what="it", max_bytes=10_000) == {"a": "[{" * 1000 + '"[[[', "b": "é"}
