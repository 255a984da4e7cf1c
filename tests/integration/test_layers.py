"""Layers over a real SSH connection, and the remediation program, run for real."""

import importlib.util
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pytest

from hardpan.builder.artifacts import Assessment, BootedGuest
from hardpan.builder.layers import registry as layers
from hardpan.builder.vm.qemu import free_port
from hardpan.core.errors import ToolError, TrustError, UnreachableError
from hardpan.core.events import discard
from hardpan.core.files import Sha256
from hardpan.core.process import find_program, run, spawn
from hardpan.profiles.loader.profile_file import load_profile

pytestmark = pytest.mark.integration

REMEDIATE = layers.PLAYBOOKS / "roles/stig/files/remediate.py"
PRELUDE = REMEDIATE.with_name("prelude.sh")
NO_FIXES = Assessment(content_sha256=Sha256("0" * 64), counts={}, fixes=())


@dataclass(frozen=True)
class PlaybookFixture:
    """A playbook folder that replaces hardpan's, and this machine as the guest."""

    guest: BootedGuest
    folder: Path

    def write_role(self, tasks: str) -> None:
        """Let the role ``ml_cpu`` be these tasks."""
        tasks_dir = self.folder / "roles/ml_cpu/tasks"
        tasks_dir.mkdir(parents=True, exist_ok=True)
        (tasks_dir / "main.yml").write_text(tasks)

    def apply(self, guest: BootedGuest | None = None) -> int:
        """Run the role; how many tasks changed something."""
        profile = load_profile("lab-stig").model_copy(update={"layers": ("ml_cpu",)})
        target = guest or self.guest
        (result,) = layers.apply_layers(profile, target, NO_FIXES, cache=self.folder, emit=discard)
        return result.changed_tasks


@pytest.fixture
def playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlaybookFixture]:
    """An sshd of our own on the loopback, which knows one key."""
    if os.geteuid() != 0:
        pytest.skip("needs root, as sshd does")
    sshd = find_program("sshd")
    assert sshd is not None, "openssh-server is not installed"
    for name in ("host", "user"):
        _generate_key(tmp_path / name)
    allowed = tmp_path / "allowed"
    allowed.write_bytes((tmp_path / "user.pub").read_bytes())
    port = free_port()
    Path("/run/sshd").mkdir(exist_ok=True)
    options = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": allowed,
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "prohibit-password",
    }
    config = tmp_path / "sshd_config"
    config.write_text("".join(f"{k} {v}\n" for k, v in options.items()))
    (tmp_path / "ansible.cfg").write_bytes((layers.PLAYBOOKS / "ansible.cfg").read_bytes())
    (tmp_path / "site.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  roles: ['{{ layer }}']\n"
    )
    monkeypatch.setattr("hardpan.builder.ansible.runner.PLAYBOOKS", tmp_path)
    monkeypatch.setattr("hardpan.builder.ai_models.embedding.prepare_files", lambda cache, emit: {})
    kind, body, *_ = (tmp_path / "host.pub").read_text().split()
    guest = BootedGuest(
        address="127.0.0.1",
        port=port,
        user="root",
        private_key=tmp_path / "user",
        host_keys=(f"{kind} {body}",),
        accelerator="tcg",
        boot_s=0.0,
    )
    with spawn([sshd, "-D", "-e", "-f", config], log=tmp_path / "sshd.log"):
        time.sleep(0.5)
        yield PlaybookFixture(guest=guest, folder=tmp_path)


