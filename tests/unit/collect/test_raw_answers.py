"""The answers of a target as files of the evidence: complete, bounded, without secrets."""

import json
from typing import Any

import pytest

from hardpan.scanners.collect.raw_answers import (
    MAX_ANSWER_BYTES,
    MAX_FILE_BYTES,
    WITHHELD,
    AnswerLog,
    render_raw_files,
)
from hardpan.ssh.batch import BatchAnswer, BatchAnswers

MACHINE_ID = "0123456789abcdef0123456789abcdef"
HASH = "$6$saltsalt$" + "a" * 86


def _render(log: AnswerLog) -> list[dict[str, Any]]:
    (data,) = render_raw_files({"fips": log}).values()
    assert len(data) < 1 << 20  # a larger file of one repeated byte would be refused as a bomb
    assert data.isascii()
    assert data.decode().isprintable()
    document = json.loads(data)
    assert (document["collector"], document["schemaVersion"]) == ("fips", "1.0")
    answers: list[dict[str, Any]] = document["answers"]
    return answers


def test_answers_are_stored_with_command_and_exit_status() -> None:
    log = AnswerLog()
    log.add("flag", "cat /proc/x", 1, b"a\x1b[31m\x7f\xff\xe2\x80\xae\n")
    log.add_batch(
        {"one": "echo 1", "two": "echo 2", "three": "echo 3"},
        BatchAnswers(
            answers={"one": BatchAnswer(exit_status=0, output="1\n")},
            refused={"two": "is cut short"},
        ),
    )

    assert _render(log) == [
        {
            "question": "flag",
            "command": "cat /proc/x",
            "exitStatus": 1,
            "output": "a\x1b[31m\x7f\ufffd\u202e\n",
        },
        {"question": "one", "command": "echo 1", "exitStatus": 0, "output": "1\n"},
        {"question": "two", "command": "echo 2", "exitStatus": None,
         "output": "refused: is cut short"},
    ]  # fmt: skip


def test_collector_without_answers_has_no_file() -> None:
    assert render_raw_files({"openscap": AnswerLog()}) == {}


def test_secrets_and_identifiers_are_redacted_in_every_file() -> None:
    host, facts = AnswerLog(), AnswerLog()
    host.add_batch(
        {"machine_id": "cat /etc/machine-id", "kernel": "uname -r"},
        BatchAnswers(
            answers={
                "machine_id": BatchAnswer(exit_status=0, output=f"{MACHINE_ID}\n"),
                "kernel": BatchAnswer(exit_status=0, output="6.1"),
            },
            refused={},
        ),
        withheld=("machine_id",),
    )
    facts.add("0", "cat x", 0, f"root:{HASH}:1\nid {MACHINE_ID.upper()}\npassword=hunter22\n")
    files = render_raw_files({"host": host, "hostfacts": facts})

    answers = json.loads(files["raw/host.json"])["answers"]
    assert [a["output"] for a in answers] == [WITHHELD, "6.1"]
    assert json.loads(files["raw/hostfacts.json"])["answers"][0]["output"] == (
        "root:$6$[redacted]:1\nid [redacted]\npassword=[redacted]\n"
    )
    for data in files.values():
        assert MACHINE_ID not in data.decode().lower()


@pytest.mark.parametrize("text", ["A", "\x00", "\u20ac", '"', "ab\n"])
def test_long_answers_are_cut_with_a_note(text: str) -> None:
    log = AnswerLog()
    output = text * (3 * MAX_ANSWER_BYTES)
    for n in range(6):
        log.add(str(n), f"command {n}", 0, output)
    answers = _render(log)
    sizes = [len(json.dumps(a["output"])) for a in answers]

    assert max(sizes) <= MAX_ANSWER_BYTES
    assert sizes[0] > MAX_ANSWER_BYTES - 16
    assert sum(sizes) <= MAX_FILE_BYTES + 2 * len(sizes)
    assert {a["cutFromCharacters"] for a in answers} == {len(output)}
    assert all(output.startswith(a["output"]) for a in answers)


def test_secret_at_the_limit_is_not_cut_in_two() -> None:
    log = AnswerLog()
    log.add("0", "x", 0, "x" * (MAX_ANSWER_BYTES - 20) + HASH + "y" * MAX_ANSWER_BYTES)
    (answer,) = _render(log)

    assert "aaaa" not in answer["output"]
    assert answer["cutFromCharacters"] > MAX_ANSWER_BYTES


def test_same_long_answer_is_stored_once() -> None:
    first, second = AnswerLog(), AnswerLog()
    first.add("packages", "rpm -qa", 0, "p\n" * 4000)
    second.add("packages", "rpm -qa", 0, "p\n" * 4000)
    files = render_raw_files({"host": first, "packages": second})

    (answer,) = json.loads(files["raw/packages.json"])["answers"]
    assert answer["sameAs"] == "raw/host.json#packages"
    assert "output" not in answer
