"""Run a role over SSH on a booted guest. The only importer of ansible_runner.

Without KVM every task costs seconds, so a role has few tasks: it copies one archive, and one
program on the guest does the work and reports its result as JSON.
"""

import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible_runner
import yaml

from hardpan.builder.ansible.paths import PLAYBOOKS
from hardpan.builder.artifacts import BootedGuest
from hardpan.core import clock
from hardpan.core.errors import HardpanError, ToolError, TrustError, UnreachableError
from hardpan.core.events import Emit, StageMessage, StageProgress
from hardpan.core.process import run
from hardpan.core.yaml_source import read_yaml

STAGE = "harden"
_RUN_TIMEOUT_S = 3600
_CLOSE_TIMEOUT_S = 20.0
_POLL_S = 1
_SYNTAX_CHECK_TIMEOUT_S = 120.0
_MAX_OUTPUT_CHARS = 3000
_SSH_PORT = 22

_PROGRESS_LINE = re.compile(r"(\d{1,6}) of (\d{1,6})")
_NOTE_LINE = re.compile(r"^note: ([\x20-\x7e]{1,400})", re.MULTILINE)
"""Lines of a program's output on the guest that are shown as messages."""
_MAX_NOTES = 40
_HOST_KEY_ERRORS = ("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED")
_HIDDEN_VARIABLES = ("ANSIBLE_", "SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS", "PYTHONPATH")
"""Environment variables by which the caller's Ansible or SSH settings would affect a build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRun:
    """One run of one role."""

    layer: str
    workdir: Path
    """Private folder of this run: inventory, known hosts, archives and fetched files."""

    guest: BootedGuest
    variables: Mapping[str, object]


def run_role(role_run: RoleRun, emit: Emit) -> tuple[int, float]:
    """Run the role; return the number of changed tasks and the duration in seconds.

    Raises:
        ToolError: a task failed; the error has its name and output.
        UnreachableError: the guest stopped answering.
        TrustError: the guest presents an unexpected host key.
    """
    start = clock.monotonic_s()
    failures: list[HardpanError] = []
    runner = _run_playbook(
        role_run.workdir,
        "site.yml",
        _write_inventory(role_run),
        {"layer": role_run.layer, **role_run.variables},
        _event_handler(role_run, emit, failures),
    )
    if failures:
        raise failures[0]
    if runner.status != "successful":
        reason = (
            f"did not end within {_RUN_TIMEOUT_S} s" if runner.status == "timeout" else "failed"
        )
        raise ToolError(
            ["ansible-playbook"],
            f"{role_run.layer}: {reason}",
            output_tail=_playbook_output(role_run.workdir),
        )
    changed = (runner.stats or {}).get("changed", {})
    return sum(int(n) for n in changed.values()), clock.monotonic_s() - start


def check_syntax(roles: Sequence[str], workdir: Path) -> None:
    """Check that Ansible can parse the playbook and the roles, without a host.

    Raises:
        ToolError: Ansible is missing or rejects them; the error has its output.
    """
    roles_playbook = workdir / "roles.yml"
    roles_playbook.write_text(yaml.safe_dump([{"hosts": "all", "roles": list(roles)}]), "utf-8")
    argv: list[str | Path] = ["ansible-playbook", "--syntax-check", "-i", "localhost,"]
    run(
        [*argv, PLAYBOOKS / "site.yml", roles_playbook],
        timeout_s=_SYNTAX_CHECK_TIMEOUT_S,
        env=_ansible_environment(workdir),
    )


def argument_errors(
    variables_by_role: Mapping[str, Mapping[str, object]], workdir: Path
) -> tuple[str, ...]:
    """Validate each role's variables against its ``argument_specs``, without contacting a host.

    Raises:
        ToolError: the validation playbook failed.
    """
    errors: list[str] = []
    tasks = [_validation_task(role, values) for role, values in variables_by_role.items()]
    playbook, inventory = workdir / "values.yml", workdir / "inventory.yml"
    play = {"hosts": "localhost", "gather_facts": False, "tasks": tasks}
    playbook.write_text(yaml.safe_dump([play]), "utf-8")
    local_hosts = {"localhost": {"ansible_connection": "local"}}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": local_hosts}}), "utf-8")

    def handle_event(event: Mapping[str, object]) -> bool:
        data = event.get("event_data")
        if event.get("event") == "runner_on_failed" and isinstance(data, dict):
            errors.append(f"{data.get('task', '?')}: {_task_output(data)}")
        return event.get("event") == "playbook_on_stats"

    runner = _run_playbook(workdir, str(playbook), inventory, {}, handle_event)
    if runner.status != "successful":
        raise ToolError(
            ["ansible-playbook"],
            "could not validate role variables",
            output_tail=_playbook_output(workdir),
        )
    return tuple(errors)


def _validation_task(role: str, values: Mapping[str, object]) -> dict[str, object]:
    path = PLAYBOOKS / "roles" / role / "meta" / "argument_specs.yml"
    specification: Any = read_yaml(path.read_bytes(), str(path)).to_plain()
    options = specification["argument_specs"]["main"]["options"]
    arguments = {"argument_spec": options, "provided_arguments": dict(values)}
    name = {"name": role, "ansible.builtin.validate_argument_spec": arguments}
    return {**name, "ignore_errors": True}


def _run_playbook(
    workdir: Path,
    playbook: str,
    inventory: Path,
    variables: Mapping[str, object],
    event_handler: Callable[[Mapping[str, object]], bool],
) -> ansible_runner.Runner:
    """The run of a playbook, to its end; ``take`` gets every event."""
    runner_dir = workdir / "runner"
    runner_dir.mkdir(mode=0o700)
    with _scrubbed_environment(), _collect_signals() as signals, _close_connections(workdir / "cp"):
        runner = ansible_runner.run(
            private_data_dir=str(runner_dir),
            project_dir=str(PLAYBOOKS),
            playbook=playbook,
            inventory=str(inventory),
            extravars=dict(variables),
            envvars=_ansible_environment(workdir),
            settings={
                "job_timeout": _RUN_TIMEOUT_S,
                "pexpect_timeout": _POLL_S,
                "suppress_ansible_output": True,
            },
            quiet=True,
            event_handler=event_handler,
            cancel_callback=lambda: bool(signals),
        )
    for signal_number in signals:
        signal.raise_signal(signal_number)
    if runner.status == "canceled":
        raise KeyboardInterrupt
    return runner


def _event_handler(
    role_run: RoleRun, emit: Emit, failures: list[HardpanError]
) -> Callable[[Mapping[str, object]], bool]:
    def handle_event(event: Mapping[str, object]) -> bool:
        data = event.get("event_data")
        task_data: Mapping[str, object] = data if isinstance(data, dict) else {}
        task = str(task_data.get("task", "?"))
        kind = event.get("event")
        if kind == "playbook_on_task_start" and task_data.get("role"):
            emit(StageMessage(stage=STAGE, text=f"{role_run.layer}: {task}"))
        elif kind == "runner_retry" and (
            progress := _PROGRESS_LINE.search(_task_output(task_data))
        ):
            done, total = map(int, progress.groups())
            emit(
                StageProgress(
                    stage=STAGE, completed=done, total=total, text=f"{role_run.layer}: {task}"
                )
            )
        elif kind == "runner_on_ok":
            for note in _NOTE_LINE.findall(_task_output(task_data))[:_MAX_NOTES]:
                emit(StageMessage(stage=STAGE, text=f"{role_run.layer}: {note}"))
        elif kind == "runner_on_failed" and not task_data.get("ignore_errors"):
            reason = f"{role_run.layer}: task {task!r} failed"
            failures.append(ToolError(["ansible"], reason, output_tail=_task_output(task_data)))
        elif kind == "runner_on_unreachable":
            failures.append(_unreachable_error(role_run, task, _task_output(task_data)))
        # ansible-runner stores an event if this returns true; its result needs only this one.
        return kind == "playbook_on_stats"

    return handle_event


def _unreachable_error(role_run: RoleRun, task: str, output: str) -> HardpanError:
    address = f"{role_run.guest.address}:{role_run.guest.port}"
    if any(pattern in output for pattern in _HOST_KEY_ERRORS):
        return TrustError(
            f"{address} presents another SSH host key than the guest printed on its console"
        )
    return UnreachableError(
        f"{address} does not answer in {role_run.layer}: {task!r}: {output.strip()[-300:]}"
    )


def _task_output(task_data: Mapping[str, object]) -> str:
    result = task_data.get("res")
    if not isinstance(result, dict):
        return ""
    outputs = [
        str(result[k])
        for k in ("msg", "module_stderr", "module_stdout", "stderr", "stdout")
        if result.get(k)
    ]
    return "\n".join(outputs)[-_MAX_OUTPUT_CHARS:]


def _playbook_output(workdir: Path) -> str:
    """Return the tail of ansible-playbook's output, for errors outside of tasks."""
    output = "".join(
        p.read_text("utf-8", "replace") for p in workdir.glob("runner/artifacts/*/std*")
    )
    return output[-_MAX_OUTPUT_CHARS:]


