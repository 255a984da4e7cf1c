"""The layers: Ansible roles run over SSH on a booted guest. Only importer of ansible_runner.

A guest without KVM needs seconds for every task, so a layer is few tasks: one
archive goes over, one program on the guest does the work and tells, as JSON, what
came of it.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import ansible_runner
import yaml

from builder import fixes, model
from builder.receipts import Assessment, Guest, LayerReceipt
from hardpan import clock
from hardpan.errors import InputError, ToolError, UnreachableError
from hardpan.events import Emit, Note
from profiles.model import Profile

PLAYBOOKS = Path(__file__).parent / "ansible"
_TIMEOUT_S = 3600
_STAGE = "harden"
BUILT = ("ml_cpu", "stig")
"""The layers whose roles exist; the others of ``profiles.model.Layer`` come later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One run of one role."""

    layer: str
    folder: Path
    """Private folder of this run: inventory, known hosts, what goes over and comes back."""

    guest: Guest
    variables: Mapping[str, object]


def check(profile: Profile) -> None:
    """Pass if every layer of the profile can be built.

    Raises:
        InputError: one cannot, not yet.
    """
    missing = [name for name in profile.layers if name not in BUILT]
    if missing:
        raise InputError(
            f"{profile.name}: the layers {', '.join(missing)} are not built yet",
            hint="'hardpan render' shows what they will do; '--as iso' builds without layers",
        )


def apply(
    profile: Profile,
    guest: Guest,
    assessment: Assessment,
    *,
    cache: Path,
    emit: Emit,
) -> tuple[LayerReceipt, ...]:
    """Put the profile's layers on ``guest``, in the profile's order.

    Raises:
        ToolError: a task failed; its name and what it said are in the error.
        UnreachableError: the guest stopped answering.
        InputError: a layer is not built yet.
    """
    check(profile)
    made = []
    for layer in profile.layers:
        emit(Note(stage=_STAGE, text=f"layer {layer}"))
        with tempfile.TemporaryDirectory(prefix="hardpan-layer-") as name:
            folder = Path(name)
            if layer == "stig":
                made.append(_stig(profile, guest, assessment, folder, emit))
            else:
                made.append(_ml_cpu(guest, cache, folder, emit))
    return tuple(made)


def _stig(
    profile: Profile, guest: Guest, assessment: Assessment, folder: Path, emit: Emit
) -> LayerReceipt:
    excepted = {e.rule_id: e.reason for e in profile.stig.exceptions if e.expires >= _today()}
    batch = fixes.batch(assessment.remedies, excepted, profile.build_user)
    archive = folder / "fixes.tar"
    archive.write_bytes(batch.archive)
    back = folder / "outcomes.json"
    job = _Job(
        layer="stig",
        folder=folder,
        guest=guest,
        variables={
            "stig_archive": str(archive),
            "stig_outcomes": str(back),
            "stig_user": profile.build_user,
        },
    )
    changed, took_s = _run(job, emit)
    told = fixes.read_outcomes(back.read_bytes(), batch)
    return LayerReceipt(layer="stig", changed=changed, took_s=took_s, outcomes=told)


def _ml_cpu(guest: Guest, cache: Path, folder: Path, emit: Emit) -> LayerReceipt:
    archive = folder / "model.tar"
    model.pack(cache, archive, emit)
    variables = {"ml_cpu_archive": str(archive)}
    job = _Job(layer="ml_cpu", folder=folder, guest=guest, variables=variables)
    changed, took_s = _run(job, emit)
    return LayerReceipt(layer="ml_cpu", changed=changed, took_s=took_s)


def _run(job: _Job, emit: Emit) -> tuple[int, float]:
    """How many tasks changed something, and the seconds it took."""
    began = clock.monotonic()
    failures: list[ToolError | UnreachableError] = []
    room = job.folder / "runner"
    room.mkdir(mode=0o700)
    done = ansible_runner.run(
        private_data_dir=str(room),
        project_dir=str(PLAYBOOKS),
        playbook="site.yml",
        inventory=str(_inventory(job)),
        extravars={"layer": job.layer, **job.variables},
        envvars=_environment(job.folder),
        settings={"job_timeout": _TIMEOUT_S, "suppress_ansible_output": True},
        quiet=True,
        event_handler=_listener(job, emit, failures),
    )
    if failures:
        raise failures[0]
    if done.status != "successful":
        said = Path(room / "artifacts").glob("*/stdout")
        tail = "\n".join(p.read_text("utf-8", "replace")[-2000:] for p in said)
        raise ToolError(["ansible-playbook"], f"{job.layer}: ended as {done.status}", tail=tail)
    changed = (done.stats or {}).get("changed", {})
    return sum(int(n) for n in changed.values()), clock.monotonic() - began


def _listener(
    job: _Job, emit: Emit, failures: list[ToolError | UnreachableError]
) -> Callable[[Mapping[str, object]], bool]:
    def take(event: Mapping[str, object]) -> bool:
        data = event.get("event_data")
        facts: Mapping[str, object] = data if isinstance(data, dict) else {}
        task = str(facts.get("task", "?"))
        kind = event.get("event")
        if kind == "playbook_on_task_start":
            emit(Note(stage=_STAGE, text=f"{job.layer}: {task}"))
        elif kind == "runner_on_failed" and not facts.get("ignore_errors"):
            failures.append(
                ToolError(["ansible"], f"{job.layer}: task {task!r} failed", tail=_said(facts))
            )
        elif kind == "runner_on_unreachable":
            failures.append(
                UnreachableError(f"the guest stopped answering in {job.layer}: {task!r}")
            )
        return False

    return take


def _said(facts: Mapping[str, object]) -> str:
    answer = facts.get("res")
    if not isinstance(answer, dict):
        return ""
    said = [str(answer[k]) for k in ("msg", "stderr", "stdout") if answer.get(k)]
    return "\n".join(said)[-3000:]


def _inventory(job: _Job) -> Path:
    guest = job.guest
    known = job.folder / "known_hosts"
    known.write_text(
        "".join(f"[{guest.address}]:{guest.port} {key}\n" for key in guest.host_keys), "utf-8"
    )
    options = [
        f"-o UserKnownHostsFile={known}",
        "-o GlobalKnownHostsFile=/dev/null",
        "-o StrictHostKeyChecking=yes",
        "-o IdentitiesOnly=yes",
        "-o IdentityAgent=none",
        "-o ControlMaster=auto -o ControlPersist=300s",
        "-o ServerAliveInterval=20 -o ServerAliveCountMax=30",
        "-F /dev/null",
    ]
    path = job.folder / "inventory.yml"
    host = {
        "ansible_host": guest.address,
        "ansible_port": guest.port,
        "ansible_user": guest.user,
        "ansible_ssh_private_key_file": str(guest.private_key.absolute()),
        "ansible_ssh_common_args": " ".join(options),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    path.write_text(yaml.safe_dump({"all": {"hosts": {"guest": host}}}), "utf-8")
    return path


def _environment(folder: Path) -> dict[str, str]:
    bin_folder = str(Path(sys.executable).parent)
    return {
        "PATH": f"{bin_folder}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_ROLES_PATH": str(PLAYBOOKS / "roles"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
    }


def _today() -> date:
    return clock.now().date()
