import os
import signal
import sys
import time
from pathlib import Path

import pytest

from hardpan.core.errors import ToolError
from hardpan.core.events import ProcessEnded, ProcessStarted, Record, observe
from hardpan.core.process import find_program, group, run, spawn
from hardpan.ssh.process_channel import ProcessChannel

pytestmark = pytest.mark.integration


def run_shell(script: str, **options: object) -> str:
    return run(["sh", "-c", script], timeout_s=20, **options).stdout  # type: ignore[arg-type]


def test_large_stderr_does_not_block() -> None:
    script = "import sys; sys.stderr.write('x' * 500_000); print('done')"

    result = run([sys.executable, "-c", script], timeout_s=20)

    assert result.stdout == "done\n"
    assert len(result.stderr) == 500_000


def test_error_contains_no_secret() -> None:
    with pytest.raises(ToolError) as caught:
        run(["sh", "-c", "echo s3cret >&2; exit 3", "s3cret"], timeout_s=5, secrets=["s3cret"])

    assert "s3cret" not in str(caught.value) + caught.value.output_tail + " ".join(
        caught.value.argv
    )
    assert "exited with 3" in str(caught.value)
    assert caught.value.output_tail == "[redacted]"


def test_missing_program_is_named() -> None:
    with pytest.raises(ToolError, match="no-such-program is not installed"):
        run(["no-such-program"], timeout_s=5)

    assert find_program("no-such-program") is None


def test_missing_working_folder_is_reported_as_such(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="which is not a folder"):
        run(["true"], timeout_s=5, cwd=tmp_path / "none")


def test_timeout_kills_grandchildren(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    with pytest.raises(ToolError, match=r"did not end within 0.5 s"):
        run(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], timeout_s=0.5)

    assert has_exited(int(pid_file.read_text()))


def test_signal_is_named() -> None:
    with pytest.raises(ToolError, match="was ended by SIGSEGV"):
        run_shell("kill -SEGV $$")


def test_accepted_exit_codes_can_be_extended() -> None:
    assert run(["sh", "-c", "exit 2"], timeout_s=5, ok=(0, 2)).returncode == 2


def test_processes_are_published_without_secrets(tmp_path: Path) -> None:
    records: list[Record] = []

    with observe(records.append):
        run(["sh", "-c", "exit 2", "s3cret"], timeout_s=5, ok=(2,), secrets=["s3cret"])
        with pytest.raises(ToolError, match="did not end"):
            run(["sleep", "60"], timeout_s=0.2)
        with spawn(["sleep", "60"], log=tmp_path / "log"):
            pass

    finished = [record for record in records if isinstance(record, ProcessEnded)]
    started = [record for record in records if isinstance(record, ProcessStarted)]
    assert [record.argv for record in started] == [
        *(("sh", "-c", "exit 2", "[redacted]"), ("sleep", "60"), ("sleep", "60")),
    ]
    assert [(record.process_id, record.argv) for record in finished] == [
        (record.process_id, record.argv) for record in started
    ]
    assert [record.exit_status for record in finished] == [2, -signal.SIGKILL, -signal.SIGTERM]
    assert 0.2 <= finished[1].duration_s < 5


def test_stdin_is_empty_by_default() -> None:
    assert run_shell("cat") == ""
    assert run_shell("cat", stdin=b"hello") == "hello"


def test_environment_is_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAK", "yes")

    assert run_shell("echo ${LEAK-no} $LC_ALL $MORE", env={"MORE": "more"}) == "no C.UTF-8 more\n"


def test_stderr_lines_are_delivered() -> None:
    lines: list[str] = []

    result = run(
        ["sh", "-c", "echo a >&2; echo out; echo b >&2"], timeout_s=5, on_line=lines.append
    )

    assert lines == ["a", "b"]
    assert result.stdout == "out\n"


def test_spawned_program_stops_with_its_block(tmp_path: Path) -> None:
    with spawn(["sleep", "60"], log=tmp_path / "log") as p:
        assert p.poll() is None

    assert has_exited(p.pid)


def test_program_does_not_start_if_its_parent_was_killed_before(tmp_path: Path) -> None:
    """``setpriv`` is delayed until the parent has ended: the kernel sends no signal any more."""
    setpriv = find_program("setpriv")
    delayed = tmp_path / "bin" / "setpriv"
    delayed.parent.mkdir()
    delayed.write_text(
        f'#!/bin/sh\nwhile kill -0 "$PPID" 2>/dev/null; do sleep 0.05; done\nexec {setpriv} "$@"\n'
    )
    delayed.chmod(0o755)
    script = (
        "import os, pathlib, signal\nfrom hardpan.core.process import spawn\n"
        f"folder = pathlib.Path('{tmp_path}')\n"
        "with spawn(['touch', folder / 'started'], log=folder / 'log') as p:\n"
        "    (folder / 'pid').write_text(str(p.pid))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {"PATH": f"{delayed.parent}:{os.environ['PATH']}"}

    run([sys.executable, "-c", script], timeout_s=20, env=environment, ok=(-signal.SIGKILL,))

    assert has_exited(int((tmp_path / "pid").read_text()))
    assert not (tmp_path / "started").exists()


def test_spawned_program_is_killed_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import pathlib, time\nfrom hardpan.core.process import spawn\n"
        f"with spawn(['sleep', '60'], log=pathlib.Path('{tmp_path}/log')) as p:\n"
        f"    pathlib.Path('{tmp_path}/pid').write_text(str(p.pid))\n"
        "    time.sleep(60)\n"
    )
    with spawn([sys.executable, "-c", script], log=tmp_path / "outer") as parent:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
        os.kill(parent.pid, signal.SIGKILL)
        child = int((tmp_path / "pid").read_text())

        assert has_exited(child)


def start_shell(script: str, folder: Path) -> ProcessChannel:
    """Start a shell, and wait until it has written the file "pid"."""
    channel = ProcessChannel(("sh", "-c", script), label=("sh",), cwd=folder, env={})
    assert wait_until(lambda: (folder / "pid").exists() and (folder / "pid").read_text() != "")
    return channel


def test_terminated_channel_lets_a_shell_clean_up(tmp_path: Path) -> None:
    # The clean-up writes to its stdout after the first process has ended.
    child = (
        "trap 'sleep 0.3; echo removed && rm -rf work; exit 143' TERM; mkdir work; echo $$ > pid; "
        "while :; do sleep 0.1; done"
    )
    channel = start_shell(f'(exec sh -c "{child.replace("$", chr(92) + "$")}") & wait', tmp_path)

    start_s = time.monotonic()
    channel.terminate()
    duration_s = time.monotonic() - start_s
    channel.close()

    assert channel.closed
    assert duration_s < 0.2
    assert not (tmp_path / "work").exists()
    assert has_exited(int((tmp_path / "pid").read_text()))


def test_terminated_channel_kills_a_shell_that_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "GRACE_S", 0.3)
    channel = start_shell("trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done", tmp_path)

    channel.terminate()

    assert has_exited(int((tmp_path / "pid").read_text()))
    assert channel.recv_exit_status() == -1
    channel.close()


def has_exited(pid: int) -> bool:
    return wait_until(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition: object, limit_s: float = 10) -> bool:
    assert callable(condition)
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        if condition():
            return True
        time.sleep(0.05)
    return False
