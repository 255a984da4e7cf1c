"""The scripts that bring the layers to a machine and apply them, run by the real shell.

Ansible and systemctl are stand-ins that log their arguments; everything else is this machine's.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from hardpan.core.files import sha256_file
from hardpan.core.process import CompletedProcess, run
from hardpan.core.resources import resource_path
from hardpan.kickstart import render_kickstart
from hardpan.kickstart.syntax import parse_kickstart
from hardpan.profiles.loader.profile_file import load_profile

pytestmark = pytest.mark.integration

APPLY = resource_path("hardpan.builder.offline", "system", "apply.sh")
KEY = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAABAgMEBQYHCAkKCwwN"
    "Dg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8= x"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Folders in the place of a machine's."""

    root: Path

    @property
    def folder(self) -> Path:
        """Copy of the layers' files."""
        return self.root / "layers-copy"

    @property
    def unit(self) -> Path:
        return self.root / "hardpan-layers.service"

    def apply(self) -> CompletedProcess:
        """Run the script as the service does."""
        argv: list[str | Path] = ["sh", self.folder / "apply.sh", self.folder, self.unit]
        return run(
            [*argv, self.root / "record"],
            timeout_s=30,
            ok=range(128),
            env={"PATH": f"{self.root}/bin:{os.environ['PATH']}"},
        )

    def log(self) -> list[str]:
        """Return what was started, in its order."""
        path = self.root / "log"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(root=tmp_path)
    (tmp_path / "bin").mkdir()
    ansible = f"""#!/bin/sh
for layer in 00-ml_cpu 01-stig; do
    case "$*" in *"$layer"*)
        echo "ansible $layer $*" >> {tmp_path}/log
        [ ! -e {tmp_path}/fail-$layer ] || exit 2 ;;
    esac
done
"""
    for name, text in (
        ("ansible-playbook", ansible),
        ("systemctl", f'#!/bin/sh\necho "systemctl $*" >> {tmp_path}/log\n'),
    ):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    for layer in ("00-ml_cpu", "01-stig"):
        (machine.folder / "layers" / layer).mkdir(parents=True)
    (machine.folder / "layers/01-stig/outcomes.json").write_text("{}")
    (machine.folder / "apply.sh").write_text(APPLY.read_text("utf-8"))
    (machine.folder / "aide.sh").write_text(
        f'[ ! -e {machine.unit} ] && echo "aide" >> {tmp_path}/log\n'
    )
    machine.unit.write_text("[Unit]\n")
    return machine


def test_layers_are_applied_in_order_and_everything_is_removed(machine: Machine) -> None:
    result = machine.apply()

    assert result.returncode == 0, result.stderr
    log = machine.log()
    assert [line.split()[:2] for line in log[:2]] == [
        ["ansible", "00-ml_cpu"],
        ["ansible", "01-stig"],
    ]
    assert (
        f"--extra-vars @{machine.folder}/layers/01-stig/variables.json ansible/site.yml" in log[1]
    )
    assert "--connection local" in log[1]
    assert log[2:] == [
        "systemctl disable hardpan-layers.service",
        "aide",
        "systemctl --no-block reboot",
    ]
    assert not machine.folder.exists()
    assert not machine.unit.exists()
    assert (machine.root / "record/01-stig.json").read_text() == "{}"
    assert result.stdout.splitlines() == ["layer 00-ml_cpu", "layer 01-stig", "complete"]


def test_failed_layer_is_repeated_at_the_next_boot_and_others_are_not(machine: Machine) -> None:
    failure = machine.root / "fail-01-stig"
    failure.touch()

    first = machine.apply()

    assert first.returncode == 2
    assert "failed: 01-stig: see 'journalctl -u hardpan-layers'" in first.stdout
    assert machine.unit.exists()
    assert [line for line in machine.log() if line.startswith("systemctl")] == []

    failure.unlink()
    second = machine.apply()

    assert second.returncode == 0
    layers = [line.split()[1] for line in machine.log() if line.startswith("ansible")]
    assert layers == ["00-ml_cpu", "01-stig", "01-stig"]
    assert not machine.folder.exists()


def test_failed_aide_database_is_repeated_at_the_next_boot(machine: Machine) -> None:
    (machine.folder / "hardpan-layers.service").write_text("[Unit]\n")
    (machine.folder / "aide.sh").write_text("exit 17\n")

    result = machine.apply()

    assert result.returncode == 1
    assert "failed: AIDE's database" in result.stdout
    assert machine.unit.exists()
    assert machine.log()[-1] == "systemctl enable hardpan-layers.service"


def test_machine_without_ansible_reports_the_layer(machine: Machine) -> None:
    (machine.root / "bin/ansible-playbook").write_text("#!/bin/sh\nexit 127\n")

    result = machine.apply()

    assert result.returncode == 127
    assert "failed: 00-ml_cpu" in result.stdout
    assert machine.folder.exists()


def run_copy(root: Path) -> CompletedProcess:
    """Run the kickstart's script that copies the files, moved into ``root``."""
    text = render_kickstart(load_profile("rocky9-stig"), KEY, offline=True)
    (script,) = [s for s in parse_kickstart(text).scripts() if "repo/hardpan" in s.body]
    report = root / "mnt/sysroot/usr/lib/hardpan/report-failure.sh"
    report.parent.mkdir(parents=True)
    report.write_text('fail() { echo "$1" >&2; exit 1; }\n')
    (root / "mnt/sysroot/etc/systemd/system").mkdir(parents=True)
    body = script.body.replace("/run/install", f"{root}/run/install")
    body = body.replace("/mnt/sysroot", f"{root}/mnt/sysroot")
    return run(["bash", "-c", body], timeout_s=30, ok=range(128))


@pytest.fixture
def iso_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run/install/repo/hardpan"
    (folder / "layers").mkdir(parents=True)
    (folder / "layers/x").write_text("data")
    (folder / "hardpan-layers.service").write_text("[Unit]\n")
    names = ("layers/x", "hardpan-layers.service")
    sums = "".join(f"{sha256_file(folder / name)}  {name}\n" for name in names)
    (folder / "SHA256SUMS").write_text(sums)
    return folder


def test_install_copies_the_files_for_root_alone(iso_folder: Path, tmp_path: Path) -> None:
    result = run_copy(tmp_path)

    assert result.returncode == 0, result.stderr
    copy = tmp_path / "mnt/sysroot/var/lib/hardpan-layers"
    assert (copy / "layers/x").read_text() == "data"
    assert copy.stat().st_mode & 0o777 == 0o700
    unit = tmp_path / "mnt/sysroot/etc/systemd/system/hardpan-layers.service"
    assert unit.stat().st_mode & 0o777 == 0o644


def test_damaged_file_ends_the_install(iso_folder: Path, tmp_path: Path) -> None:
    (iso_folder / "layers/x").write_text("dama")

    result = run_copy(tmp_path)

    assert result.returncode != 0
    assert "layers/x: FAILED" in result.stdout + result.stderr


def test_medium_without_the_files_ends_the_install(iso_folder: Path, tmp_path: Path) -> None:
    (iso_folder / "SHA256SUMS").unlink()

    result = run_copy(tmp_path)

    assert result.returncode == 1
    assert "the install media have no" in result.stderr
