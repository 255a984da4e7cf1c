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
from hardpan.core.process import CompletedProcess, run
from tests.integration.conftest import REPO
from tests.integration.local_sshd import free_port, local_sshd

pytestmark = pytest.mark.integration

ANY_EXIT_CODE = tuple(range(256))
DRIVER = Path(__file__).with_name("fault_driver.py")
HARDPAN = (sys.executable, "-m", "hardpan")

Case = tuple[str, ...]
"""Where the bug is, and the words of the command."""


def leaf_commands() -> Iterator[Case]:
    """The words of every command, and of every subcommand of a group."""
    for name in cli.COMMANDS:
        command = cli.root.get_command(click.Context(cli.root), name)
        if isinstance(command, click.Group):
            yield from ((name, subcommand) for subcommand in command.commands)
        else:
            yield (name,)


CASES: tuple[Case, ...] = (
    *(("callback", *command) for command in leaf_commands()),
    *(("import", name, "--help") for name in cli.COMMANDS),
)


def run_hardpan(*arguments: str | Path, env: Mapping[str, str] | None = None) -> CompletedProcess:
    return run([*HARDPAN, *arguments], timeout_s=60, ok=ANY_EXIT_CODE, cwd=REPO, env=env)


def run_driver(*arguments: str | Path, env: Mapping[str, str] | None = None) -> CompletedProcess:
    paths = {"PYTHONPATH": str(REPO), **(env or {})}
    return run(
        [sys.executable, DRIVER, *arguments], timeout_s=60, ok=ANY_EXIT_CODE, cwd=REPO, env=paths
    )


@pytest.fixture(scope="module")
def faulty_runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Case, CompletedProcess]:
    """How each command ends that has a bug in it."""
    state_folder = tmp_path_factory.mktemp("state")
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        env = {"XDG_STATE_HOME": str(state_folder)}
        results = pool.map(lambda case: run_driver(*case, env=env), CASES)
        return dict(zip(CASES, results, strict=True))


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_bug_prints_a_single_line_and_exits_70(
    faulty_runs: Mapping[Case, CompletedProcess], case: Case
) -> None:
    process = faulty_runs[case]

    assert (process.returncode, process.stdout) == (70, "")
    (line,) = process.stderr.splitlines()
    match = re.fullmatch(
        r"error: this is a bug in hardpan: RuntimeError: planted \\x1b\[2J\\x1b\[31mred "
        r"second line, password=\[redacted\]; the traceback is in (/.+\.log)",
        line,
    )
    assert match, line
    log = Path(match[1])
    text = log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "\nTraceback (most recent call last):\n" in text
    assert "\nRuntimeError: planted" in text
    assert shlex.join(["argv:", "hardpan", *case[1:]]).replace("'argv:'", "argv:") in text
    assert "hunter2" not in text + process.stderr
    assert "\x1b" not in text + process.stderr


def test_bug_is_written_to_the_log_file(tmp_path: Path) -> None:
    log = tmp_path / "run.log"

    process = run_driver("callback", "check", "--log-file", log)

    assert process.returncode == 70
    assert process.stderr.endswith(f"; the traceback is in {log}\n")
    (bug,) = [r for r in read_log_records(log) if r["kind"] == "bug"]
    assert str(bug["traceback"]).startswith("Traceback (most recent call last):\n")


def read_log_records(log: Path) -> list[dict[str, object]]:
    entries = [json.loads(line) for line in log.read_text("ascii").splitlines()]
    for record in entries:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"])
    return entries


