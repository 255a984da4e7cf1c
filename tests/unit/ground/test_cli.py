import json
import os
import threading
from pathlib import Path

import click
import pytest

from hardpan import cli
from hardpan.errors import InputError, SeveralError, Terminated, ToolError
from hardpan.events import ProcessEnded, publish


def verb(monkeypatch: pytest.MonkeyPatch, raises: BaseException | None, answer: int = 0) -> None:
    @click.command()
    def fake() -> int:
        if raises is not None:
            raise raises
        return answer

    monkeypatch.setattr(cli.Verbs, "get_command", lambda *_: fake)


def test_an_error_is_told_with_its_hint_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verb(monkeypatch, InputError("p.yaml:1:1: bad [red]", hint="see the README"))

    code = cli.run(["check"])

    said = capsys.readouterr()
    assert code == 3
    assert "error: p.yaml:1:1: bad [red]" in said.err
    assert "hint: see the README" in said.err
    assert said.out == ""


def test_the_tail_of_a_tool_is_shown_without_escape_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verb(monkeypatch, ToolError(["oscap"], "exited with 1", tail="a\x1b[31mb\nc"))

    code = cli.run(["scan"])

    said = capsys.readouterr().err
    assert code == 4
    assert r"  | a\x1b[31mb" in said
    assert "  | c" in said


def test_several_errors_are_told_each_with_its_hint_and_end_as_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [ToolError(["oscap"], "is not installed", hint="install it"), InputError("bad lock")]
    verb(monkeypatch, SeveralError(both))

    code = cli.run(["build"])

    assert code == 4
    assert capsys.readouterr().err.splitlines() == [
        "error: oscap is not installed",
        "hint: install it",
        "error: bad lock",
    ]


def test_findings_end_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    verb(monkeypatch, None, answer=1)

    assert cli.run(["scan"]) == 1


@pytest.mark.parametrize(
    ("kind", "code", "word"),
    [
        (KeyboardInterrupt, 130, "interrupted"),
        (click.Abort, 130, "interrupted"),
        (Terminated, 143, "terminated"),
    ],
)
def test_an_interrupt_ends_with_the_code_of_its_signal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: type[BaseException],
    code: int,
    word: str,
) -> None:
    verb(monkeypatch, kind())

    assert cli.run(["build"]) == code
    assert capsys.readouterr().err == f"{word}; finished stages are kept\n"


def test_an_error_that_came_of_an_interrupt_is_told_as_the_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ToolError(["ssh"], "exited with 255")
    error.__context__ = Terminated()
    verb(monkeypatch, error)

    assert cli.run(["build"]) == 143
    assert "ssh" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("planted"),
        SystemExit(0),
        SystemExit(1),
        EOFError(),
        BrokenPipeError(32, "of a socket, not of stdout"),
        ModuleNotFoundError("No module named 'lxml'", name="lxml"),
        PermissionError(13, "Permission denied"),
        GeneratorExit(),
    ],
)
def test_what_is_no_error_of_ours_is_a_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    verb(monkeypatch, error)

    code = cli.run(["check"])

    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    start = f"error: this is a bug in hardpan: {type(error).__name__}"
    assert (code, said.out) == (70, "")
    assert line.startswith(start)
    assert "Traceback (most recent call last)" in Path(line.partition(" is in ")[2]).read_text()


