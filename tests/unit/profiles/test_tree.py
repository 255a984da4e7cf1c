import contextlib
from collections.abc import Callable

import pytest

from hardpan.errors import InputError
from hardpan.profiles.tree import read
from tests.tooling.work import lines_run, peak_bytes


def _repeated(text: str, begin: str = "", end: str = "") -> Callable[[int], bytes]:
    return lambda size: (
        begin + text * ((size - len(begin) - len(end)) // len(text)) + end
    ).encode()


WORST = {
    "opening braces": _repeated("{a: ", "a: "),
    "closing brackets": _repeated("]", "a: "),
    "dashes": _repeated("- "),
    "questions": _repeated("? "),
    "empty lists": _repeated("[],", "a: [", "x]"),
    "maps of one": _repeated("{a: b},", "a: [", "x]"),
    "one key": _repeated("a: b\n"),
    "a long plain scalar": _repeated("x", "a: "),
    "words of a plain scalar": _repeated("x ", "a: "),
    "lines of a plain scalar": _repeated("x\n  ", "a: "),
    "a long scalar in quotes": _repeated("x", 'a: "', '"'),
    "escapes": _repeated("\\x41", 'a: "', '"'),
    "a scalar without an end": _repeated("\\\\", 'a: "'),
    "folded lines": _repeated("  x\n", "a: >\n"),
    "empty lines": _repeated("\n", "a: |\n", "  x"),
    "blanks": _repeated(" ", "a:", "b"),
    "comments": _repeated("#\n"),
    "one comment": _repeated("#"),
    "directives": _repeated("%A 1\n"),
    "tags": _repeated("%TAG !a! b\n"),
    "documents": _repeated("---\n"),
    "colons": _repeated(":", "a: "),
    "digits": _repeated("9", "a: "),
    "wide characters": _repeated("\U0001f600", "a: "),
}


@pytest.mark.parametrize("name", WORST)
def test_the_worst_yaml_is_read_in_linear_work(name: str) -> None:
    def count(size: int) -> int:
        data = WORST[name](size)

        def parse() -> None:
            with contextlib.suppress(InputError):
                read(data, "x.yaml")

        return lines_run(parse, at_most=2000 * size)

    # PyYAML looks 1,024 characters ahead for the end of a key, so less than that tells nothing.
    twice, four = count(1_500), count(3_000)

    assert four <= 2.1 * twice + 2_000


def test_as_many_values_as_are_taken_need_less_than_30_mb() -> None:
    text = "a: [" + "x, " * 9_990 + "x]\n"

    def parse() -> None:
        tree = read(text.encode(), "x.yaml")
        assert len(tree.plain()["a"]) == 9_991  # type: ignore[index]

    assert peak_bytes(parse) < 30_000_000
