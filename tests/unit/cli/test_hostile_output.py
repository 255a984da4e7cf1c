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

from hardpan import cli
from hardpan.builder.wheel_audit.model import AuditFinding, WheelAudit
from hardpan.cli import wheels
from hardpan.core.console import (
    print_document,
    print_json,
    print_line,
    print_message,
    process_line_printer,
    prompt_secret,
    show_progress,
    stderr,
)
from hardpan.core.errors import (
    AggregateError,
    HardpanError,
    InputError,
    ResourceError,
    ToolError,
    TrustError,
    UnavailableError,
    UnreachableError,
    UsageError,
)
from hardpan.core.events import (
    RemoteCommandEnded,
    StageFailed,
    StageFinished,
    StageMessage,
    StageProgress,
    StageStarted,
    publish,
)
from hardpan.core.resources import resource_path
from hardpan.preflight import doctor
from tests.tools.terminal_capture import (
    HOSTILE_LINES,
    HOSTILE_TEXT,
    PLANTED_TEXT,
    find_control_characters,
    find_forged_lines,
    run_on_terminal,
)
from tests.unit.cli.test_command_line import install_command

Patch = pytest.MonkeyPatch


def capture_terminal(run: Callable[[], object], monkeypatch: Patch) -> str:
    """What ``run`` writes to a terminal."""

    def call() -> int:
        run()
        return 0

    return run_on_terminal(call, monkeypatch)[1]


HOSTILE_COMMANDS = (
    *(
        ["show", HOSTILE_LINES],
        ["show", HOSTILE_LINES, "--json"],
        ["verify", HOSTILE_LINES, "--policy", HOSTILE_LINES],
    ),
    *(
        ["diff", HOSTILE_LINES, HOSTILE_LINES],
        ["export", HOSTILE_LINES, "--policy", HOSTILE_LINES, "--as", "html"],
    ),
    *(["export", HOSTILE_LINES, "--policy", "p", "--as", HOSTILE_LINES], ["check", HOSTILE_LINES]),
    *(
        ["check", HOSTILE_LINES, "--json"],
        ["render", HOSTILE_LINES, "-o", "x"],
        ["wheels", "audit", HOSTILE_LINES],
    ),
    *(["wheels", "audit", ".", "--lock", HOSTILE_LINES], ["keys", "show", HOSTILE_LINES]),
    *(
        ["keys", "new", f"/dev/null/{HOSTILE_LINES}"],
        ["repo", "check", "--repo", HOSTILE_LINES],
    ),
    *(
        ["ledger", "list", "--ledger", HOSTILE_LINES],
        ["ledger", "add", HOSTILE_LINES, "--policy", HOSTILE_LINES],
    ),
    *(
        ["ledger", "import", HOSTILE_LINES, "--policy", HOSTILE_LINES],
        ["ledger", "history", HOSTILE_LINES, "--ledger", HOSTILE_LINES],
    ),
    *(
        ["scan", HOSTILE_LINES, "--profile", HOSTILE_LINES, "--key", HOSTILE_LINES],
        ["smoke", HOSTILE_LINES],
    ),
    *(["smoke", "host", "--profile", HOSTILE_LINES], ["smoke", "h", "--identity", HOSTILE_LINES]),
    *(["build", HOSTILE_LINES, "-o", "x"], ["build", "lab-stig", "--as", HOSTILE_LINES, "-o", "x"]),
    *(
        ["prove", HOSTILE_LINES, "--dry-run"],
        ["content", HOSTILE_LINES],
        ["content", "list", HOSTILE_LINES],
    ),
    *(
        [HOSTILE_LINES],
        [f"--{HOSTILE_LINES}"],
        ["show"],
        ["show", "a", HOSTILE_LINES],
        ["show", f"--{HOSTILE_LINES}"],
    ),
    *(
        ["--log-file", f"/dev/null/{HOSTILE_LINES}", "profiles"],
        ["verify", "x", "--policy", HOSTILE_LINES],
    ),
)