def test_role_runs_over_ssh_and_closes_connection(
    playbook: PlaybookFixture, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    playbook.write_role(f"- name: Make a mark\n  ansible.builtin.command: touch {mark}\n")

    changed = playbook.apply()

    assert changed == 1
    assert mark.exists()
    pids = run(["pgrep", "-f", f"ssh.*{playbook.guest.port}"], timeout_s=5, ok=(0, 1)).stdout
    assert [p for p in pids.split() if "sshd" not in _process_name(p)] == []


def test_failed_task_error_has_name_and_output(playbook: PlaybookFixture) -> None:
    playbook.write_role("- name: Break\n  ansible.builtin.shell: echo it broke >&2; exit 3\n")

    with pytest.raises(ToolError, match="ml_cpu: task 'Break' failed") as caught:
        playbook.apply()

    assert "it broke" in caught.value.output_tail


def test_changed_host_key_raises_trust_error(playbook: PlaybookFixture, tmp_path: Path) -> None:
    _generate_key(tmp_path / "other")
    playbook.write_role("- name: Never\n  ansible.builtin.command: 'true'\n")
    key = " ".join((tmp_path / "other.pub").read_text().split()[:2])

    with pytest.raises(TrustError, match="presents another SSH host key"):
        playbook.apply(replace(playbook.guest, host_keys=(key,)))


def test_closed_port_raises_unreachable(playbook: PlaybookFixture) -> None:
    playbook.write_role("- name: Never\n  ansible.builtin.command: 'true'\n")

    with pytest.raises(UnreachableError, match="does not answer"):
        playbook.apply(replace(playbook.guest, port=free_port()))


def test_interrupt_stops_ansible_and_children(playbook: PlaybookFixture, tmp_path: Path) -> None:
    mark = tmp_path / "begun"
    playbook.write_role(f"- name: Wait\n  ansible.builtin.shell: touch {mark}; sleep 60\n")
    threading.Thread(target=_interrupt_after, args=(mark,), daemon=True).start()

    with pytest.raises(KeyboardInterrupt):
        playbook.apply()

    assert mark.exists()
    assert _has_exited("-P", str(os.getpid()), "ansible")


@pytest.fixture
def remediate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``remediate.py`` as a module, on a machine that has the package ``bash`` and no other."""
    spec = importlib.util.spec_from_file_location("remediate", REMEDIATE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def packages(workdir: Path) -> set[str]:
        (workdir / "packages").write_text("\nbash\n")
        return {"bash"}

    monkeypatch.setattr(module, "record_packages", packages)
    monkeypatch.setattr(module, "FIX_TIMEOUT_S", 1.0)
    return module


def prepare_workdir(workdir: Path, *scripts: str) -> Path:
    """A folder as the archive leaves it."""
    (workdir / "fixes").mkdir()
    for n, script in enumerate(scripts):
        (workdir / "fixes" / f"{n:03}.sh").write_text(script)
    rules = [f"rule{n}" for n in range(len(scripts))]
    manifest = {"rules": rules, "install": [], "remove": [], "files": {}}
    (workdir / "manifest.json").write_text(json.dumps(manifest))
    (workdir / "prelude.sh").write_bytes(PRELUDE.read_bytes())
    return workdir


def run_remediate(
    remediate: ModuleType, workdir: Path, monkeypatch: pytest.MonkeyPatch, *, slice_s: float = 60
) -> int:
    monkeypatch.setattr(sys, "argv", ["remediate.py", str(workdir), str(slice_s)])
    code = remediate.main()
    assert isinstance(code, int)
    return code


def test_fixes_run_in_order_and_report_exit_status(
    remediate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workdir = prepare_workdir(
        tmp_path,
        "echo one\n",
        "cat; exit 3\n",
        "if rpm --quiet -q bash && ! rpm --quiet -q bash zsh; then echo known; fi\n",
        "systemctl() { echo; }; grub2-mkconfig -o x; service auditd restart\n",
    )
    monkeypatch.setattr(remediate, "DEFERRED_COMMANDS", {"grub2-mkconfig": ["echo", "made once"]})

    assert run_remediate(remediate, workdir, monkeypatch) == 0

    outcomes = json.loads((workdir / "outcomes.json").read_text())
    assert [t["exit_status"] for t in outcomes["rules"]] == [0, 3, 0, 0]
    assert [t["output"].strip() for t in outcomes["rules"]][:3] == ["one", "", "known"]
    assert [t["output"] for t in outcomes["deferred"]] == ["made once\n"]


def test_hanging_fix_is_killed_with_children(
    remediate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workdir = prepare_workdir(tmp_path, "sleep 301.25 & sleep 301.25\n", "(sleep 302.25 &)\n")

    start = time.monotonic()
    run_remediate(remediate, workdir, monkeypatch)

    outcomes = json.loads((workdir / "outcomes.json").read_text())["rules"]
    assert [t["exit_status"] for t in outcomes] == [124, 0]
    assert "stopped after 1.0 s" in outcomes[0]["output"]
    assert time.monotonic() - start < 120
    assert _has_exited("-f", "sleep 30[12].25")


def test_interrupted_remediation_resumes(
    remediate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = tmp_path / "count"
    workdir = prepare_workdir(tmp_path, *[f"echo x >> {count}; sleep 0.3\n"] * 3)

    codes = [run_remediate(remediate, workdir, monkeypatch, slice_s=0.1) for _ in range(3)]

    assert codes == [remediate.EX_TEMPFAIL, remediate.EX_TEMPFAIL, 0]
    assert count.read_text() == "x\n" * 3


def test_long_output_is_truncated_to_its_tail(
    remediate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workdir = prepare_workdir(tmp_path, "head -c 5000000 /dev/zero | tr '\\0' x; echo end\n")

    run_remediate(remediate, workdir, monkeypatch)

    (outcome,) = json.loads((workdir / "outcomes.json").read_text())["rules"]
    assert len(outcome["output"]) == remediate.MAX_OUTPUT_BYTES
    assert outcome["output"].endswith("xend\n")


def _interrupt_after(mark: Path) -> None:
    """Press Ctrl-C once the file is there."""
    while not mark.exists():
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)


def _has_exited(*pgrep_arguments: str) -> bool:
    """True once no such process is left; the kernel may need a moment to bury them."""
    for _ in range(30):
        listing = run(["pgrep", "-a", *pgrep_arguments], timeout_s=5, ok=(0, 1)).stdout
        if not [line for line in listing.splitlines() if "pgrep" not in line]:
            return True
        time.sleep(0.1)
    return False


def _generate_key(path: Path) -> None:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], timeout_s=20)


def _process_name(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except FileNotFoundError:
        return ""
