"""Marks planted in what was typed, in every error, event and answer: a terminal only draws them."""

import json
import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml

from hardpan import cli, doctor
from hardpan.builder.commands import wheels
from hardpan.builder.wheels.model import Audit, Finding
from hardpan.errors import (
    HardpanError,
    InputError,
    ResourceError,
    SeveralError,
    ToolError,
    TrustError,
    UnreachableError,
    UsageError,
)
from hardpan.events import Ended, Failed, Note, Progress, RemoteCommandEnded, Started, publish
from hardpan.resources import resource_path
from hardpan.terminal import (
    ask_secret,
    drawn,
    err,
    print_document,
    print_json,
    print_line,
    process_lines,
    say,
)
from tests.tooling.screen import LINES, MARK, WORDS, forged_lines, odd_characters, on_terminal
from tests.unit.ground.test_cli import verb

Patch = pytest.MonkeyPatch


def shown_by(run: Callable[[], object], monkeypatch: Patch) -> str:
    """What ``run`` writes to a terminal."""

    def call() -> int:
        run()
        return 0

    return on_terminal(call, monkeypatch)[1]


COMMANDS = (
    *(["show", LINES], ["show", LINES, "--json"], ["verify", LINES, "--policy", LINES]),
    *(["diff", LINES, LINES], ["export", LINES, "--policy", LINES, "--as", "html"]),
    *(["export", LINES, "--policy", "p", "--as", LINES], ["check", LINES]),
    *(["check", LINES, "--json"], ["render", LINES, "-o", "x"], ["wheels", "audit", LINES]),
    *(["wheels", "audit", ".", "--lock", LINES], ["keys", "show", LINES]),
    *(["keys", "new", f"/dev/null/{LINES}"], ["media", "check-names", "--repo", LINES]),
    *(["ledger", "list", "--ledger", LINES], ["ledger", "add", LINES, "--policy", LINES]),
    *(
        ["ledger", "import", LINES, "--policy", LINES],
        ["ledger", "history", LINES, "--ledger", LINES],
    ),
    *(["scan", LINES, "--profile", LINES, "--key", LINES], ["smoke", LINES]),
    *(["smoke", "host", "--profile", LINES], ["smoke", "h", "--identity", LINES]),
    *(["build", LINES, "-o", "x"], ["build", "lab-stig", "--as", LINES, "-o", "x"]),
    *(["prove", LINES, "--dry-run"], ["content", LINES], ["content", "list", LINES]),
    *([LINES], [f"--{LINES}"], ["show"], ["show", "a", LINES], ["show", f"--{LINES}"]),
    *(["--log-file", f"/dev/null/{LINES}", "profiles"], ["verify", "x", "--policy", LINES]),
)