@pytest.mark.parametrize("index", range(len(HOSTILE_COMMANDS)))
def test_typed_arguments_are_printed_safely(index: int, monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    # The kernel allows no NUL in a path or an argument.
    argv = [word.replace("\0", "") for word in HOSTILE_COMMANDS[index]]

    code, output = run_on_terminal(lambda: cli.run(argv), monkeypatch)

    assert code in (2, 3, 4, 5, 6)
    assert PLANTED_TEXT in output or argv == ["show"]
    assert find_control_characters(output) == set()
    assert find_forged_lines(output) == []


def test_non_utf8_file_name_is_printed_safely(monkeypatch: Patch, tmp_path: Path) -> None:
    name = os.fsdecode(b"\x9b2J\xff" + PLANTED_TEXT.encode())
    (tmp_path / name).mkdir()

    code, output = run_on_terminal(
        lambda: cli.run(["wheels", "audit", str(tmp_path / name)]), monkeypatch
    )

    assert code == 3
    assert rf"\udc9b2J\udcff{PLANTED_TEXT}" in output
    assert find_control_characters(output) == set()


HOSTILE_ERRORS: tuple[BaseException, ...] = (
    UsageError(HOSTILE_LINES, hint=HOSTILE_LINES),
    InputError(HOSTILE_LINES, hint=HOSTILE_LINES),
    ToolError([HOSTILE_LINES], HOSTILE_LINES, output_tail=HOSTILE_LINES, hint=HOSTILE_LINES),
    UnavailableError([HOSTILE_LINES], HOSTILE_LINES, hint=HOSTILE_LINES),
    ResourceError(HOSTILE_LINES, hint=HOSTILE_LINES),
    UnreachableError(HOSTILE_LINES, hint=HOSTILE_LINES),
    TrustError(HOSTILE_LINES, hint=HOSTILE_LINES),
    AggregateError(
        [
            InputError(HOSTILE_LINES, hint=HOSTILE_LINES),
            ToolError(["x"], HOSTILE_LINES, output_tail=HOSTILE_LINES),
        ]
    ),
    click.UsageError(HOSTILE_LINES),
    click.BadParameter(HOSTILE_LINES, param_hint=HOSTILE_LINES),
    click.FileError(HOSTILE_LINES, hint=HOSTILE_LINES),
    PermissionError(13, HOSTILE_LINES, HOSTILE_LINES),
    OSError(28, HOSTILE_LINES, HOSTILE_LINES),
    ModuleNotFoundError(HOSTILE_LINES, name=HOSTILE_LINES),
    ValueError(HOSTILE_LINES),
    KeyError(HOSTILE_LINES),
    UnicodeDecodeError("utf-8", HOSTILE_TEXT.encode(), 0, 1, HOSTILE_LINES),
    ExceptionGroup(HOSTILE_LINES, [ValueError(HOSTILE_LINES)]),
)


@pytest.mark.parametrize("error", HOSTILE_ERRORS, ids=lambda e: type(e).__name__)
def test_error_text_is_printed_safely(
    error: BaseException, monkeypatch: Patch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    install_command(monkeypatch, error)

    _, output = run_on_terminal(lambda: cli.run(["-v", "check"]), monkeypatch)

    assert PLANTED_TEXT in output
    assert find_control_characters(output) == set()
    assert find_forged_lines(output) == []
    for bug_log in tmp_path.rglob("bug-*"):  # a person reads it with cat
        assert find_control_characters(bug_log.read_text("utf-8")) == set()


def test_every_error_class_is_tested() -> None:
    kinds = {
        kind for kind in _all_subclasses(HardpanError) if kind.__module__ == "hardpan.core.errors"
    }

    assert kinds <= {type(e) for e in HOSTILE_ERRORS}


def _all_subclasses(base: type[HardpanError]) -> set[type[HardpanError]]:
    return {
        subclass
        for direct in base.__subclasses__()
        for subclass in (direct, *_all_subclasses(direct))
    }


def test_events_are_printed_safely(monkeypatch: Patch) -> None:
    def run() -> None:
        with show_progress() as emit:
            for event in (
                StageStarted(stage=HOSTILE_LINES),
                StageMessage(stage=HOSTILE_LINES, text=HOSTILE_LINES),
                StageProgress(stage=HOSTILE_LINES, completed=1, total=3, text=HOSTILE_LINES),
                StageFinished(stage=HOSTILE_LINES, duration_s=1),
                StageStarted(stage="a"),
                StageMessage(stage="a", text=HOSTILE_LINES),
                StageFailed(stage="a", duration_s=1),
                StageFailed(stage=HOSTILE_LINES, duration_s=1),
            ):
                emit(event)
        process_line_printer(stderr)(
            RemoteCommandEnded(
                target=HOSTILE_LINES, command=HOSTILE_LINES, exit_status=0, duration_s=1
            )
        )

    output = capture_terminal(run, monkeypatch)

    assert PLANTED_TEXT in output
    assert find_control_characters(output) == set()
    assert find_forged_lines(output) == []


@pytest.mark.parametrize("text", [":smile:", "[bold red]x[/bold red]", "[link=http://x]y[/link]"])
def test_markup_and_emoji_codes_are_printed_literally(text: str, monkeypatch: Patch) -> None:
    def run() -> None:
        print_message(stderr, text, style="red")
        print_line(text)
        with show_progress() as emit:
            emit(StageStarted(stage=f"1{text}"))
            emit(StageMessage(stage=f"1{text}", text=f"2{text}"))
            emit(StageFinished(stage=f"1{text}", duration_s=1))

    output = capture_terminal(run, monkeypatch)

    assert output.count(text) >= 3
    assert "\U0001f604" not in output
    assert "\x1b]8" not in output


def test_results_are_printed_safely(monkeypatch: Patch) -> None:
    def run() -> None:
        print_line(HOSTILE_LINES)
        print_json({HOSTILE_LINES: [HOSTILE_LINES]})
        print_json({HOSTILE_LINES: [HOSTILE_LINES]}, indent=2)
        print_document(f"<p>{HOSTILE_LINES}</p>\n\tx\n".encode())
        print_document(b"\xff\x9b" + HOSTILE_TEXT.encode())

    output = capture_terminal(run, monkeypatch)

    assert output.count(PLANTED_TEXT) >= 10
    assert find_control_characters(output.replace("\t", "")) == set()
    assert r"\xff\x9b\x1b]0;" in output


def test_piped_json_is_escaped_and_keeps_its_values(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    print_json({HOSTILE_LINES: [HOSTILE_LINES, "é", "\udc9b"]})
    data = capsysbinary.readouterr().out

    assert json.loads(data) == {HOSTILE_LINES: [HOSTILE_LINES, "é", "\udc9b"]}
    assert find_control_characters(data.decode()) == set()


def test_piped_document_keeps_its_bytes(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    data = HOSTILE_LINES.encode() + b"\xff\r\n\t"

    print_document(data)

    assert capsysbinary.readouterr().out == data


def test_unencodable_line_is_escaped(monkeypatch: Patch, tmp_path: Path) -> None:
    with (
        (tmp_path / "out").open("w", encoding="ascii") as stdout_file,
        monkeypatch.context() as context,
    ):
        context.setattr("sys.stdout", stdout_file)
        print_line("é → x")

    assert (tmp_path / "out").read_text() == r"\xe9 \u2192 x" + "\n"


def test_prompt_is_printed_safely(monkeypatch: Patch) -> None:
    prompts: list[str] = []
    monkeypatch.setattr(click, "prompt", lambda text, **_: prompts.append(text) or "secret")

    assert prompt_secret(f"passphrase of {HOSTILE_LINES}") == "secret"
    assert find_control_characters("".join(prompts)) == set()


def test_library_logs_and_warnings_are_not_printed(monkeypatch: Patch) -> None:
    @click.command()
    def fake_command() -> None:
        logging.getLogger("paramiko.transport").error("%s", HOSTILE_LINES)
        logging.getLogger("other").warning(HOSTILE_LINES)
        warnings.warn(HOSTILE_LINES, UserWarning, stacklevel=1)

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: fake_command)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, output = run_on_terminal(lambda: cli.run(["check"]), monkeypatch)

    assert (code, output) == (0, "")


def test_log_file_has_no_unsafe_character(monkeypatch: Patch, tmp_path: Path) -> None:
    path = tmp_path / "log"

    @click.command()
    def fake_command() -> None:
        logging.getLogger("paramiko.transport").error("%s", HOSTILE_LINES)
        publish(StageMessage(stage=HOSTILE_LINES, text=HOSTILE_LINES))
        raise InputError(HOSTILE_LINES, hint=HOSTILE_LINES)

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: fake_command)
    code, output = run_on_terminal(lambda: cli.run(["--log-file", str(path), "check"]), monkeypatch)

    text = path.read_text("utf-8")
    assert code == 3
    assert text.count(PLANTED_TEXT) >= 6
    assert text.isascii()
    assert find_control_characters(text) | find_control_characters(output) == set()
    assert {json.loads(line)["kind"] for line in text.splitlines()} >= {"error", "diagnostic"}


def test_profile_text_is_printed_safely(monkeypatch: Patch, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    profile = yaml.safe_load((resource_path("hardpan", "profiles") / "lab-stig.yaml").read_text())
    marked_outputs = 0
    for key in profile:
        for changed in (
            {**profile, key: HOSTILE_LINES},
            {(f"{k}{HOSTILE_LINES}" if k == key else k): v for k, v in profile.items()},
        ):
            path.write_text(yaml.safe_dump(changed))
            _, output = run_on_terminal(lambda: cli.run(["check", str(path)]), monkeypatch)
            marked_outputs += PLANTED_TEXT in output
            assert find_control_characters(output) == set()
            assert find_forged_lines(output) == []
    assert marked_outputs > len(profile)


def test_doctor_output_is_printed_safely(monkeypatch: Patch) -> None:
    checks = (
        doctor.DoctorCheck(name=HOSTILE_LINES, ok=True, detail=HOSTILE_LINES, fix=HOSTILE_LINES),
    )
    monkeypatch.setattr("hardpan.cli.doctor.run_checks", lambda: checks)

    _, output = run_on_terminal(lambda: cli.run(["doctor"]), monkeypatch)

    assert output.count(PLANTED_TEXT) >= 3
    assert find_control_characters(output) == set()
    assert find_forged_lines(output) == []


def test_wheel_text_is_printed_safely(monkeypatch: Patch) -> None:
    finding = AuditFinding(
        kind="bundled_crypto",
        severity="high",
        wheel=HOSTILE_LINES,
        message=HOSTILE_LINES,
        path=HOSTILE_LINES,
        library=HOSTILE_LINES,
        version=HOSTILE_LINES,
        evidence=(HOSTILE_LINES,),
    )
    monkeypatch.setattr(
        wheels,
        "audit_wheels",
        lambda *_: WheelAudit(lock_sha256=None, wheels=(), findings=(finding,)),
    )

    for options in ([], ["--json"]):
        _, output = run_on_terminal(
            lambda options=options: cli.run(["wheels", "audit", ".", *options]), monkeypatch
        )
        assert output.count(PLANTED_TEXT) >= 4
        assert find_control_characters(output) == set()
        assert find_forged_lines(output) == []
