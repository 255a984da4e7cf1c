"""One role run over SSH on a booted guest. Only importer of ansible_runner.

A guest without KVM needs seconds for every task, so a layer is few tasks: one
archive goes over, one program on the guest does the work and tells, as JSON, what
came of it.
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

from hardpan import clock
from hardpan.builder.receipts import Guest
from hardpan.errors import HardpanError, ToolError, TrustError, UnreachableError
from hardpan.events import Emit, Note, Progress
from hardpan.process import run
from hardpan.resources import resource_path

PLAYBOOKS = resource_path("hardpan.builder", "ansible")
STAGE = "harden"
_TIMEOUT_S = 3600
_CLOSE_S = 20.0
_LOOK_S = 1
_LOOK_MOST_S = 120.0
_SAID_MOST = 3000
_SSH_PORT = 22

_DONE_OF = re.compile(r"(\d{1,6}) of (\d{1,6})")
_NOTE_OF = re.compile(r"^note: ([\x20-\x7e]{1,400})", re.MULTILINE)
"""What a program on the guest has to tell to people: a line of what it printed."""
_NOTES_MOST = 40
_NOT_ITS_KEY = ("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED")
_NOT_OURS = ("ANSIBLE_", "SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS", "PYTHONPATH")
"""Environment that would let the caller's own set-up of Ansible or SSH into a build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of one role."""

    layer: str
    folder: Path
    """Private folder of this run: inventory, known hosts, what goes over and comes back."""

    guest: Guest
    variables: Mapping[str, object]


def run_role(job: Job, emit: Emit) -> tuple[int, float]:
    """How many tasks changed something, and the seconds it took.

    Raises:
        ToolError: a task failed; its name and what it said are in the error.
        UnreachableError: the guest stopped answering.
        TrustError: it has another host key than the guest's.
    """
    began = clock.monotonic()
    failures: list[HardpanError] = []
    done = _played(
        job.folder,
        "site.yml",
        _inventory(job),
        {"layer": job.layer, **job.variables},
        _listener(job, emit, failures),
    )
    if failures:
        raise failures[0]
    if done.status != "successful":
        why = f"did not end within {_TIMEOUT_S} s" if done.status == "timeout" else "failed"
        raise ToolError(["ansible-playbook"], f"{job.layer}: {why}", tail=_printed(job.folder))
    changed = (done.stats or {}).get("changed", {})
    return sum(int(n) for n in changed.values()), clock.monotonic() - began


def check_syntax(roles: Sequence[str], folder: Path) -> None:
    """Pass if Ansible can read the playbook and the roles; no host is asked.

    Raises:
        ToolError: it cannot, or it is not installed; says what it says.
    """
    every = folder / "roles.yml"
    every.write_text(yaml.safe_dump([{"hosts": "all", "roles": list(roles)}]), "utf-8")
    argv: list[str | Path] = ["ansible-playbook", "--syntax-check", "-i", "localhost,"]
    run([*argv, PLAYBOOKS / "site.yml", every], timeout_s=_LOOK_MOST_S, env=_environment(folder))


def refused_values(given: Mapping[str, Mapping[str, object]], folder: Path) -> tuple[str, ...]:
    """What the roles' ``argument_specs`` have against what each would be given; no host is asked.

    Raises:
        ToolError: Ansible could not tell.
    """
    said: list[str] = []
    tasks = [_held(role, values) for role, values in given.items()]
    playbook, inventory = folder / "values.yml", folder / "inventory.yml"
    play = {"hosts": "localhost", "gather_facts": False, "tasks": tasks}
    playbook.write_text(yaml.safe_dump([play]), "utf-8")
    here = {"localhost": {"ansible_connection": "local"}}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": here}}), "utf-8")

    def take(event: Mapping[str, object]) -> bool:
        data = event.get("event_data")
        if event.get("event") == "runner_on_failed" and isinstance(data, dict):
            said.append(f"{data.get('task', '?')}: {_said(data)}")
        return event.get("event") == "playbook_on_stats"

    done = _played(folder, str(playbook), inventory, {}, take)
    if done.status != "successful":
        raise ToolError(["ansible-playbook"], "could not hold values", tail=_printed(folder))
    return tuple(said)


def _held(role: str, values: Mapping[str, object]) -> dict[str, object]:
    specs = (PLAYBOOKS / "roles" / role / "meta" / "argument_specs.yml").read_text("utf-8")
    asked = yaml.safe_load(specs)["argument_specs"]["main"]["options"]
    told = {"argument_spec": asked, "provided_arguments": dict(values)}
    name = {"name": role, "ansible.builtin.validate_argument_spec": told}
    return {**name, "ignore_errors": True}


