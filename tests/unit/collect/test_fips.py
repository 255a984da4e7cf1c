import shlex
from types import SimpleNamespace
from typing import cast

import pytest

from hardpan.builder import sysprep
from hardpan.core.errors import ToolError
from hardpan.core.events import discard
from hardpan.scanners.collect import fips
from hardpan.scanners.collect.base import CollectedEvidence, CollectTask
from hardpan.scanners.fips.cmvp import load_table
from hardpan.scanners.fips.model import CommandAnswer
from hardpan.ssh import batch
from hardpan.ssh.command import CommandOutput
from hardpan.ssh.connection import Connection

TOKEN = "0123456789abcdef"
MARK = f"@@hardpan-{TOKEN}"


class FipsTarget:
    def __init__(self) -> None:
        self.commands: list[str] = []

    def run(self, command: str, **options: object) -> CommandOutput:
        assert options["max_bytes"] == 1 << 20
        self.commands.append(command)
        output = f"{MARK} begin flag\n1\n\n{MARK} end flag 0\n"
        return CommandOutput(exit_status=0, data=output.encode(), stderr="", duration_s=0)


def test_fips_answers_are_collected_in_a_single_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: TOKEN)
    fake = FipsTarget()

    answers = (
        fips.FipsFacts()
        .collect(cast(Connection, fake), CollectTask(), timeout_s=9, emit=discard)
        .fips
    )

    assert len(fake.commands) == 1
    assert answers is not None
    assert answers.answers == {"flag": CommandAnswer(exit_status=0, text="1\n")}


def test_installer_command_line_path_matches_sysprep() -> None:
    """Sysprep removes the installer's logs and keeps this one line of them."""
    assert sysprep.INSTALLER_COMMAND_LINE in fips.build_questions()["installer"].split()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"{MARK} begin flag\n1\n", []),
        (f"{MARK} begin flag\n1\n{MARK} end cmdline 0\n", []),
        ("other begin flag\n1\nother end flag 0\n", []),
        (f"{MARK} begin evil\n1\n{MARK} end evil 0\n", []),
        (f"{MARK} begin flag\n1\n{MARK} end flag 0x\n", []),
        (f"{MARK} begin flag\n\n{MARK} end flag 127\n", ["flag"]),
        (f"{MARK} begin flag\n\x00\ufffd\n{MARK} end flag 0\nnoise", ["flag"]),
    ],
)
def test_incomplete_answers_are_dropped(text: str, names: list[str]) -> None:
    answers = batch.parse_answers(text, MARK, fips.build_questions(), max_text=32 << 10)

    assert list(fips.extract_answers(answers)) == names


def test_only_builds_on_a_certificate_are_verified() -> None:
    script = fips.build_questions()["verify"]

    builds = shlex.split(script.partition("for p in ")[2].partition(";")[0])
    assert builds == [b for c in load_table().certificates for b in c.builds]
    assert "openssl-fips-provider-3.0.7-27.el9_6ciqfips.0.2.7" in builds


def collect(monkeypatch: pytest.MonkeyPatch, text: str) -> CollectedEvidence:
    monkeypatch.setattr("secrets.token_hex", lambda _: TOKEN)
    fake = SimpleNamespace(
        run=lambda *_, **__: CommandOutput(
            exit_status=0, data=text.encode(), stderr="", duration_s=0
        )
    )
    return fips.FipsFacts().collect(
        cast(Connection, fake), CollectTask(), timeout_s=9, emit=discard
    )


def test_oversized_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    good = f"{MARK} begin kernel\n6.1\n\n{MARK} end kernel 0\n"
    text = f"{good}{MARK} begin flag\n{'A' * 500_000}\n{MARK} end flag 0\n"

    evidence = collect(monkeypatch, text)

    assert evidence.fips is not None
    assert evidence.fips.answers == {"kernel": CommandAnswer(exit_status=0, text="6.1\n")}
    assert [(c.name, c.outcome, c.message) for c in evidence.checks] == [
        ("collect::fips[flag]", "error", "the answer is longer than 32768 bytes")
    ]


def test_output_without_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ToolError, match="have no answer that can be read"):
        collect(monkeypatch, "junk")
