"""A guest's TPM: swtpm runs exactly as long as the guest, and its memory stays."""

from dataclasses import replace
from pathlib import Path

import pytest

from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.disk_image import create_disk
from hardpan.builder.vm.probe import detect_acceleration
from hardpan.builder.vm.qemu import start_vm
from hardpan.core.errors import ToolError

pytestmark = pytest.mark.integration


@pytest.fixture
def spec(tmp_path: Path) -> VmSpec:
    disk = tmp_path / "disk.qcow2"
    create_disk(disk, size_mib=8)
    return VmSpec(
        disk=disk, vcpus=1, memory_mib=128, firmware="bios", tpm_state=tmp_path / "memory"
    )


def find_tpm_processes(folder: Path) -> list[int]:
    """Return the swtpm processes whose memory is in ``folder``."""
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            argv = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if argv[0].endswith(b"swtpm") and f"dir={folder},mode=0600".encode() in argv:
            pids.append(int(entry.name))
    return pids


def test_tpm_ends_with_its_guest_and_keeps_its_memory(spec: VmSpec, tmp_path: Path) -> None:
    assert spec.tpm_state is not None

    with start_vm(spec, detect_acceleration(), log=tmp_path / "a.log") as machine:
        machine.watch()
        running = find_tpm_processes(spec.tpm_state)

    assert len(running) == 1
    assert find_tpm_processes(spec.tpm_state) == []
    assert (spec.tpm_state / "tpm2-00.permall").stat().st_mode & 0o777 == 0o600


def test_tpm_ends_if_qemu_does_not_start(spec: VmSpec, tmp_path: Path) -> None:
    assert spec.tpm_state is not None
    broken = replace(spec, disk=tmp_path / "missing.qcow2")

    with (
        pytest.raises(ToolError, match="qemu"),
        start_vm(broken, detect_acceleration(), log=tmp_path / "a.log"),
    ):
        pass

    assert find_tpm_processes(spec.tpm_state) == []


def test_unusable_tpm_memory_stops_the_start(spec: VmSpec, tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    (memory / "tpm2-00.permall").mkdir()

    with (
        pytest.raises(ToolError) as caught,
        start_vm(spec, detect_acceleration(), log=tmp_path / "a.log"),
    ):
        pass

    assert "tpm-emulator" in caught.value.output_tail
    assert find_tpm_processes(memory) == []