def open_closed_pipe() -> int:
    """The writing end of a pipe that nobody reads."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    return write_end


@pytest.mark.parametrize(
    "arguments",
    [["profiles"], ["check", "--schema"], ["--help"], ["scan", "--help"], ["--version"]],
)
def test_closed_stdout_exits_141_silently(arguments: Sequence[str]) -> None:
    pipe = open_closed_pipe()
    process = subprocess.run(
        [*HARDPAN, *arguments], stdout=pipe, stderr=subprocess.PIPE, cwd=REPO, check=False
    )
    os.close(pipe)

    assert (process.returncode, process.stderr) == (141, b"")


def test_head_on_output_prints_no_error() -> None:
    argv = shlex.join([*HARDPAN, "check", "--schema"])

    script = f"{argv} | head -1; echo ${{PIPESTATUS[0]}}"
    process = run(["bash", "-c", script], timeout_s=60, cwd=REPO)

    assert process.stdout in ("{\n141\n", "{\n0\n")
    assert process.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code"), [(["profiles"], 0), (["check", "no-such"], 3), (["no-such"], 2)]
)
@pytest.mark.parametrize("stderr_kind", ["pipe", "closed", "full"])
def test_unwritable_stderr_keeps_the_exit_code(
    arguments: Sequence[str], code: int, stderr_kind: str
) -> None:
    argv = shlex.join([*HARDPAN, *arguments])
    redirection = {
        "pipe": f"2>&{(pipe := open_closed_pipe())}",
        "closed": "2>&-",
        "full": "2>/dev/full",
    }[stderr_kind]
    process = subprocess.run(
        ["bash", "-c", f"{argv} {redirection}"],  # noqa: S607
        stdout=subprocess.PIPE,
        cwd=REPO,
        pass_fds=[pipe],
        check=False,
    )
    os.close(pipe)

    assert process.returncode == code
    assert bool(process.stdout) == (code == 0)


def test_keys_are_written_with_closed_stderr(tmp_path: Path) -> None:
    argv = shlex.join([*HARDPAN, "keys", "new", str(tmp_path / "keys")])

    process = run(["bash", "-c", f"{argv} 2> >(true); echo $?"], timeout_s=60, cwd=REPO)

    assert process.stdout == f"{tmp_path}/keys/trust.yaml\n0\n"


def test_stdout_on_full_disk_is_a_resource_error() -> None:
    argv = shlex.join([*HARDPAN, "profiles"])

    process = run(["bash", "-c", f"{argv} >/dev/full"], timeout_s=60, ok=ANY_EXIT_CODE, cwd=REPO)

    assert process.returncode == 4
    assert process.stderr.startswith("error: a file: cannot be written: No space left on device\n")


@contextlib.contextmanager
def start_program(argv: Sequence[str | Path]) -> Iterator[subprocess.Popen[str]]:
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


def has_exited(process_id: int) -> bool:
    for _ in range(100):
        status = Path(f"/proc/{process_id}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return True
        time.sleep(0.05)
    return False


SIGNAL_EXIT_CODES = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]


@pytest.mark.parametrize(("signal_number", "code", "outcome"), SIGNAL_EXIT_CODES)
def test_signal_stops_a_waiting_connection(
    tmp_path: Path, signal_number: signal.Signals, code: int, outcome: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = f"root@127.0.0.1:{server.getsockname()[1]}"
        files = [
            "--known-hosts",
            create_known_hosts(tmp_path),
            "--identity",
            create_ssh_key(tmp_path),
        ]
        with start_program([*HARDPAN, "smoke", target, *files]) as p:
            assert p.stderr is not None
            first_line = p.stderr.readline()
            p.send_signal(signal_number)
            stdout, stderr = p.communicate(timeout=20)

    assert "smoke: started" in first_line
    assert (p.returncode, stdout) == (code, "")
    assert stderr.splitlines()[1:] == [outcome]


@pytest.mark.parametrize(("signal_number", "code", "outcome"), SIGNAL_EXIT_CODES)
def test_signal_stops_the_running_program(
    tmp_path: Path, signal_number: signal.Signals, code: int, outcome: str
) -> None:
    pid_file = tmp_path / "pid"
    config = tmp_path / "config"
    config.write_text(f'Match exec "echo $$ > {pid_file}; exec sleep 60"\n')

    with start_program([*HARDPAN, "smoke", "host", "--ssh-config", config]) as p:
        process_id = int(wait_for(pid_file))
        p.send_signal(signal_number)
        _, stderr = p.communicate(timeout=20)

    assert (p.returncode, stderr) == (code, f"{outcome}\n")
    assert has_exited(process_id)


def test_second_signal_does_not_stop_cleanup(tmp_path: Path) -> None:
    log = tmp_path / "log"

    with start_program([sys.executable, DRIVER, "cleanup", log, "profiles"]) as p:
        process_id = int(wait_for(log).split()[1])
        p.send_signal(signal.SIGTERM)
        time.sleep(1)  # the program ignores SIGTERM, and is killed after five seconds
        p.send_signal(signal.SIGINT)
        stdout, stderr = p.communicate(timeout=30)

    assert (p.returncode, stdout) == (143, "")
    assert stderr.splitlines() == [
        "hardpan: still cleaning up; one more signal ends it at once",
        "terminated",
    ]
    assert has_exited(process_id)


def test_third_signal_stops_immediately(tmp_path: Path) -> None:
    log = tmp_path / "log"

    with start_program([sys.executable, DRIVER, "cleanup", log, "profiles"]) as p:
        process_id = int(wait_for(log).split()[1])
        for _ in range(3):
            p.send_signal(signal.SIGINT)
            time.sleep(0.5)
        _, stderr = p.communicate(timeout=4)

    assert p.returncode == -signal.SIGINT
    assert stderr == "hardpan: still cleaning up; one more signal ends it at once\n"
    assert has_exited(process_id)


def test_signal_during_host_checks_is_not_a_test_failure() -> None:
    script = """
