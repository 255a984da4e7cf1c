"""QEMU accepts the disk of every bus, alone and after an empty disk."""

from pathlib import Path
from typing import get_args

import pytest

from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.devices import DiskBus
from hardpan.builder.vm.disk_image import create_disk
from hardpan.builder.vm.probe import detect_acceleration
from hardpan.builder.vm.qemu import start_vm

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("bus", get_args(DiskBus))
@pytest.mark.parametrize("has_empty_first_disk", [False, True])
def test_guest_starts_with_disk_on_bus(
    tmp_path: Path, bus: DiskBus, has_empty_first_disk: bool
) -> None:
    disk = tmp_path / "disk.qcow2"
    create_disk(disk, size_mib=8)
    spec = VmSpec(
        disk=disk,
        vcpus=1,
        memory_mib=128,
        firmware="bios",
        disk_bus=bus,
        has_empty_first_disk=has_empty_first_disk,
    )

    with start_vm(spec, detect_acceleration(), log=tmp_path / "console.log") as machine:
        assert machine.control is not None
        devices = machine.control.call("query-block")

    assert isinstance(devices, list)
    names = [device["device"] for device in devices if device.get("inserted")]
    assert names == (["empty", "disk"] if has_empty_first_disk else ["disk"])