def test_a_bug_in_a_thread_does_not_pass_for_an_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def fake() -> int:
        thread = threading.Thread(target=lambda: 1 // 0)
        thread.start()
        thread.join()
        return 1

    monkeypatch.setattr(cli.Verbs, "get_command", lambda *_: fake)

    assert cli.run(["scan"]) == 70
    (line,) = capsys.readouterr().err.splitlines()
    assert "bug in hardpan: ZeroDivisionError" in line


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            PermissionError(13, "Permission denied", "/out/x"),
            3,
            "error: /out/x: cannot be used: Permission denied",
        ),
        (
            NotADirectoryError(20, "Not a directory", "/dev/null/x"),
            3,
            "error: /dev/null/x: cannot be used: Not a directory",
        ),
        (OSError(30, "Read-only file system", "/sys/x"), 3, "/sys/x: cannot be used: Read-only"),
        (PermissionError(1, "Operation not permitted"), 70, "bug in hardpan"),
        (FileNotFoundError(2, "No such file", "/own/template"), 70, "bug in hardpan"),
    ],
)
def test_unusable_path_is_an_input_error_and_other_os_errors_are_bugs(
    error: OSError,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    verb(monkeypatch, error)

    assert cli.run(["check"]) == code
    assert message in capsys.readouterr().err


def test_a_full_disk_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verb(monkeypatch, OSError(28, "No space left on device", "/out/x.iso"))

    assert cli.run(["build"]) == 4
    said = capsys.readouterr().err
    assert said.startswith("error: /out/x.iso: cannot be written: No space left on device\nhint: ")


@pytest.mark.parametrize("arguments", [["-v", "scan"], ["scan", "-v"], ["-v", "scan", "-v"]])
def test_verbose_shows_a_process_once_wherever_it_is_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    real(monkeypatch, ("oscap", "token=hunter2", "a\x1b[31m"))

    assert cli.run(arguments) == 0
    assert capsys.readouterr().err == "process 7: oscap: ended by signal 9 after 1.50 s\n"

    assert cli.run(["scan"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("first", [True, False])
def test_a_log_file_has_the_run_from_its_start_to_its_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: bool
) -> None:
    real(monkeypatch, ("oscap", "token=hunter2"))
    option = ["--log-file", str(tmp_path / "log")]

    assert cli.run([*option, "scan"] if first else ["scan", *option]) == 0

    records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [r["kind"] for r in records] == ["run_started", "process_ended", "run_ended"]
    assert (records[0]["process_id"], records[2]["exit_status"]) == (os.getpid(), 0)
    assert records[1]["argv"] == ["oscap", "token=[redacted]"]


def test_an_error_stands_in_the_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb(monkeypatch, InputError("p.yaml: bad"))

    assert cli.run(["--log-file", str(tmp_path / "log"), "check"]) == 3

    records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    error = {"exception": "InputError", "message": "p.yaml: bad"}
    assert error.items() <= records[1].items()
    assert records[2]["exit_status"] == 3
    assert capsys.readouterr().err == "error: p.yaml: bad\n"


def test_a_log_file_that_cannot_be_opened_ends_the_run_before_it_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb(monkeypatch, RuntimeError("it must not run"))
    path = tmp_path / "none" / "log"

    assert cli.run(["--log-file", str(path), "check"]) == 3
    assert capsys.readouterr().err == (
        f"error: {path}: the log file cannot be opened: No such file or directory\n"
    )


def test_two_log_files_are_a_usage_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real(monkeypatch, ("x",))

    assert cli.run(["--log-file", f"{tmp_path}/a", "scan", "--log-file", f"{tmp_path}/b"]) == 2
    assert not (tmp_path / "b").exists()


def real(monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]) -> None:
    """A command that 'scan' finds in a module, as it finds the real ones."""

    @click.command()
    def fake() -> None:
        publish(ProcessEnded(process_id=7, argv=argv, exit_status=-9, duration_s=1.5))

    monkeypatch.setattr("hardpan.scanners.commands.scan.scan", fake)


def test_every_command_and_subcommand_takes_both_options() -> None:
    with cli.root.make_context("hardpan", ["profiles"]) as context:
        commands = [cli.root.get_command(context, name) for name in cli.VERBS]

    leaves = []
    while commands:
        command = commands.pop()
        assert command is not None
        names = [name for option in command.params for name in option.opts]
        assert names.count("--log-file") == names.count("--verbose") == names.count("-v") == 1
        if isinstance(command, click.Group):
            commands += command.commands.values()
        else:
            leaves.append(command)
    assert len(leaves) > len(cli.VERBS)


def test_an_unknown_verb_or_option_is_a_usage_error() -> None:
    assert cli.run(["frobnicate"]) == 2
    assert cli.run(["--frobnicate"]) == 2


def test_help_lists_every_verb_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0

    out = capsys.readouterr().out
    assert all(name in out for name in cli.VERBS)
