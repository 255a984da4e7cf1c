"""Layers over a real SSH connection, and the program that mends, run for real."""

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

from hardpan.builder.layers import registry as layers
from hardpan.builder.machine.qemu import free_port
from hardpan.builder.receipts import Assessment, Guest
from hardpan.errors import ToolError, TrustError, UnreachableError
from hardpan.events import silent
from hardpan.files import Sha256
from hardpan.process import run, spawn, which
from hardpan.profiles.load import load

pytestmark = pytest.mark.integration

MEND = layers.PLAYBOOKS / "roles/stig/files/mend.py"
PRELUDE = MEND.with_name("prelude.sh")
NOTHING = Assessment(content_sha256=Sha256("0" * 64), counts={}, remedies=())


@dataclass(frozen=True)
class Bed:
    """A playbook folder in the place of ours, and a guest that is this machine."""

    guest: Guest
    folder: Path

    def role(self, tasks: str) -> None:
        """Let the role ``ml_cpu`` be these tasks."""
        place = self.folder / "roles/ml_cpu/tasks"
        place.mkdir(parents=True, exist_ok=True)
        (place / "main.yml").write_text(tasks)

    def apply(self, guest: Guest | None = None) -> int:
        """Run the role; how many tasks changed something."""
        profile = load("lab-stig").model_copy(update={"layers": ("ml_cpu",)})
        where = guest or self.guest
        (made,) = layers.apply(profile, where, NOTHING, cache=self.folder, emit=silent)
        return made.changed


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    """An sshd of our own on the loopback, which knows one key."""
    if os.geteuid() != 0:
        pytest.skip("needs root, as sshd does")
    sshd = which("sshd")
    assert sshd is not None, "openssh-server is not installed"
    for name in ("host", "user"):
        _new_key(tmp_path / name)
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
    monkeypatch.setattr("hardpan.builder.layers.ansible.PLAYBOOKS", tmp_path)
    monkeypatch.setattr("hardpan.builder.layers.model.files", lambda cache, emit: {})
    kind, body, *_ = (tmp_path / "host.pub").read_text().split()
    guest = Guest(
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
        yield Bed(guest=guest, folder=tmp_path)


def test_a_role_runs_over_ssh_and_leaves_no_connection_open(bed: Bed, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    bed.role(f"- name: Make a mark\n  ansible.builtin.command: touch {mark}\n")

    changed = bed.apply()

    assert changed == 1
    assert mark.exists()
    left = run(["pgrep", "-f", f"ssh.*{bed.guest.port}"], timeout_s=5, ok=(0, 1)).stdout
    assert [p for p in left.split() if "sshd" not in _name(p)] == []


def test_a_failed_task_is_an_error_with_its_name_and_what_it_said(bed: Bed) -> None:
    bed.role("- name: Break\n  ansible.builtin.shell: echo it broke >&2; exit 3\n")

    with pytest.raises(ToolError, match="ml_cpu: task 'Break' failed") as caught:
        bed.apply()

    assert "it broke" in caught.value.tail


def test_a_changed_host_key_is_an_error_of_trust(bed: Bed, tmp_path: Path) -> None:
    _new_key(tmp_path / "other")
    bed.role("- name: Never\n  ansible.builtin.command: 'true'\n")
    key = " ".join((tmp_path / "other.pub").read_text().split()[:2])

    with pytest.raises(TrustError, match="has another SSH host key"):
        bed.apply(replace(bed.guest, host_keys=(key,)))


def test_a_port_where_nobody_answers_is_an_unreachable_guest(bed: Bed) -> None:
    bed.role("- name: Never\n  ansible.builtin.command: 'true'\n")

    with pytest.raises(UnreachableError, match="does not answer"):
        bed.apply(replace(bed.guest, port=free_port()))


def test_ctrl_c_ends_ansible_and_what_it_started(bed: Bed, tmp_path: Path) -> None:
    mark = tmp_path / "begun"
    bed.role(f"- name: Wait\n  ansible.builtin.shell: touch {mark}; sleep 60\n")
    threading.Thread(target=_interrupt_after, args=(mark,), daemon=True).start()

    with pytest.raises(KeyboardInterrupt):
        bed.apply()

    assert mark.exists()
    assert _gone("-P", str(os.getpid()), "ansible")


@pytest.fixture
def mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``mend.py`` as a module, on a machine that has the package ``bash`` and no other."""
    spec = importlib.util.spec_from_file_location("mend", MEND)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def packages(room: Path) -> set[str]:
        (room / "packages").write_text("\nbash\n")
        return {"bash"}

    monkeypatch.setattr(module, "remember_packages", packages)
    monkeypatch.setattr(module, "FIX_S", 1.0)
    return module


def prepared(room: Path, *scripts: str) -> Path:
    """A folder as the archive leaves it."""
    (room / "fixes").mkdir()
    for n, script in enumerate(scripts):
        (room / "fixes" / f"{n:03}.sh").write_text(script)
    rules = [f"rule{n}" for n in range(len(scripts))]
    manifest = {"rules": rules, "install": [], "remove": [], "files": {}}
    (room / "manifest.json").write_text(json.dumps(manifest))
    (room / "prelude.sh").write_bytes(PRELUDE.read_bytes())
    return room


def worked(
    mend: ModuleType, room: Path, monkeypatch: pytest.MonkeyPatch, *, for_s: float = 60
) -> int:
    monkeypatch.setattr(sys, "argv", ["mend.py", str(room), str(for_s)])
    code = mend.main()
    assert isinstance(code, int)
    return code


def test_fixes_run_in_order_and_tell_how_they_ended(
    mend: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = prepared(
        tmp_path,
        "echo one\n",
        "cat; exit 3\n",
        "if rpm --quiet -q bash && ! rpm --quiet -q bash zsh; then echo known; fi\n",
        "systemctl() { echo; }; grub2-mkconfig -o x; service auditd restart\n",
    )
    monkeypatch.setattr(mend, "LATE", {"grub2-mkconfig": ["echo", "made once"]})

    assert worked(mend, room, monkeypatch) == 0

    told = json.loads((room / "outcomes.json").read_text())
    assert [t["rc"] for t in told["rules"]] == [0, 3, 0, 0]
    assert [t["said"].strip() for t in told["rules"]][:3] == ["one", "", "known"]
    assert [t["said"] for t in told["late"]] == ["made once\n"]


def test_a_fix_that_hangs_is_stopped_with_all_that_it_started(
    mend: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = prepared(tmp_path, "sleep 301.25 & sleep 301.25\n", "(sleep 302.25 &)\n")

    began = time.monotonic()
    worked(mend, room, monkeypatch)

    told = json.loads((room / "outcomes.json").read_text())["rules"]
    assert [t["rc"] for t in told] == [124, 0]
    assert "stopped after 1.0 s" in told[0]["said"]
    assert time.monotonic() - began < 120
    assert _gone("-f", "sleep 30[12].25")


def test_work_that_was_cut_short_is_taken_up_where_it_ended(
    mend: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = tmp_path / "count"
    room = prepared(tmp_path, *[f"echo x >> {count}; sleep 0.3\n"] * 3)

    codes = [worked(mend, room, monkeypatch, for_s=0.1) for _ in range(3)]

    assert codes == [mend.MORE, mend.MORE, 0]
    assert count.read_text() == "x\n" * 3


def test_a_long_talk_is_cut_to_its_end(
    mend: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = prepared(tmp_path, "head -c 5000000 /dev/zero | tr '\\0' x; echo end\n")

    worked(mend, room, monkeypatch)

    (told,) = json.loads((room / "outcomes.json").read_text())["rules"]
    assert len(told["said"]) == mend.SAID_MOST
    assert told["said"].endswith("xend\n")


def _interrupt_after(mark: Path) -> None:
    """Press Ctrl-C once the file is there."""
    while not mark.exists():
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)


def _gone(*which_ones: str) -> bool:
    """True once no such process is left; the kernel may need a moment to bury them."""
    for _ in range(30):
        found = run(["pgrep", "-a", *which_ones], timeout_s=5, ok=(0, 1)).stdout
        if not [line for line in found.splitlines() if "pgrep" not in line]:
            return True
        time.sleep(0.1)
    return False


def _new_key(path: Path) -> None:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], timeout_s=20)


def _name(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except FileNotFoundError:
        return ""
