"""Every run ends with a documented exit code and says why, whatever happens in it."""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pytest

from hardpan import cli
from hardpan.process import Completed, run
from tests.integration.conftest import REPO
from tests.integration.local_sshd import free_port, local_sshd

pytestmark = pytest.mark.integration

ANY = tuple(range(256))
DRIVER = Path(__file__).with_name("bug_driver.py")
HARDPAN = (sys.executable, "-m", "hardpan")

Case = tuple[str, ...]
"""Where the bug is, and the words of the command."""


def leaves() -> Iterator[Case]:
    """The words of every command, and of every subcommand of a group."""
    for name in cli.VERBS:
        command = cli.root.get_command(click.Context(cli.root), name)
        if isinstance(command, click.Group):
            yield from ((name, sub) for sub in command.commands)
        else:
            yield (name,)


CASES: tuple[Case, ...] = (
    *(("callback", *words) for words in leaves()),
    *(("import", name, "--help") for name in cli.VERBS),
)


def hardpan(*words: str | Path, env: Mapping[str, str] | None = None) -> Completed:
    return run([*HARDPAN, *words], timeout_s=60, ok=ANY, cwd=REPO, env=env)


def driven(*words: str | Path, env: Mapping[str, str] | None = None) -> Completed:
    paths = {"PYTHONPATH": str(REPO), **(env or {})}
    return run([sys.executable, DRIVER, *words], timeout_s=60, ok=ANY, cwd=REPO, env=paths)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Case, Completed]:
    """How each command ends that has a bug in it."""
    state = tmp_path_factory.mktemp("state")
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        env = {"XDG_STATE_HOME": str(state)}
        ends = pool.map(lambda case: driven(*case, env=env), CASES)
        return dict(zip(CASES, ends, strict=True))


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_a_bug_is_one_line_a_log_and_exit_code_70(
    broken: Mapping[Case, Completed], case: Case
) -> None:
    done = broken[case]

    assert (done.returncode, done.stdout) == (70, "")
    (line,) = done.stderr.splitlines()
    found = re.fullmatch(
        r"error: this is a bug in hardpan: RuntimeError: planted \\x1b\[2J\\x1b\[31mred "
        r"second line, password=\[redacted\]; the traceback is in (/.+\.log)",
        line,
    )
    assert found, line
    log = Path(found[1])
    text = log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "\nTraceback (most recent call last):\n" in text
    assert "\nRuntimeError: planted" in text
    assert shlex.join(["argv:", "hardpan", *case[1:]]).replace("'argv:'", "argv:") in text
    assert "hunter2" not in text + done.stderr
    assert "\x1b" not in text + done.stderr


def test_the_bug_of_a_run_with_a_log_file_is_in_that_file(tmp_path: Path) -> None:
    log = tmp_path / "run.log"

    done = driven("callback", "check", "--log-file", log)

    assert done.returncode == 70
    assert done.stderr.endswith(f"; the traceback is in {log}\n")
    (bug,) = [r for r in records(log) if r["kind"] == "bug"]
    assert str(bug["traceback"]).startswith("Traceback (most recent call last):\n")


def records(log: Path) -> list[dict[str, object]]:
    found = [json.loads(line) for line in log.read_text("ascii").splitlines()]
    for record in found:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"])
    return found


def closed_pipe() -> int:
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize(
    "words", [["profiles"], ["check", "--schema"], ["--help"], ["scan", "--help"], ["--version"]]
)
def test_a_closed_stdout_ends_the_run_quietly_with_141(words: Sequence[str]) -> None:
    out = closed_pipe()
    done = subprocess.run(
        [*HARDPAN, *words], stdout=out, stderr=subprocess.PIPE, cwd=REPO, check=False
    )
    os.close(out)

    assert (done.returncode, done.stderr) == (141, b"")


def test_a_shell_pipe_that_reads_one_line_sees_no_error() -> None:
    argv = shlex.join([*HARDPAN, "check", "--schema"])

    script = f"{argv} | head -1; echo ${{PIPESTATUS[0]}}"
    done = run(["bash", "-c", script], timeout_s=60, cwd=REPO)

    assert done.stdout in ("{\n141\n", "{\n0\n")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "code"), [(["profiles"], 0), (["check", "no-such"], 3), (["no-such"], 2)]
)
@pytest.mark.parametrize("how", ["pipe", "closed", "full"])
def test_a_stderr_that_cannot_be_written_changes_no_exit_code(
    words: Sequence[str], code: int, how: str
) -> None:
    argv = shlex.join([*HARDPAN, *words])
    to = {"pipe": f"2>&{(err := closed_pipe())}", "closed": "2>&-", "full": "2>/dev/full"}[how]
    done = subprocess.run(
        ["bash", "-c", f"{argv} {to}"],  # noqa: S607
        stdout=subprocess.PIPE,
        cwd=REPO,
        pass_fds=[err],
        check=False,
    )
    os.close(err)

    assert done.returncode == code
    assert bool(done.stdout) == (code == 0)