def _played(
    folder: Path,
    playbook: str,
    inventory: Path,
    variables: Mapping[str, object],
    take: Callable[[Mapping[str, object]], bool],
) -> ansible_runner.Runner:
    """The run of a playbook, to its end; ``take`` gets every event."""
    room = folder / "runner"
    room.mkdir(mode=0o700)
    with _own_environment(), _noted_signals() as signals, _connection_closed(folder / "cp"):
        done = ansible_runner.run(
            private_data_dir=str(room),
            project_dir=str(PLAYBOOKS),
            playbook=playbook,
            inventory=str(inventory),
            extravars=dict(variables),
            envvars=_environment(folder),
            settings={
                "job_timeout": _TIMEOUT_S,
                "pexpect_timeout": _LOOK_S,
                "suppress_ansible_output": True,
            },
            quiet=True,
            event_handler=take,
            cancel_callback=lambda: bool(signals),
        )
    for number in signals:
        signal.raise_signal(number)
    if done.status == "canceled":
        raise KeyboardInterrupt
    return done


def _listener(
    job: Job, emit: Emit, failures: list[HardpanError]
) -> Callable[[Mapping[str, object]], bool]:
    def take(event: Mapping[str, object]) -> bool:
        data = event.get("event_data")
        facts: Mapping[str, object] = data if isinstance(data, dict) else {}
        task = str(facts.get("task", "?"))
        kind = event.get("event")
        if kind == "playbook_on_task_start" and facts.get("role"):
            emit(Note(stage=STAGE, text=f"{job.layer}: {task}"))
        elif kind == "runner_retry" and (far := _DONE_OF.search(_said(facts))):
            done, total = map(int, far.groups())
            emit(Progress(stage=STAGE, done=done, total=total, text=f"{job.layer}: {task}"))
        elif kind == "runner_on_ok":
            for told in _NOTE_OF.findall(_said(facts))[:_NOTES_MOST]:
                emit(Note(stage=STAGE, text=f"{job.layer}: {told}"))
        elif kind == "runner_on_failed" and not facts.get("ignore_errors"):
            why = f"{job.layer}: task {task!r} failed"
            failures.append(ToolError(["ansible"], why, tail=_said(facts)))
        elif kind == "runner_on_unreachable":
            failures.append(_unreachable(job, task, _said(facts)))
        # Kept by the runner when true; of all events its answer needs this one.
        return kind == "playbook_on_stats"

    return take


def _unreachable(job: Job, task: str, said: str) -> HardpanError:
    where = f"{job.guest.address}:{job.guest.port}"
    if any(words in said for words in _NOT_ITS_KEY):
        return TrustError(f"{where} has another SSH host key than the guest told on its console")
    return UnreachableError(
        f"{where} does not answer in {job.layer}: {task!r}: {said.strip()[-300:]}"
    )


def _said(facts: Mapping[str, object]) -> str:
    answer = facts.get("res")
    if not isinstance(answer, dict):
        return ""
    said = [
        str(answer[k])
        for k in ("msg", "module_stderr", "module_stdout", "stderr", "stdout")
        if answer.get(k)
    ]
    return "\n".join(said)[-_SAID_MOST:]


def _printed(folder: Path) -> str:
    """The end of what ansible-playbook printed, for an error that no task accounts for."""
    said = "".join(p.read_text("utf-8", "replace") for p in folder.glob("runner/artifacts/*/std*"))
    return said[-_SAID_MOST:]


def _inventory(job: Job) -> Path:
    guest = job.guest
    known = job.folder / "known_hosts"
    # ssh looks for the port's name only where it is not its own.
    named = guest.address if guest.port == _SSH_PORT else f"[{guest.address}]:{guest.port}"
    known.write_text("".join(f"{named} {key}\n" for key in guest.host_keys), "utf-8")
    options = [
        "-F /dev/null",
        f"-o UserKnownHostsFile={known}",
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
        # NOTE: ansible-runner switches it off, and ssh takes the first of two settings.
        "ansible_host_key_checking": True,
    }
    path = job.folder / "inventory.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": {"guest": host}}}), "utf-8")
    return path


def _environment(folder: Path) -> dict[str, str]:
    bin_folder = str(Path(sys.executable).parent)
    return {
        "PATH": f"{bin_folder}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
        "ANSIBLE_ROLES_PATH": str(PLAYBOOKS / "roles"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
    }


@contextlib.contextmanager
def _own_environment() -> Iterator[None]:
    """Hide the caller's Ansible and SSH settings: ansible-runner hands on all that it sees."""
    hidden = {k: v for k, v in os.environ.items() if k.startswith(_NOT_OURS)}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextlib.contextmanager
def _noted_signals() -> Iterator[list[int]]:
    """Note SIGINT and SIGTERM during the block; the list has those that came.

    An exception inside ansible-runner would leave Ansible running. The runner asks for the list
    and ends Ansible; the signal goes to its own handler afterwards.
    """
    signals: list[int] = []
    before: dict[int, Any] = {}
    try:
        with contextlib.suppress(ValueError):  # not the main thread, which alone gets signals
            for taken in (signal.SIGINT, signal.SIGTERM):
                before[taken] = signal.signal(taken, lambda came, _frame: signals.append(came))
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _connection_closed(sockets: Path) -> Iterator[None]:
    """End the SSH connection that is kept open between tasks, which outlives ansible."""
    try:
        yield
    finally:
        for socket in sorted(sockets.glob("*")) if sockets.is_dir() else ():
            argv = ["ssh", "-F", "/dev/null", "-O", "exit", "-o", f"ControlPath={socket}", "guest"]
            run(argv, timeout_s=_CLOSE_S, ok=(0, 255))
