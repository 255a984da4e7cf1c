"""What is shown as an escape and what as it is, and that the JSON form keeps its values."""

import json
import sys
import unicodedata

import pytest

from hardpan.core.sanitize import sanitize_json, sanitize_line, sanitize_lines

UNSAFE_CHARACTERS = {
    "C0": "".join(map(chr, (*range(9), *range(10, 32)))),
    "DEL": "\x7f",
    "C1": "".join(map(chr, range(0x80, 0xA0))),
    "bidi": "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    "zero width": "\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\u00ad\u180e",
    "separators": "\u2028\u2029",
    "blanks": "\xa0\u1680\u2000\u200a\u202f\u205f\u3000\u2800",
    "fillers": "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0",
    "variation selectors": "\u180b\u180d\u180f\ufe00\ufe0e\ufe0f\U000e0100\U000e01ef",
    "tags": "\U000e0001\U000e0020\U000e007f",
    "surrogates": "\udcff\ud800",
    "annotations": "\ufff9\ufffa\ufffb\U0001d173",
    "private": "\ue000\U000f0000",
    "not assigned": "\u0378\ufffe\U0010ffff",
}
LETTERS = "plain é 漢字 Ελληνικά עברית العربية हिन्दी 한국어 😀 e\u0301 \\x1b :smile: [red]"


@pytest.mark.parametrize("kind", UNSAFE_CHARACTERS)
def test_unsafe_character_becomes_its_escape(kind: str) -> None:
    escaped = [sanitize_line(f"a{c}b") for c in UNSAFE_CHARACTERS[kind]]

    assert escaped == [f"a{c.encode('unicode_escape').decode()}b" for c in UNSAFE_CHARACTERS[kind]]
    assert "".join(escaped).isascii()
    assert "".join(escaped).isprintable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J\x1b[31m", r"\x9b2J\x1b[31m"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("a\tb", "a b"),
        ("a\r\nverdict: verified", r"a\r\nverdict: verified"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), r"caf\udce9"),
    ],
)
def test_sanitized_line_keeps_every_character_as_text(text: str, expected: str) -> None:
    assert sanitize_line(text) == expected
    assert sanitize_line(expected) == expected


def test_letters_of_every_script_are_unchanged() -> None:
    assert sanitize_line(LETTERS) == LETTERS
    assert sanitize_json(LETTERS) == LETTERS


def test_no_control_or_format_character_remains() -> None:
    all_characters = "".join(map(chr, range(sys.maxunicode + 1)))

    categories = set(map(unicodedata.category, sanitize_line(all_characters)))

    assert categories.isdisjoint({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def test_sanitized_lines_keep_line_ends_and_tabs() -> None:
    assert sanitize_lines("a\tb\r\nc\rd\n\x1b[2J\n") == "a\tb\nc\\rd\n\\x1b[2J\n"


@pytest.mark.parametrize("indent", [None, 2])
def test_sanitized_json_keeps_its_values(indent: int | None) -> None:
    value = {kind + text: [text, LETTERS] for kind, text in UNSAFE_CHARACTERS.items()}
    text = json.dumps(value, ensure_ascii=False, indent=indent)

    sanitized = sanitize_json(text)

    assert json.loads(sanitized) == value
    assert sanitize_lines(sanitized) == sanitized
    assert sanitized.count("\n") == text.count("\n")