def test_keys_are_written_without_a_stderr(tmp_path: Path) -> None:
    argv = shlex.join([*HARDPAN, "keys", "new", str(tmp_path / "keys")])

    done = run(["bash", "-c", f"{argv} 2> >(true); echo $?"], timeout_s=60, cwd=REPO)

    assert done.stdout == f"{tmp_path}/keys/trust.yaml\n0\n"


def test_a_stdout_on_a_full_disk_is_an_error_of_this_machine() -> None:
    argv = shlex.join([*HARDPAN, "profiles"])

    done = run(["bash", "-c", f"{argv} >/dev/full"], timeout_s=60, ok=ANY, cwd=REPO)

    assert done.returncode == 4
    assert done.stderr.startswith("error: a file: cannot be written: No space left on device\n")


@contextlib.contextmanager
def started(argv: Sequence[str | Path]) -> Iterator[subprocess.Popen[str]]:
    """A program whose signals are not ignored, as a background job's would be."""
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    with subprocess.Popen(
        ["env", "--default-signal=INT,TERM", *map(str, argv)],  # noqa: S607
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPO,
        env=env,
        text=True,
    ) as p:
        try:
            yield p
        finally:
            p.kill()


def wait_for(path: Path) -> str:
    for _ in range(600):
        text = path.read_text() if path.exists() else ""
        if text.endswith("\n"):
            return text
        time.sleep(0.05)
    raise AssertionError(f"{path} was not written")


def is_gone(process_id: int) -> bool:
    for _ in range(100):
        status = Path(f"/proc/{process_id}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return True
        time.sleep(0.05)
    return False


SIGNALS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]


@pytest.mark.parametrize(("number", "code", "word"), SIGNALS)
def test_a_signal_ends_a_connection_that_waits(
    tmp_path: Path, number: signal.Signals, code: int, word: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"root@127.0.0.1:{silent.getsockname()[1]}"
        files = ["--known-hosts", empty(tmp_path), "--identity", key(tmp_path)]
        with started([*HARDPAN, "smoke", target, *files]) as p:
            assert p.stderr is not None
            first = p.stderr.readline()
            p.send_signal(number)
            out, said = p.communicate(timeout=20)

    assert "smoke: started" in first
    assert (p.returncode, out) == (code, "")
    assert said.splitlines()[1:] == [f"{word}; finished stages are kept"]


@pytest.mark.parametrize(("number", "code", "word"), SIGNALS)
def test_a_signal_ends_the_program_that_runs(
    tmp_path: Path, number: signal.Signals, code: int, word: str
) -> None:
    mark = tmp_path / "pid"
    config = tmp_path / "config"
    config.write_text(f'Match exec "echo $$ > {mark}; exec sleep 60"\n')

    with started([*HARDPAN, "smoke", "host", "--ssh-config", config]) as p:
        process_id = int(wait_for(mark))
        p.send_signal(number)
        _, said = p.communicate(timeout=20)

    assert (p.returncode, said) == (code, f"{word}; finished stages are kept\n")
    assert is_gone(process_id)


def test_a_second_signal_does_not_disturb_the_cleaning_up(tmp_path: Path) -> None:
    log = tmp_path / "log"

    with started([sys.executable, DRIVER, "cleanup", log, "profiles"]) as p:
        process_id = int(wait_for(log).split()[1])
        p.send_signal(signal.SIGTERM)
        time.sleep(1)  # the program ignores SIGTERM, and is killed after five seconds
        p.send_signal(signal.SIGINT)
        out, said = p.communicate(timeout=30)

    assert (p.returncode, out) == (143, "")
    assert said.splitlines() == [
        "hardpan: still cleaning up; one more signal ends it at once",
        "terminated; finished stages are kept",
    ]
    assert is_gone(process_id)


def test_a_third_signal_ends_the_run_at_once(tmp_path: Path) -> None:
    log = tmp_path / "log"

    with started([sys.executable, DRIVER, "cleanup", log, "profiles"]) as p:
        process_id = int(wait_for(log).split()[1])
        for _ in range(3):
            p.send_signal(signal.SIGINT)
            time.sleep(0.5)
        _, said = p.communicate(timeout=4)

    assert p.returncode == -signal.SIGINT
    assert said == "hardpan: still cleaning up; one more signal ends it at once\n"
    assert is_gone(process_id)


def test_a_signal_during_the_checks_of_a_host_is_no_failure_of_pytest() -> None:
    script = """
from hardpan.errors import Terminated
from hardpan.events import silent
from hardpan.scanners.call import Output
from hardpan.scanners.collect.base import Task
from hardpan.scanners.collect.hostfacts import HostFacts

class Target:
    target = "me@host:22"
    asked = 0

    def run(self, *_, **__):
        self.asked += 1
        if self.asked > 1:
            raise Terminated
        return Output(rc=0, data=b"", stderr="", took_s=0.0)

try:
    HostFacts().collect(Target(), Task(), timeout_s=9, emit=silent)
except Terminated:
    print("terminated")
"""
    done = run([sys.executable, "-c", script], timeout_s=60, cwd=REPO)

    assert done.stdout == "terminated\n"


def empty(folder: Path) -> Path:
    (folder / "known_hosts").touch()
    return folder / "known_hosts"


def key(folder: Path) -> Path:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "id"], timeout_s=30)
    return folder / "id"


