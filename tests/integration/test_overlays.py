"""A real QEMU switches to a new overlay while it runs: what the stored disks hold afterwards."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hardpan.builder.disk_cache import MAX_CHAINS_PER_PROFILE, list_disks, select_old_disks
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.disk_image import check_disk, copy_disk, create_disk, create_overlay
from hardpan.builder.vm.probe import Acceleration
from hardpan.builder.vm.qemu import VirtualMachine, start_vm
from hardpan.core.errors import ToolError
from hardpan.core.process import run

pytestmark = pytest.mark.integration

TCG = Acceleration(kind="tcg", reason="")
SIZE_MIB = 16
KEY = b"z" * 512


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A disk with a key in one block; all other blocks of its 64 KiB are in use."""
    path = tmp_path / "installs" / "K" / "base.qcow2"
    path.parent.mkdir(parents=True)
    create_disk(path, size_mib=SIZE_MIB)
    run_qemu_io(path, "write -P 0x61 1M 64k", "write -P 0x7a 1028k 4k")
    return path


def run_qemu_io(disk: Path, *commands: str) -> None:
    argv = ["qemu-io", "-f", "qcow2"]
    for command in commands:
        argv += ["-c", command]
    output = run([*argv, disk], timeout_s=60).stdout
    assert "failed" not in output, output


@contextmanager
def run_machine(disk: Path, folder: Path) -> Iterator[VirtualMachine]:
    spec = VmSpec(disk=disk, vcpus=1, memory_mib=32, firmware="bios")
    with start_vm(spec, TCG, log=folder / "console.log") as machine:
        yield machine


def access_disk(machine: VirtualMachine, command: str) -> None:
    """Write or discard as the guest does, through the device's own block backend."""
    assert machine.control is not None
    line = f'qemu-io disk "{command}"'
    answer = str(machine.control.call("human-monitor-command", command_line=line))
    assert "rror" not in answer, answer
    assert "failed" not in answer, answer


def store(overlay: Path, folder: Path) -> Path:
    """Move an overlay to its place in the cache, as a stage does."""
    folder.mkdir()
    return overlay.replace(folder / "disk.qcow2")


def test_stored_overlays_hold_the_state_of_their_moment(tmp_path: Path, base: Path) -> None:
    layers = tmp_path / "layers"
    work = layers / ".work"
    work.mkdir(parents=True)
    paths = [work / f"{number}.qcow2" for number in range(3)]
    create_overlay(paths[0], backing=base, size_mib=SIZE_MIB)
    with run_machine(paths[0], tmp_path) as machine:
        access_disk(machine, "write -P 0x62 2M 64k")
        create_overlay(paths[1], backing=layers / "A" / "disk.qcow2", size_mib=SIZE_MIB)
        machine.switch_disk(paths[1])
        first = store(paths[0], layers / "A")
        first_content = first.read_bytes()
        access_disk(machine, "write -P 0x63 2M 4k")
        access_disk(machine, "discard 1028k 4k")
        create_overlay(paths[2], backing=layers / "B" / "disk.qcow2", size_mib=SIZE_MIB)
        machine.switch_disk(paths[2])
        second = store(paths[1], layers / "B")
        access_disk(machine, "write -P 0x64 3M 4k")
    last = store(paths[2], layers / "C")

    assert first.read_bytes() == first_content
    for path in (first, second, last):
        check_disk(path)
    run_qemu_io(first, "read -P 0x62 2M 64k", "read -P 0 3M 4k", "read -P 0x7a 1028k 4k")
    run_qemu_io(second, "read -P 0x63 2M 4k", "read -P 0x62 2052k 60k", "read -P 0 3M 4k")
    run_qemu_io(last, "read -P 0x64 3M 4k", "read -P 0x63 2M 4k", "read -P 0x61 1M 4k")
    run_qemu_io(last, "read -P 0 1028k 4k", "read -P 0x61 1032k 32k")
    copy_disk(last, tmp_path / "image.qcow2")
    assert KEY in base.read_bytes()
    assert KEY not in (tmp_path / "image.qcow2").read_bytes()


def test_moved_cache_is_readable(tmp_path: Path, base: Path) -> None:
    overlay = tmp_path / "layers" / "A" / "disk.qcow2"
    overlay.parent.mkdir(parents=True)
    create_overlay(overlay, backing=base, size_mib=SIZE_MIB)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("layers", "installs"):
        (tmp_path / name).rename(moved / name)

    run_qemu_io(moved / "layers" / "A" / "disk.qcow2", "read -P 0x61 1M 4k")


def test_missing_overlay_is_refused(tmp_path: Path, base: Path) -> None:
    with (
        run_machine(base, tmp_path) as machine,
        pytest.raises(ToolError, match="refused blockdev-snapshot-sync"),
    ):
        machine.switch_disk(tmp_path / "absent.qcow2")


def test_overlays_that_stay_have_their_backing_files(tmp_path: Path, base: Path) -> None:
    """The backing files that QEMU opens are those that the removal of old disks keeps."""
    disk = base
    for name in "abcd":
        overlay = tmp_path / "layers" / name / "disk.qcow2"
        overlay.parent.mkdir(parents=True)
        create_overlay(overlay, backing=disk, size_mib=SIZE_MIB)
        disk = base if name == "b" else overlay
    tips = [tmp_path / "layers" / f"tip{n}" / "disk.qcow2" for n in range(MAX_CHAINS_PER_PROFILE)]
    for tip in tips:
        tip.parent.mkdir()
        create_overlay(tip, backing=tmp_path / "layers" / "a" / "disk.qcow2", size_mib=SIZE_MIB)

    old = select_old_disks(list_disks(tmp_path))

    assert [disk.folder.name for disk, _ in old] == ["b", "d", "c"]
    assert {root for _, root in old} == {base.parent}
    for disk, _ in old:
        shutil.rmtree(disk.folder)
    for tip in tips:
        run_qemu_io(tip, "read -P 0x61 1M 4k")
