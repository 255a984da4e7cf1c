import os
import signal
import sys
import time
from pathlib import Path

import pytest

from hardpan.errors import ToolError
from hardpan.events import ProcessEnded, ProcessStarted, Record, observed
from hardpan.process import run, spawn, which

pytestmark = pytest.mark.integration


def sh(script: str, **options: object) -> str:
    return run(["sh", "-c", script], timeout_s=20, **options).stdout  # type: ignore[arg-type]


def test_half_a_megabyte_of_stderr_does_not_block() -> None:
    script = "import sys; sys.stderr.write('x' * 500_000); print('done')"

    got = run([sys.executable, "-c", script], timeout_s=20)

    assert got.stdout == "done\n"
    assert len(got.stderr) == 500_000


def test_a_secret_never_reaches_the_error() -> None:
    with pytest.raises(ToolError) as caught:
        run(["sh", "-c", "echo s3cret >&2; exit 3", "s3cret"], timeout_s=5, secrets=["s3cret"])

    assert "s3cret" not in str(caught.value) + caught.value.tail + " ".join(caught.value.argv)
    assert "exited with 3" in str(caught.value)
    assert caught.value.tail == "[redacted]"


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ToolError, match="no-such-program is not installed"):
        run(["no-such-program"], timeout_s=5)

    assert which("no-such-program") is None


def test_a_missing_folder_is_not_mistaken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="which is no folder"):
        run(["true"], timeout_s=5, cwd=tmp_path / "none")


def test_the_time_limit_ends_the_grandchild_too(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    with pytest.raises(ToolError, match=r"did not end within 0.5 s"):
        run(["sh", "-c", f"sleep 60 & echo $! > {note}; wait"], timeout_s=0.5)

    assert gone(int(note.read_text()))


def test_a_signal_is_named() -> None:
    with pytest.raises(ToolError, match="was ended by SIGSEGV"):
        sh("kill -SEGV $$")


def test_other_exit_codes_can_be_allowed() -> None:
    assert run(["sh", "-c", "exit 2"], timeout_s=5, ok=(0, 2)).returncode == 2


def test_every_process_is_published_with_its_end_and_without_secrets(tmp_path: Path) -> None:
    seen: list[Record] = []

    with observed(seen.append):
        run(["sh", "-c", "exit 2", "s3cret"], timeout_s=5, ok=(2,), secrets=["s3cret"])
        with pytest.raises(ToolError, match="did not end"):
            run(["sleep", "60"], timeout_s=0.2)
        with spawn(["sleep", "60"], log=tmp_path / "log"):
            pass

    ends = [r for r in seen if isinstance(r, ProcessEnded)]
    starts = [r for r in seen if isinstance(r, ProcessStarted)]
    assert [r.argv for r in starts] == [
        *(("sh", "-c", "exit 2", "[redacted]"), ("sleep", "60"), ("sleep", "60")),
    ]
    assert [(r.process_id, r.argv) for r in ends] == [(r.process_id, r.argv) for r in starts]
    assert [r.exit_status for r in ends] == [2, -signal.SIGKILL, -signal.SIGTERM]
    assert 0.2 <= ends[1].duration_s < 5


def test_stdin_is_empty_or_what_was_given() -> None:
    assert sh("cat") == ""
    assert sh("cat", stdin=b"hello") == "hello"


def test_the_environment_is_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAK", "yes")

    assert sh("echo ${LEAK-no} $LC_ALL $MORE", env={"MORE": "more"}) == "no C.UTF-8 more\n"


def test_lines_arrive_while_the_program_runs() -> None:
    seen: list[str] = []

    got = run(["sh", "-c", "echo a >&2; echo out; echo b >&2"], timeout_s=5, on_line=seen.append)

    assert seen == ["a", "b"]
    assert got.stdout == "out\n"


def test_a_spawned_program_ends_with_its_block(tmp_path: Path) -> None:
    with spawn(["sleep", "60"], log=tmp_path / "log") as p:
        assert p.poll() is None

    assert gone(p.pid)


def test_a_spawned_program_dies_with_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import pathlib, time\nfrom hardpan.process import spawn\n"
        f"with spawn(['sleep', '60'], log=pathlib.Path('{tmp_path}/log')) as p:\n"
        f"    pathlib.Path('{tmp_path}/pid').write_text(str(p.pid))\n"
        "    time.sleep(60)\n"
    )
    with spawn([sys.executable, "-c", script], log=tmp_path / "outer") as parent:
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
        os.kill(parent.pid, signal.SIGKILL)
        child = int((tmp_path / "pid").read_text())

        assert gone(child)


def gone(pid: int) -> bool:
    return until(lambda: not alive(pid))


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def until(holds: object, limit_s: float = 10) -> bool:
    assert callable(holds)
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return False