def unreachable(folder: Path, port: int) -> list[str | Path]:
    """A command that runs ``ssh -G`` and then finds nobody."""
    config = folder / "config"
    config.write_text(f"Host web\n HostName 127.0.0.1\n Port {port}\n User me\n")
    return ["smoke", "web", "--ssh-config", config, "--known-hosts", empty(folder)]


@pytest.mark.parametrize("first", [True, False])
def test_verbose_shows_each_process_with_its_end(tmp_path: Path, first: bool) -> None:
    words = unreachable(tmp_path, free_port())

    done = hardpan(*(["-v", *words] if first else [*words, "-v"]))

    assert (done.returncode, done.stdout) == (5, "")
    config = re.escape(str(tmp_path / "config"))
    begin, end, *_ = done.stderr.splitlines()
    assert re.fullmatch(rf"process \d+: ssh -G -F {config} -- web", begin)
    assert re.fullmatch(r"process \d+: ssh: exit status 0 after \d+\.\d\d s", end)
    assert begin.split()[1] == end.split()[1]


def test_a_log_file_has_every_event_of_two_runs(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    words = unreachable(tmp_path, free_port())

    for _ in range(2):
        done = hardpan(*words, "-q", "--log-file", log)
        assert done.returncode == 5

    found = records(log)
    assert [r["kind"] for r in found] == 2 * [
        *("run_started", "process_started", "process_ended"),
        *("stage_started", "stage_failed", "error", "run_ended"),
    ]
    assert found[0]["argv"][1:] == [*map(str, words), "-q", "--log-file", str(log)]  # type: ignore[index]
    assert found[2]["argv"] == ["ssh", "-G", "-F", str(tmp_path / "config"), "--", "web"]
    assert (found[2]["exit_status"], found[6]["exit_status"]) == (0, 5)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert done.stderr.startswith("error: me@127.0.0.1:")


def test_what_paramiko_logs_is_in_the_log_and_not_on_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_http, args=(server,), daemon=True).start()
        port = server.getsockname()[1]
        words = ["--known-hosts", empty(tmp_path), "--identity", key(tmp_path), "-q"]
        done = hardpan("smoke", f"me@127.0.0.1:{port}", *words, "--log-file", log)

    assert done.returncode == 5
    assert len(done.stderr.splitlines()) == 1
    texts = [str(r["text"]) for r in records(log) if r["kind"] == "diagnostic"]
    assert "Traceback (most recent call last):" in texts


def answer_http(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        accepted, _ = server.accept()
        accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n" * 200)
        accepted.close()


def test_a_revoked_host_key_is_broken_trust(tmp_path: Path) -> None:
    with local_sshd(tmp_path) as target:
        known = tmp_path / "known_hosts"
        (host_key,) = target.host_keys
        known.write_text(
            f"@cert-authority * {host_key}\n"
            f"[127.0.0.1]:{target.port} {host_key}\n"
            f"@revoked * {host_key}\n"
        )
        words = ["--known-hosts", known, "--identity", tmp_path / "user"]
        done = hardpan("smoke", str(target), *words, "-q")

    assert done.returncode == 6
    assert done.stderr.startswith(f"error: {target}: the host key is revoked: expected ")
