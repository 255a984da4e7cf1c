import contextlib
from collections.abc import Callable

import pytest

from hardpan.core.errors import InputError
from hardpan.core.yaml_source import read_yaml
from tests.tools.work_counter import count_lines_run, measure_peak_bytes


def _repeat(text: str, begin: str = "", end: str = "") -> Callable[[int], bytes]:
    return lambda size: (
        begin + text * ((size - len(begin) - len(end)) // len(text)) + end
    ).encode()


WORST_CASES = {
    "opening braces": _repeat("{a: ", "a: "),
    "closing brackets": _repeat("]", "a: "),
    "dashes": _repeat("- "),
    "questions": _repeat("? "),
    "empty lists": _repeat("[],", "a: [", "x]"),
    "maps of one": _repeat("{a: b},", "a: [", "x]"),
    "one key": _repeat("a: b\n"),
    "a long plain scalar": _repeat("x", "a: "),
    "words of a plain scalar": _repeat("x ", "a: "),
    "lines of a plain scalar": _repeat("x\n  ", "a: "),
    "a long scalar in quotes": _repeat("x", 'a: "', '"'),
    "escapes": _repeat("\\x41", 'a: "', '"'),
    "a scalar without an end": _repeat("\\\\", 'a: "'),
    "folded lines": _repeat("  x\n", "a: >\n"),
    "empty lines": _repeat("\n", "a: |\n", "  x"),
    "blanks": _repeat(" ", "a:", "b"),
    "comments": _repeat("#\n"),
    "one comment": _repeat("#"),
    "directives": _repeat("%A 1\n"),
    "tags": _repeat("%TAG !a! b\n"),
    "documents": _repeat("---\n"),
    "colons": _repeat(":", "a: "),
    "digits": _repeat("9", "a: "),
    "wide characters": _repeat("\U0001f600", "a: "),
}


@pytest.mark.parametrize("name", WORST_CASES)
def test_worst_case_yaml_is_parsed_in_linear_time(name: str) -> None:
    def count(size: int) -> int:
        data = WORST_CASES[name](size)

        def parse() -> None:
            with contextlib.suppress(InputError):
                read_yaml(data, "x.yaml")

        return count_lines_run(parse, max_lines=2000 * size)

    # PyYAML looks 1,024 characters ahead for the end of a key, so less than that tells nothing.
    work_1500, work_3000 = count(1_500), count(3_000)

    assert work_3000 <= 2.1 * work_1500 + 2_000


def test_maximum_value_count_needs_less_than_30_mb() -> None:
    text = "a: [" + "x, " * 9_990 + "x]\n"

    def parse() -> None:
        tree = read_yaml(text.encode(), "x.yaml")
        assert len(tree.to_plain()["a"]) == 9_991  # type: ignore[index]

    assert measure_peak_bytes(parse) < 30_000_000