from hardpan.core.errors import TerminationInterrupt
from hardpan.core.events import discard
from hardpan.ssh.command import CommandOutput
from hardpan.scanners.collect.base import CollectTask, ExpectedState
from hardpan.scanners.collect.hostfacts import HostFacts

class Target:
    target = "me@host:22"
    calls = 0

    def run(self, *_, **__):
        self.calls += 1
        if self.calls > 1:
            raise TerminationInterrupt
        return CommandOutput(exit_status=0, data=b"", stderr="", duration_s=0.0)

try:
    HostFacts().collect(Target(), CollectTask(expected=ExpectedState()), timeout_s=9, emit=discard)
except TerminationInterrupt:
    print("terminated")
"""
    process = run([sys.executable, "-c", script], timeout_s=60, cwd=REPO)

    assert process.stdout == "terminated\n"


def create_known_hosts(folder: Path) -> Path:
    (folder / "known_hosts").touch()
    return folder / "known_hosts"


def create_ssh_key(folder: Path) -> Path:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "id"], timeout_s=30)
    return folder / "id"


def unreachable_command(folder: Path, port: int) -> list[str | Path]:
    """Return a command that runs ``ssh -G`` and then cannot connect."""
    config = folder / "config"
    config.write_text(f"Host web\n HostName 127.0.0.1\n Port {port}\n User me\n")
    return ["smoke", "web", "--ssh-config", config, "--known-hosts", create_known_hosts(folder)]


@pytest.mark.parametrize("is_before_command", [True, False])
def test_verbose_prints_each_process_with_exit_status(
    tmp_path: Path, is_before_command: bool
) -> None:
    arguments = unreachable_command(tmp_path, free_port())

    process = run_hardpan(*(["-v", *arguments] if is_before_command else [*arguments, "-v"]))

    assert (process.returncode, process.stdout) == (5, "")
    config = re.escape(str(tmp_path / "config"))
    start_line, exit_line, *_ = process.stderr.splitlines()
    assert re.fullmatch(rf"process \d+: ssh -G -F {config} -- web", start_line)
    assert re.fullmatch(r"process \d+: ssh: exit status 0 after \d+\.\d\d s", exit_line)
    assert start_line.split()[1] == exit_line.split()[1]


def test_log_file_has_every_event_of_two_runs(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    arguments = unreachable_command(tmp_path, free_port())

    for _ in range(2):
        process = run_hardpan(*arguments, "-q", "--log-file", log)
        assert process.returncode == 5

    entries = read_log_records(log)
    assert [r["kind"] for r in entries] == 2 * [
        "run_started",
        *("process_started", "process_ended", "process_started", "process_ended"),
        *("stage_started", "stage_failed", "error", "run_ended"),
    ]
    assert entries[0]["argv"][1:] == [*map(str, arguments), "-q", "--log-file", str(log)]  # type: ignore[index]
    assert entries[2]["argv"] == ["ssh", "-G", "-F", str(tmp_path / "config"), "--", "web"]
    assert entries[4]["argv"] == ["ssh", "-G", "-F", "none", "--", "localhost"]
    assert (entries[2]["exit_status"], entries[8]["exit_status"]) == (0, 5)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert process.stderr.startswith("error: me@127.0.0.1:")


def test_paramiko_log_goes_to_log_file_only(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve_http_error, args=(server,), daemon=True).start()
        port = server.getsockname()[1]
        arguments = [
            "--known-hosts",
            create_known_hosts(tmp_path),
            "--identity",
            create_ssh_key(tmp_path),
            "-q",
        ]
        process = run_hardpan("smoke", f"me@127.0.0.1:{port}", *arguments, "--log-file", log)

    assert process.returncode == 5
    assert len(process.stderr.splitlines()) == 1
    texts = [str(r["text"]) for r in read_log_records(log) if r["kind"] == "diagnostic"]
    assert "Traceback (most recent call last):" in texts


def serve_http_error(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        accepted, _ = server.accept()
        accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n" * 200)
        accepted.close()


def test_revoked_host_key_is_a_trust_error(tmp_path: Path) -> None:
    with local_sshd(tmp_path) as target:
        known_hosts_file = tmp_path / "known_hosts"
        (host_key,) = target.host_keys
        known_hosts_file.write_text(
            f"@cert-authority * {host_key}\n"
            f"[127.0.0.1]:{target.port} {host_key}\n"
            f"@revoked * {host_key}\n"
        )
        arguments = ["--known-hosts", known_hosts_file, "--identity", tmp_path / "user"]
        process = run_hardpan("smoke", str(target), *arguments, "-q")

    assert process.returncode == 6
    assert process.stderr.startswith(f"error: {target}: the host key is revoked: expected ")