def _write_inventory(role_run: RoleRun) -> Path:
    guest = role_run.guest
    known_hosts = role_run.workdir / "known_hosts"
    # ssh looks up [host]:port only for ports other than 22.
    host_pattern = guest.address if guest.port == _SSH_PORT else f"[{guest.address}]:{guest.port}"
    known_hosts.write_text("".join(f"{host_pattern} {key}\n" for key in guest.host_keys), "utf-8")
    options = [
        "-F /dev/null",
        f"-o UserKnownHostsFile={known_hosts}",
        "-o GlobalKnownHostsFile=/dev/null",
        "-o StrictHostKeyChecking=yes",
        "-o IdentitiesOnly=yes",
        "-o IdentityAgent=none",
        "-o PasswordAuthentication=no",
        "-o ServerAliveInterval=20 -o ServerAliveCountMax=30",
    ]
    host = {
        "ansible_host": guest.address,
        "ansible_port": guest.port,
        "ansible_user": guest.user,
        "ansible_ssh_private_key_file": str(guest.private_key.absolute()),
        "ansible_ssh_common_args": " ".join(options),
        "ansible_python_interpreter": "/usr/bin/python3",
        # Ansible gives its modules to Python on stdin; then root's Python imports from the folder
        # that it is started in first: the home of the user who logs in. Ansible takes no -I for
        # the interpreter, so it is started in /.
        "ansible_become_exe": "cd / && sudo",
        # NOTE: ansible-runner disables it, and ssh uses the first of two settings.
        "ansible_host_key_checking": True,
    }
    path = role_run.workdir / "inventory.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": {"guest": host}}}), "utf-8")
    return path


