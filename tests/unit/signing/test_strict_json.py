import contextlib
import json
from collections.abc import Callable

import pytest

from hardpan.core.errors import TrustError
from hardpan.core.files import canonical_json
from hardpan.core.limits import MAX_EVIDENCE_BUNDLE_BYTES
from hardpan.signing import MalformedError, parse_json, read_bundle
from hardpan.signing.strict_json import MAX_DEPTH, MAX_VALUES, check_structure
from tests.tools.work_counter import count_lines_run, measure_peak_bytes

MAX_MEMORY_BYTES = 100_000_000


@pytest.mark.parametrize(
    ("text", "message"),
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
def test_ambiguous_json_is_rejected(text: bytes, message: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_json(text, label="it", max_bytes=200_000)
    assert message in str(caught.value)
    assert str(caught.value).startswith("it: ")


@pytest.mark.parametrize(
    "number",
    [
        *("1e400", "-1e400", "1e308", "1E5", "1e-7", "1.0", "-0.0", "-0", "5e-324", "0.00001"),
        *("9007199254740993.5", "0." + "1" * 100, "1e" + "9" * 5000),
    ],
    ids=lambda text: text[:20],
)
def test_non_canonical_number_is_rejected(number: str) -> None:
    with pytest.raises(MalformedError, match="it: not strict JSON: "):
        parse_json(b'{"a":[%s]}' % number.encode(), label="it", max_bytes=10_000)


@pytest.mark.parametrize(
    "number", ["0", "-1", "9007199254740992", "0.25", "-41.2346", "0.0001", "61.5"]
)
def test_plain_number_round_trips(number: str) -> None:
    data = b'{"a":%s}' % number.encode()

    assert canonical_json(parse_json(data, label="it", max_bytes=100)) == data


def test_brackets_inside_text_do_not_count_as_depth() -> None:
    text = b'{"a":"' + b"[{" * 1000 + b'\\"[[[","b":"\\u00e9"}'

    assert parse_json(text, label="it", max_bytes=10_000) == {"a": "[{" * 1000 + '"[[[', "b": "é"}


@pytest.mark.parametrize(
    "text",
    [
        rb'["\\","[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["]',
        rb'["\\\"[","\\\\","{"]',
        rb'["","]","","\"","[","\\\\\\\"]"]',
        rb'{"\"":"\\","\\\"":["",""]}',
        rb'["\\n\"\\",[["[\\\\"]],"\\]"]',
    ],
)
def test_string_boundaries_match_json_parser(text: bytes) -> None:
    value = parse_json(text, label="it", max_bytes=1000)

    assert value == json.loads(text)
    assert canonical_json(parse_json(canonical_json(value), label="it", max_bytes=1000))


def test_depth_and_value_limits_are_exact() -> None:
    deep = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    many = b"[" + b"0," * (MAX_VALUES - 2) + b"0]"

    assert parse_json(deep, label="it", max_bytes=100) == json.loads(deep)
    assert len(parse_json(many, label="it", max_bytes=1 << 20)) == MAX_VALUES - 1  # type: ignore[arg-type]
    with pytest.raises(MalformedError, match="nested deeper than 24"):
        parse_json(b"[" + deep + b"]", label="it", max_bytes=100)
    with pytest.raises(MalformedError, match="more than 100000 values"):
        parse_json(b"[" + many + b"]", label="it", max_bytes=1 << 20)


def _repeated(text: bytes, begin: bytes = b"", end: bytes = b"") -> Callable[[int], bytes]:
    return lambda size: begin + text * ((size - len(begin) - len(end)) // len(text)) + end


def _distinct(form: str, begin: str, end: str) -> Callable[[int], bytes]:
    """Return values that are all different, so that the parser cannot share any."""

    def build(size: int) -> bytes:
        count = min(size // len(form.format(0)), MAX_VALUES + 10)
        return (begin + ",".join(form.format(n) for n in range(count)) + end).encode()

    return build


def _at_the_limit(text: bytes, values: int) -> Callable[[int], bytes]:
    """As many values as are taken, and a long string after them; one ``text`` has ``values``."""

    def build(size: int) -> bytes:
        some = text + (b"," + text) * ((MAX_VALUES - 10) // values - 1)
        some = some if len(some) < size - 10 else text
        return b"[" + some + b',"' + b"x" * (size - len(some) - 10) + b'"]'

    return build


def _names_at_the_limit(first: str) -> Callable[[int], bytes]:
    """As many different names as are taken, and a long string that begins with ``first``."""

    def build(size: int) -> bytes:
        count = min(MAX_VALUES - 10, size // 20)
        names = b",".join(b'"%09d":0' % n for n in range(count))
        padding = max(0, size - len(names) - 30)
        return b'{"a":["' + first.encode() + b"x" * padding + b'"],' + names + b"}"

    return build


WORST = {
    "a string without an end, of escaped quotes": _repeated(b'\\"', b'["'),
    "a string without an end, of backslashes": _repeated(b"\\", b'["'),
    "a string without an end, of brackets": _repeated(b"[", b'["'),
    "strings without an end": _repeated(b'"\\', b"["),
    "quotes": _repeated(b'"'),
    "escaped quotes outside of strings": _repeated(b'\\"'),
    "opening brackets": _repeated(b"["),
    "closing brackets": _repeated(b"]"),
    "closing brackets after a list": _repeated(b"]", b"[[]"),
    "brackets that open and close": _repeated(b"[]"),
    "commas": _repeated(b","),
    "colons": _repeated(b":"),
    "blanks": _repeated(b" "),
    "digits": _repeated(b"9"),
    "digits of a fraction": _repeated(b"1", b"0."),
    "digits of an exponent": _repeated(b"9", b"[1e", b"]"),
    "minus signs": _repeated(b"-"),
    "empty lists": _repeated(b"[],", b"[", b"0]"),
    "empty objects": _repeated(b"{},", b"[", b"0]"),
    "lists of one": _repeated(b"[0],", b"[", b"0]"),
    "objects of one": _repeated(b'{"":0},', b"[", b"0]"),
    "numbers": _repeated(b"1,", b"[", b"0]"),
    "fractions": _repeated(b"1.5,", b"[", b"0]"),
    "empty strings": _repeated(b'"",', b"[", b"0]"),
    "strings of a bracket": _repeated(b'"[",', b"[", b"0]"),
    "strings of a bracket without commas": _repeated(b'"["', b"["),
    "deep lists": _repeated(b"[" * 20 + b"]" * 20 + b",", b"[", b"0]"),
    "deep objects": _repeated(b'{"":' * 20 + b"0" + b"}" * 20 + b",", b"[", b"0]"),
    "one name in an object": _repeated(b'"a":0,', b"{", b'"a":0}'),
    "different names in an object": _distinct('"{:07}":0', "{", "}"),
    "different strings": _distinct('"{:05}"', "[", "]"),
    "different fractions": _distinct("0.{:05}1", "[", "]"),
    "a long string": _repeated(b"x", b'["', b'"]'),
    "a long string of escapes": _repeated(b"\\n", b'["', b'"]'),
    "a long string of numbered escapes": _repeated(b"\\u00e9", b'["', b'"]'),
    "half surrogates": _repeated(b"\\ud800", b'["', b'"]'),
    "two bytes a character": _repeated("é".encode(), b'["', b'"]'),
    "four bytes a character": _repeated("\U0001f600".encode(), b'["', b'"]'),
    "one wide character": _repeated(b"x", '["\U0001f600'.encode(), b'"]'),
    "one wide escape": _repeated(b"x", b'["\\ud83d\\ude00', b'"]'),
    "one character of two bytes": _repeated(b"x", '["\u2019'.encode(), b'"]'),
    "no UTF-8": _repeated(b"\xff", b'["', b'"]'),
    "NUL": _repeated(b"\0"),
    "lists of one, at the limit": _at_the_limit(b"[0]", 2),
    "objects of one, at the limit": _at_the_limit(b'{"a":0}', 2),
    "deep objects, at the limit": _at_the_limit(b'{"":' * 20 + b"0" + b"}" * 20, 21),
    "different names, at the limit": _names_at_the_limit("x"),
    "different names and a wide character, at the limit": _names_at_the_limit("\u2019"),
}


@pytest.mark.parametrize("name", WORST)
def test_worst_case_json_is_read_in_linear_time(name: str) -> None:
    def count(size: int) -> int:
        data = WORST[name](size)

        def read() -> None:
            with contextlib.suppress(MalformedError):
                parse_json(data, label="it", max_bytes=size + 100)

        return count_lines_run(read, max_lines=100 * size)

    once, twice, four = count(2_000), count(4_000), count(8_000)

    assert twice <= 2.1 * once + 100
    assert four <= 4.2 * once + 100


PARSED = {
    "a long string",
    "a long string of escapes",
    "a long string of numbered escapes",
    "two bytes a character",
    "four bytes a character",
    "one character of two bytes",
    "lists of one, at the limit",
    "objects of one, at the limit",
    "deep objects, at the limit",
    "different names, at the limit",
    "different names and a wide character, at the limit",
}
"""What is parsed at 12 MiB; all others are refused."""


@pytest.mark.parametrize("name", WORST)
def test_worst_case_json_uses_bounded_memory(name: str) -> None:
    parsed = False

    def read() -> None:
        nonlocal parsed
        data = WORST[name](MAX_EVIDENCE_BUNDLE_BYTES)
        with contextlib.suppress(MalformedError):
            parse_json(data, label="it", max_bytes=MAX_EVIDENCE_BUNDLE_BYTES + 1)
            parsed = True

    assert measure_peak_bytes(read) < MAX_MEMORY_BYTES
    assert parsed == (name in PARSED)


def test_structure_check_stops_at_limits() -> None:
    """Not in as many as the text has bytes: limits stop it."""
    for name, build in WORST.items():
        data = build(256 << 10)

        def read(data: bytes = data) -> None:
            with contextlib.suppress(ValueError):
                check_structure(data, max_values=1000)

        assert count_lines_run(read, max_lines=20_000) < 20_000, name


def test_largest_bundle_uses_bounded_memory() -> None:
    payload = b"A" * (MAX_EVIDENCE_BUNDLE_BYTES - 400)
    frame = b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",'
    frame += b'"verificationMaterial":{"publicKey":{"hint":""}},"dsseEnvelope":{"payload":"'
    end = b'","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AAAA"}]}}'
    data = frame + payload + end

    def read() -> None:
        opened = read_bundle(data, label="bundle")
        with pytest.raises(TrustError, match="not by any of the 0 keys"):
            opened.verify()

    assert measure_peak_bytes(read) < MAX_MEMORY_BYTES
