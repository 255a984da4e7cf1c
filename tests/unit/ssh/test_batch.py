"""Answers of a batch: what is damaged is refused, and reading takes time linear in the text."""

import shlex
from types import SimpleNamespace
from typing import Any

import pytest

from hardpan.ssh import batch
from hardpan.ssh.batch import BatchAnswer
from tests.tools.step_counter import count_steps

MARK = "@@hardpan-0123456789abcdef"
NAMES = ("flag", "kernel")
GOOD = f"{MARK} begin flag\n1\n\n{MARK} end flag 0\n"


def parse(text: str, max_text: int = 1000) -> batch.BatchAnswers:
    return batch.parse_answers(text, MARK, NAMES, max_text=max_text)


def test_answers_are_read_with_their_exit_status() -> None:
    result = parse(f"{GOOD}noise\n{MARK} begin kernel\n\n{MARK} end kernel 127\n")

    assert result.answers == {
        "flag": BatchAnswer(exit_status=0, output="1\n"),
        "kernel": BatchAnswer(exit_status=127, output=""),
    }
    assert result.refused == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{MARK} begin flag\n1\n", "is cut short"),
        (f"{MARK} begin flag\n1\n{MARK} end flag", "has no exit status"),
        (f"{MARK} begin flag\n1\n{MARK} end flag 256\n", "has no exit status"),
        (f"{MARK} begin flag\n1\n{MARK} end flag {'9' * 5000}\n", "holds a damaged mark"),
        (f"{MARK} begin flag\n1\n{MARK} end flag -1\n", "holds a damaged mark"),
        (f"{MARK} begin flag\n1\n{MARK} end flag 0x\n", "holds a damaged mark"),
        (f"{MARK} begin flag\n1\n{MARK} end flag \u0663\n", "holds a damaged mark"),
        (f"{MARK} begin flag\n1\n{MARK} end flag 0\0\n", "holds a damaged mark"),
        (f"{MARK} begin flag 0\n1\n{MARK} end flag 0\n", "holds a damaged mark"),
        (f"{MARK} begin flag\n{MARK} begin flag\n1\n{MARK} end flag 0\n", "the begin of another"),
        (f"{MARK} begin flag\n1\n{MARK} end kernel 0\n", "ends with the mark of another answer"),
        (f"1\n{MARK} end flag 0\n", "has an end without a begin"),
        (GOOD + GOOD, "was given twice"),
        (GOOD + GOOD + GOOD, "was given twice"),
        (f"{GOOD}{MARK} end flag 0\n", "has an end without a begin"),
        (f"{MARK} begin flag\n{'A' * 2000}\n{MARK} end flag 0\n", "is longer than 1000 bytes"),
    ],
)
def test_damaged_answer_is_refused(text: str, problem: str) -> None:
    result = parse(text)

    assert "flag" not in result.answers
    assert problem in result.refused["flag"]


@pytest.mark.parametrize(
    "text",
    [
        f"{MARK} begin evil\n1\n{MARK} end evil 0\n",
        "other begin flag\n1\nother end flag 0\n",
        f" {MARK} begin flag\n1\n {MARK} end flag 0\n",
        f"{MARK} begin {'x' * 100_000}\n",
        "\0\ufffd" * 1000,
        "",
    ],
)
def test_text_without_answers_gives_none(text: str) -> None:
    result = parse(text)

    assert (result.answers, result.refused) == ({}, {})


def test_nested_answer_is_refused_alone() -> None:
    nested = f"{MARK} begin flag\n{MARK} begin kernel\n2\n{MARK} end kernel 0\n{MARK} end flag 0\n"

    result = parse(nested)

    assert result.answers == {"kernel": BatchAnswer(exit_status=0, output="2")}
    assert result.refused == {"flag": "holds the begin of another answer"}


@pytest.mark.parametrize(
    "piece",
    [
        f"{MARK} begin flag\n",
        f"{MARK} begin x\n",
        f"{MARK} end flag 0\n",
        f"{MARK} begin flag\nx\n{MARK} end kernel 0\n",
        f"{MARK}\n",
        f"{MARK}",
        f"x{MARK} begin flag",
        "\n",
    ],
)
def test_parsing_is_linear_in_the_text(piece: str) -> None:
    once, twice = (count_steps(lambda n=n: parse(piece * n)) for n in (500, 1000))

    assert twice <= 2 * once + 20


def test_sixteen_megabytes_of_markers_parse_in_seconds() -> None:
    text = f"{MARK} begin flag\n" * 400_000

    assert parse(text).refused == {"flag": "holds the begin of another answer"}


class RecordingConnection:
    """Records the command."""

    def run(self, command: str, **_: object) -> SimpleNamespace:
        self.command = command
        return SimpleNamespace(stdout="")


def test_only_an_emulated_target_starts_the_script_without_random_addresses() -> None:
    connection: Any = RecordingConnection()

    batch.run_batch(connection, {"flag": "true"}, limit_s=lambda _: 7, timeout_s=9, max_text=99)

    first, _, script = connection.command.partition("; fi\n")
    condition, _, restart = first.partition("; then exec setarch -R sh -c ")
    assert condition.startswith("if grep -qs '^model name.*: QEMU TCG CPU' /proc/cpuinfo && ")
    assert restart == shlex.quote(script)
    assert script.endswith("\ntrue")


def test_script_limits_time_and_output_of_each_question() -> None:
    text = batch.build_script({"flag": "cat 'x y'"}, MARK, limit_s=lambda _: 7, max_text=99)

    assert "head -c 99" in text
    assert "ask flag 7 'cat '\"'\"'x y'\"'\"''" in text
    assert text.endswith("\ntrue")