@pytest.mark.parametrize("n", range(len(COMMANDS)))
def test_what_was_typed_is_only_drawn(n: int, monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    # The kernel allows no NUL in a path or an argument.
    argv = [word.replace("\0", "") for word in COMMANDS[n]]

    code, shown = on_terminal(lambda: cli.run(argv), monkeypatch)

    assert code in (2, 3, 4, 5, 6)
    assert WORDS in shown or argv == ["show"]
    assert odd_characters(shown) == set()
    assert forged_lines(shown) == []


def test_file_name_that_is_no_utf8_is_only_drawn(monkeypatch: Patch, tmp_path: Path) -> None:
    name = os.fsdecode(b"\x9b2J\xff" + WORDS.encode())
    (tmp_path / name).mkdir()

    code, shown = on_terminal(
        lambda: cli.run(["wheels", "audit", str(tmp_path / name)]), monkeypatch
    )

    assert code == 3
    assert rf"\udc9b2J\udcff{WORDS}" in shown
    assert odd_characters(shown) == set()


ERRORS: tuple[BaseException, ...] = (
    UsageError(LINES, hint=LINES),
    InputError(LINES, hint=LINES),
    ToolError([LINES], LINES, tail=LINES, hint=LINES),
    ResourceError(LINES, hint=LINES),
    UnreachableError(LINES, hint=LINES),
    TrustError(LINES, hint=LINES),
    SeveralError([InputError(LINES, hint=LINES), ToolError(["x"], LINES, tail=LINES)]),
    click.UsageError(LINES),
    click.BadParameter(LINES, param_hint=LINES),
    click.FileError(LINES, hint=LINES),
    PermissionError(13, LINES, LINES),
    OSError(28, LINES, LINES),
    ModuleNotFoundError(LINES, name=LINES),
    ValueError(LINES),
    KeyError(LINES),
    UnicodeDecodeError("utf-8", MARK.encode(), 0, 1, LINES),
    ExceptionGroup(LINES, [ValueError(LINES)]),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_text_of_an_error_is_only_drawn(
    error: BaseException, monkeypatch: Patch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    verb(monkeypatch, error)

    _, shown = on_terminal(lambda: cli.run(["-v", "check"]), monkeypatch)

    assert WORDS in shown
    assert odd_characters(shown) == set()
    assert forged_lines(shown) == []
    for kept in tmp_path.rglob("bug-*"):  # a person reads it with cat
        assert odd_characters(kept.read_text("utf-8")) == set()


def test_every_kind_of_error_is_tried() -> None:
    kinds = {kind for kind in _below(HardpanError) if kind.__module__ == "hardpan.errors"}

    assert kinds <= {type(e) for e in ERRORS}


def _below(kind: type[HardpanError]) -> set[type[HardpanError]]:
    return {one for sub in kind.__subclasses__() for one in (sub, *_below(sub))}


def test_events_are_only_drawn(monkeypatch: Patch) -> None:
    def run() -> None:
        with drawn() as emit:
            for event in (
                Started(stage=LINES),
                Note(stage=LINES, text=LINES),
                Progress(stage=LINES, done=1, total=3, text=LINES),
                Ended(stage=LINES, took_s=1),
                Started(stage="a"),
                Note(stage="a", text=LINES),
                Failed(stage="a", took_s=1),
                Failed(stage=LINES, took_s=1),
            ):
                emit(event)
        process_lines(err)(
            RemoteCommandEnded(target=LINES, command=LINES, exit_status=0, duration_s=1)
        )

    shown = shown_by(run, monkeypatch)

    assert WORDS in shown
    assert odd_characters(shown) == set()
    assert forged_lines(shown) == []


@pytest.mark.parametrize("text", [":smile:", "[bold red]x[/bold red]", "[link=http://x]y[/link]"])
def test_markup_and_emoji_codes_stay_as_they_are(text: str, monkeypatch: Patch) -> None:
    def run() -> None:
        say(err, text, style="red")
        print_line(text)
        with drawn() as emit:
            emit(Started(stage=f"1{text}"))
            emit(Note(stage=f"1{text}", text=f"2{text}"))
            emit(Ended(stage=f"1{text}", took_s=1))

    shown = shown_by(run, monkeypatch)

    assert shown.count(text) >= 3
    assert "\U0001f604" not in shown
    assert "\x1b]8" not in shown


def test_answers_are_only_drawn(monkeypatch: Patch) -> None:
    def run() -> None:
        print_line(LINES)
        print_json({LINES: [LINES]})
        print_json({LINES: [LINES]}, indent=2)
        print_document(f"<p>{LINES}</p>\n\tx\n".encode())
        print_document(b"\xff\x9b" + MARK.encode())

    shown = shown_by(run, monkeypatch)

    assert shown.count(WORDS) >= 10
    assert odd_characters(shown.replace("\t", "")) == set()
    assert r"\xff\x9b\x1b]0;" in shown


def test_json_in_a_pipe_has_no_odd_character_and_the_same_values(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    print_json({LINES: [LINES, "é", "\udc9b"]})
    data = capsysbinary.readouterr().out

    assert json.loads(data) == {LINES: [LINES, "é", "\udc9b"]}
    assert odd_characters(data.decode()) == set()


def test_document_in_a_pipe_keeps_its_bytes(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    data = LINES.encode() + b"\xff\r\n\t"

    print_document(data)

    assert capsysbinary.readouterr().out == data


def test_line_that_stdout_cannot_encode_is_escaped(monkeypatch: Patch, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as out, monkeypatch.context() as context:
        context.setattr("sys.stdout", out)
        print_line("é → x")

    assert (tmp_path / "out").read_text() == r"\xe9 \u2192 x" + "\n"


def test_question_is_only_drawn(monkeypatch: Patch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(click, "prompt", lambda text, **_: asked.append(text) or "secret")

    assert ask_secret(f"passphrase of {LINES}") == "secret"
    assert odd_characters("".join(asked)) == set()


def test_what_a_library_logs_or_warns_of_does_not_reach_the_terminal(monkeypatch: Patch) -> None:
    @click.command()
    def fake() -> None:
        logging.getLogger("paramiko.transport").error("%s", LINES)
        logging.getLogger("other").warning(LINES)
        warnings.warn(LINES, UserWarning, stacklevel=1)

    monkeypatch.setattr(cli.Verbs, "get_command", lambda *_: fake)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, shown = on_terminal(lambda: cli.run(["check"]), monkeypatch)

    assert (code, shown) == (0, "")


def test_log_file_has_no_odd_character(monkeypatch: Patch, tmp_path: Path) -> None:
    path = tmp_path / "log"

    @click.command()
    def fake() -> None:
        logging.getLogger("paramiko.transport").error("%s", LINES)
        publish(Note(stage=LINES, text=LINES))
        raise InputError(LINES, hint=LINES)

    monkeypatch.setattr(cli.Verbs, "get_command", lambda *_: fake)
    code, shown = on_terminal(lambda: cli.run(["--log-file", str(path), "check"]), monkeypatch)

    text = path.read_text("utf-8")
    assert code == 3
    assert text.count(WORDS) >= 6
    assert text.isascii()
    assert odd_characters(text) | odd_characters(shown) == set()
    assert {json.loads(line)["kind"] for line in text.splitlines()} >= {"error", "diagnostic"}


def test_text_of_a_profile_is_only_drawn(monkeypatch: Patch, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    whole = yaml.safe_load((resource_path("hardpan", "profiles") / "lab-stig.yaml").read_text())
    shown_count = 0
    for key in whole:
        for changed in (
            {**whole, key: LINES},
            {(f"{k}{LINES}" if k == key else k): v for k, v in whole.items()},
        ):
            path.write_text(yaml.safe_dump(changed))
            _, shown = on_terminal(lambda: cli.run(["check", str(path)]), monkeypatch)
            shown_count += WORDS in shown
            assert odd_characters(shown) == set()
            assert forged_lines(shown) == []
    assert shown_count > len(whole)


def test_what_programs_say_of_themselves_is_only_drawn(monkeypatch: Patch) -> None:
    rows = (doctor.Row(name=LINES, ok=True, found=LINES, mend=LINES),)
    monkeypatch.setattr(doctor, "examined", lambda: rows)

    _, shown = on_terminal(lambda: cli.run(["doctor"]), monkeypatch)

    assert shown.count(WORDS) >= 3
    assert odd_characters(shown) == set()
    assert forged_lines(shown) == []


def test_text_out_of_a_wheel_is_only_drawn(monkeypatch: Patch) -> None:
    finding = Finding(
        kind="bundled_crypto",
        severity="high",
        wheel=LINES,
        what=LINES,
        where=LINES,
        library=LINES,
        version=LINES,
        evidence=(LINES,),
    )
    monkeypatch.setattr(
        wheels, "look", lambda *_: Audit(lock_sha256=None, wheels=(), findings=(finding,))
    )

    for more in ([], ["--json"]):
        _, shown = on_terminal(
            lambda more=more: cli.run(["wheels", "audit", ".", *more]), monkeypatch
        )
        assert shown.count(WORDS) >= 4
        assert odd_characters(shown) == set()
        assert forged_lines(shown) == []
