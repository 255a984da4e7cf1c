import json
import os
import threading
from pathlib import Path

import click
import pytest

from hardpan import cli
from hardpan.cli.error_reporting import RunContext
from hardpan.core.errors import AggregateError, InputError, TerminationInterrupt, ToolError
from hardpan.core.events import ProcessEnded, publish


def install_command(
    monkeypatch: pytest.MonkeyPatch, error: BaseException | None, exit_code: int = 0
) -> None:
    @click.command()
    def fake_command() -> int:
        if error is not None:
            raise error
        return exit_code

    def get_command(_group: click.Group, context: click.Context, name: str) -> click.Command:
        run_context = context.find_object(RunContext)
        assert run_context is not None
        run_context.command = name
        return fake_command

    monkeypatch.setattr(cli.LazyGroup, "get_command", get_command)


def test_error_is_printed_with_hint_and_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install_command(monkeypatch, InputError("p.yaml:1:1: bad [red]", hint="see the README"))

    code = cli.run(["check"])

    output = capsys.readouterr()
    assert code == 3
    assert "error: p.yaml:1:1: bad [red]" in output.err
    assert "hint: see the README" in output.err
    assert output.out == ""


def test_tool_output_tail_is_printed_without_escape_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install_command(monkeypatch, ToolError(["oscap"], "exited with 1", output_tail="a\x1b[31mb\nc"))

    code = cli.run(["scan"])

    stderr = capsys.readouterr().err
    assert code == 4
    assert r"  | a\x1b[31mb" in stderr
    assert "  | c" in stderr


def test_aggregate_error_prints_all_and_exits_as_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = [ToolError(["oscap"], "is not installed", hint="install it"), InputError("bad lock")]
    install_command(monkeypatch, AggregateError(errors))

    code = cli.run(["build"])

    assert code == 4
    assert capsys.readouterr().err.splitlines() == [
        "error: oscap is not installed",
        "hint: install it",
        "error: bad lock",
    ]


def test_findings_exit_with_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    install_command(monkeypatch, None, exit_code=1)

    assert cli.run(["scan"]) == 1


@pytest.mark.parametrize(
    ("kind", "code", "word"),
    [
        (KeyboardInterrupt, 130, "interrupted"),
        (click.Abort, 130, "interrupted"),
        (TerminationInterrupt, 143, "terminated"),
    ],
)
def test_interrupt_exits_with_code_of_its_signal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: type[BaseException],
    code: int,
    word: str,
) -> None:
    install_command(monkeypatch, kind())

    assert cli.run(["build"]) == code
    assert capsys.readouterr().err == f"{word}; completed stages will be reused\n"


def test_interrupt_of_a_command_without_stages_promises_no_reuse(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install_command(monkeypatch, KeyboardInterrupt())

    assert cli.run(["scan"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_error_caused_by_interrupt_is_reported_as_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ToolError(["ssh"], "exited with 255")
    error.__context__ = TerminationInterrupt()
    install_command(monkeypatch, error)

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
def test_unexpected_exception_is_reported_as_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    install_command(monkeypatch, error)

    code = cli.run(["check"])

    output = capsys.readouterr()
    (line,) = output.err.splitlines()
    start = f"error: this is a bug in hardpan: {type(error).__name__}"
    assert (code, output.out) == (70, "")
    assert line.startswith(start)
    assert "Traceback (most recent call last)" in Path(line.partition(" is in ")[2]).read_text()


def test_exception_in_thread_turns_result_into_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def fake_command() -> int:
        thread = threading.Thread(target=lambda: 1 // 0)
        thread.start()
        thread.join()
        return 1

    def get_command(_group: click.Group, context: click.Context, name: str) -> click.Command:
        run_context = context.find_object(RunContext)
        assert run_context is not None
        run_context.command = name
        return fake_command

    monkeypatch.setattr(cli.LazyGroup, "get_command", get_command)

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
    install_command(monkeypatch, error)

    assert cli.run(["check"]) == code
    assert message in capsys.readouterr().err


def test_full_disk_is_a_resource_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install_command(monkeypatch, OSError(28, "No space left on device", "/out/x.iso"))

    assert cli.run(["build"]) == 4
    stderr = capsys.readouterr().err
    assert stderr.startswith(
        "error: /out/x.iso: cannot be written: No space left on device\nhint: "
    )


@pytest.mark.parametrize("arguments", [["-v", "scan"], ["scan", "-v"], ["-v", "scan", "-v"]])
def test_verbose_prints_each_process_once_in_any_position(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    replace_scan_command(monkeypatch, ("oscap", "token=hunter2", "a\x1b[31m"))

    assert cli.run(arguments) == 0
    assert capsys.readouterr().err == "process 7: oscap: ended by signal 9 after 1.50 s\n"

    assert cli.run(["scan"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("is_before_command", [True, False])
def test_log_file_records_run_from_start_to_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_before_command: bool
) -> None:
    replace_scan_command(monkeypatch, ("oscap", "token=hunter2"))
    option = ["--log-file", str(tmp_path / "log")]

    assert cli.run([*option, "scan"] if is_before_command else ["scan", *option]) == 0

    records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [r["kind"] for r in records] == ["run_started", "process_ended", "run_ended"]
    assert (records[0]["process_id"], records[2]["exit_status"]) == (os.getpid(), 0)
    assert records[1]["argv"] == ["oscap", "token=[redacted]"]


def test_error_is_written_to_log_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install_command(monkeypatch, InputError("p.yaml: bad"))

    assert cli.run(["--log-file", str(tmp_path / "log"), "check"]) == 3

    records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    expected = {"exception": "InputError", "message": "p.yaml: bad"}
    assert expected.items() <= records[1].items()
    assert records[2]["exit_status"] == 3
    assert capsys.readouterr().err == "error: p.yaml: bad\n"


def test_unopenable_log_file_stops_before_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install_command(monkeypatch, RuntimeError("it must not run"))
    path = tmp_path / "none" / "log"

    assert cli.run(["--log-file", str(path), "check"]) == 3
    assert capsys.readouterr().err == (
        f"error: {path}: the log file cannot be opened: No such file or directory\n"
    )


def test_second_log_file_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replace_scan_command(monkeypatch, ("x",))

    assert cli.run(["--log-file", f"{tmp_path}/a", "scan", "--log-file", f"{tmp_path}/b"]) == 2
    assert not (tmp_path / "b").exists()


def replace_scan_command(monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]) -> None:
    """A command that 'scan' finds in a module, as it finds the real ones."""

    @click.command()
    def fake_command() -> None:
        publish(ProcessEnded(process_id=7, argv=argv, exit_status=-9, duration_s=1.5))

    monkeypatch.setattr("hardpan.cli.scan.scan", fake_command)


def test_every_command_accepts_common_options() -> None:
    with cli.root.make_context("hardpan", ["profiles"]) as context:
        commands = [cli.root.get_command(context, name) for name in cli.COMMANDS]

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
    assert len(leaves) > len(cli.COMMANDS)


def test_unknown_command_or_option_is_a_usage_error() -> None:
    assert cli.run(["frobnicate"]) == 2
    assert cli.run(["--frobnicate"]) == 2


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0

    output = capsys.readouterr().out
    assert all(name in output for name in cli.COMMANDS)