def _ansible_environment(workdir: Path) -> dict[str, str]:
    bin_folder = str(Path(sys.executable).parent)
    return {
        "PATH": f"{bin_folder}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"),
        "ANSIBLE_HOME": str(workdir / "home"),
        "ANSIBLE_COLLECTIONS_PATH": str(workdir / "collections"),
        "ANSIBLE_ROLES_PATH": str(PLAYBOOKS / "roles"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(workdir / "cp"),
    }


@contextlib.contextmanager
def _scrubbed_environment() -> Iterator[None]:
    """Hide the caller's Ansible and SSH settings, which ansible-runner would pass on."""
    hidden = {k: v for k, v in os.environ.items() if k.startswith(_HIDDEN_VARIABLES)}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextlib.contextmanager
def _collect_signals() -> Iterator[list[int]]:
    """Note SIGINT and SIGTERM during the block; the list has those that came.

    An exception inside ansible-runner would leave Ansible running. The runner asks for the list
    and ends Ansible; the signal goes to its own handler afterwards.
    """
    signals: list[int] = []
    previous_handlers: dict[int, Any] = {}
    try:
        with contextlib.suppress(ValueError):  # not the main thread, which alone gets signals
            for signal_number in (signal.SIGINT, signal.SIGTERM):
                previous_handlers[signal_number] = signal.signal(
                    signal_number, lambda received, _frame: signals.append(received)
                )
        yield signals
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _close_connections(sockets: Path) -> Iterator[None]:
    """Close the SSH control connection, which outlives Ansible."""
    try:
        yield
    finally:
        for socket in sorted(sockets.glob("*")) if sockets.is_dir() else ():
            argv = ["ssh", "-F", "/dev/null", "-O", "exit", "-o", f"ControlPath={socket}", "guest"]
            run(argv, timeout_s=_CLOSE_TIMEOUT_S, ok=(0, 255))
