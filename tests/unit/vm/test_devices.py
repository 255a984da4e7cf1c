"""QEMU's options for disks and TPM: which device each specification attaches."""

from pathlib import Path
from typing import Any

import pytest

from hardpan.builder.vm import command_line, devices
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.devices import DiskBus
from hardpan.builder.vm.probe import Acceleration
from hardpan.profiles.schema.machine import FirmwareKind

TCG = Acceleration(kind="tcg", reason="")


@pytest.mark.parametrize(
    ("bus", "device"),
    [
        ("virtio-blk", "virtio-blk-pci,drive=disk,discard_granularity=4096"),
        ("virtio-scsi", "scsi-hd,bus=disks.0,scsi-id=0,drive=disk,discard_granularity=4096"),
        ("nvme", "nvme,serial=hardpan-0,drive=disk,discard_granularity=4096"),
        ("sata", "ide-hd,bus=ide.0,drive=disk"),
    ],
)
def test_disk_is_attached_to_its_bus(tmp_path: Path, bus: DiskBus, device: str) -> None:
    argv = devices.disk_arguments(tmp_path / "d", bus, boot_index=3)

    assert argv[-1] == f"{device},bootindex=3"
    assert argv.count("-drive") == 1
    assert ("virtio-scsi-pci,id=disks" in argv) == (bus == "virtio-scsi")


def test_empty_disk_comes_first_and_does_not_boot(tmp_path: Path) -> None:
    empty = tmp_path / "empty.raw"

    argv = devices.disk_arguments(tmp_path / "d", "sata", boot_index=0, empty_disk=empty)

    disks = [value for value in argv if value.startswith("ide-hd")]
    assert disks == [
        "ide-hd,bus=ide.0,drive=empty",
        "ide-hd,bus=ide.1,drive=disk,bootindex=0",
    ]
    assert empty.stat().st_size == 64 << 20


def test_guest_without_tpm_starts_no_process(tmp_path: Path) -> None:
    with devices.start_tpm(None, tmp_path) as argv:
        assert argv == []


def make_argv(tmp_path: Path, **fields: Any) -> list[str]:
    spec = VmSpec(disk=tmp_path / "d", vcpus=1, memory_mib=64, firmware="bios", **fields)
    return command_line.qemu_arguments(spec, TCG, tmp_path, tmp_path / "log")


def test_serial_port_can_be_typed_on_only_with_a_passphrase(tmp_path: Path) -> None:
    log = f"path={tmp_path}/log"
    assert f"file,id=serial,{log}" in make_argv(tmp_path)

    argv = make_argv(tmp_path, disk_passphrase="correct-horse-battery")

    assert (
        f"socket,id=serial,path={tmp_path}/serial,server=on,wait=off,logfile={tmp_path}/log" in argv
    )
    assert "correct-horse-battery" not in str(argv)
    assert "correct-horse" not in repr(
        VmSpec(
            disk=tmp_path, vcpus=1, memory_mib=1, firmware="bios", disk_passphrase="correct-horse"
        )
    )


def test_network_card_has_address_and_slot(tmp_path: Path) -> None:
    assert "virtio-net-pci,netdev=net,romfile=" in make_argv(tmp_path)
    assert "virtio-net-pci,netdev=net,romfile=,mac=52:54:00:00:00:02,addr=0x1d" in make_argv(
        tmp_path, mac_address="52:54:00:00:00:02", network_slot=29
    )


def test_guest_without_network_has_no_card(tmp_path: Path) -> None:
    argv = make_argv(tmp_path, has_network=False)

    assert argv[argv.index("-nic") + 1] == "none"
    assert not any("virtio-net" in x or x.startswith("user,") for x in argv)


@pytest.mark.parametrize("is_visible", [True, False])
def test_builder_is_visible_to_the_guest(tmp_path: Path, is_visible: bool) -> None:
    argv = make_argv(tmp_path, has_install_port=is_visible)

    ports = [x for x in argv if "name=dev.hardpan.install.0" in x]
    assert len(ports) == is_visible


@pytest.mark.parametrize(
    ("firmware", "has_tpm", "may_reset"),
    [("bios", False, False), ("bios", True, False), ("uefi", False, False), ("uefi", True, True)],
)
def test_only_uefi_guest_with_tpm_may_reset(
    tmp_path: Path, firmware: FirmwareKind, has_tpm: bool, may_reset: bool
) -> None:
    spec = VmSpec(
        disk=tmp_path / "d",
        vcpus=1,
        memory_mib=64,
        firmware=firmware,
        tpm_state=tmp_path if has_tpm else None,
    )

    argv = command_line.qemu_arguments(spec, TCG, tmp_path, tmp_path / "log")

    assert ("-no-reboot" not in argv) == may_reset
