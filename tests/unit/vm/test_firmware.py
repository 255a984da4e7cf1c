import json
import shlex
import sys
from pathlib import Path
from typing import Literal

import pytest

from hardpan.builder.vm import command_line, egress_proxy, firmware
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.egress_proxy import Endpoint
from hardpan.builder.vm.probe import Acceleration
from hardpan.core.errors import ToolError

TCG = Acceleration(kind="tcg", reason="")


def write_descriptor(
    folder: Path, name: str, *, features: list[str], code: str, **overrides: object
) -> None:
    (folder / code).touch()
    (folder / "VARS.fd").touch()
    content: dict[str, object] = {
        "mapping": {
            "device": "flash",
            "executable": {"filename": str(folder / code), "format": "raw"},
            "nvram-template": {"filename": str(folder / "VARS.fd"), "format": "raw"},
        },
        "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}],
        "features": features,
        **overrides,
    }
    (folder / name).write_text(json.dumps(content))


@pytest.fixture(autouse=True)
def _no_common_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_COMMON_PATHS", "_COMMON_SECURE_BOOT_PATHS"):
        monkeypatch.setattr(firmware, name, ())


def test_firmware_without_secure_boot_is_preferred(tmp_path: Path) -> None:
    write_descriptor(tmp_path, "10.json", features=["requires-smm", "secure-boot"], code="SB.fd")
    write_descriptor(tmp_path, "60.json", features=["acpi-s3"], code="PLAIN.fd")

    uefi = firmware.find_firmware(folders=(tmp_path,))

    assert uefi is not None
    assert uefi.code.name == "PLAIN.fd"
    assert "smm=on" not in firmware.firmware_arguments(uefi, tmp_path / "v")


def test_secure_boot_firmware_enables_smm(tmp_path: Path) -> None:
    write_descriptor(tmp_path, "10.json", features=["requires-smm", "secure-boot"], code="SB.fd")

    uefi = firmware.find_firmware(folders=(tmp_path,))

    assert uefi is not None
    assert "smm=on" in firmware.firmware_arguments(uefi, tmp_path / "v")


@pytest.mark.parametrize(
    "more",
    [
        {"targets": [{"architecture": "aarch64", "machines": ["virt-*"]}]},
        {"targets": [{"architecture": "x86_64", "machines": ["microvm"]}]},
        {"features": ["enrolled-keys", "requires-smm"]},
        {"mapping": {"device": "memory", "filename": "/x"}},
        {"mapping": 7},
    ],
)
def test_unsupported_firmware_is_ignored(tmp_path: Path, more: dict[str, object]) -> None:
    write_descriptor(tmp_path, "10.json", code="A.fd", **{"features": [], **more})  # type: ignore[arg-type]

    assert firmware.find_firmware(folders=(tmp_path,)) is None


def test_secure_boot_requires_enrolled_keys(tmp_path: Path) -> None:
    features = ["requires-smm", "secure-boot"]
    write_descriptor(tmp_path, "10.json", features=features, code="NO-KEYS.fd")
    write_descriptor(tmp_path, "20.json", features=[*features, "enrolled-keys"], code="MS.fd")

    uefi = firmware.find_firmware("uefi-secure-boot", (tmp_path,))

    assert uefi is not None
    assert uefi.code.name == "MS.fd"
    assert "driver=cfi.pflash01,property=secure,value=on" in firmware.firmware_arguments(
        uefi, tmp_path / "v"
    )


def test_missing_secure_boot_firmware_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "find_firmware", lambda _kind: None)

    with pytest.raises(ToolError, match="not installed with Secure Boot on and enrolled keys"):
        firmware.require_firmware("uefi-secure-boot")


def test_broken_descriptor_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "00.json").write_text("{")
    write_descriptor(tmp_path, "60.json", features=[], code="A.fd")

    uefi = firmware.find_firmware(folders=(tmp_path,))
    assert uefi is not None
    assert uefi.code.name == "A.fd"


def test_commas_in_paths_are_escaped(tmp_path: Path) -> None:
    workdir = tmp_path / "a,b"
    spec = VmSpec(
        disk=workdir / "d.qcow2", vcpus=1, memory_mib=64, firmware="bios", cdrom=workdir / "c"
    )

    argv = command_line.qemu_arguments(spec, TCG, workdir, workdir / "log")

    for option in argv:
        assert "a,b" not in option.replace(",,", "")
    assert f"file,id=serial,path={tmp_path}/a,,b/log" in argv


def test_guest_network_is_restricted_to_ssh_forward(tmp_path: Path) -> None:
    spec = VmSpec(disk=tmp_path / "d", vcpus=1, memory_mib=64, firmware="bios", ssh_port=2222)

    argv = command_line.qemu_arguments(spec, TCG, tmp_path, tmp_path / "log")

    assert "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22" in argv


def test_allowed_endpoints_are_reached_through_proxy_only(tmp_path: Path) -> None:
    workdir = tmp_path / "a,b 'c"
    endpoints = (Endpoint("https", "mirror.example", 443),)
    spec = VmSpec(
        disk=workdir / "d", vcpus=1, memory_mib=64, firmware="bios", allowed_endpoints=endpoints
    )

    argv = command_line.qemu_arguments(spec, TCG, workdir, workdir / "log")

    (net,) = [x for x in argv if x.startswith("user,")]
    head, _, program = net.partition("-cmd:")
    assert head == "user,id=net,restrict=on,guestfwd=tcp:10.0.2.100:3128"
    assert "," not in program.replace(",,", "")
    # libslirp splits it as a shell would.
    arguments = shlex.split(program.replace(",,", ","))
    assert arguments == [
        sys.executable,
        "-ISB",
        egress_proxy.__file__,
        f"{workdir}/allowed-endpoints.json",
    ]


@pytest.mark.parametrize(
    ("first", "device"), [("cdrom", "scsi-cd,drive=cd,bus=scsi.0,bootindex=0"),
                          ("usb", "usb-storage,bus=usb.0,drive=stick,removable=on,bootindex=0")]
)  # fmt: skip
def test_iso_is_attached_as_cdrom_or_usb(
    tmp_path: Path, first: Literal["cdrom", "usb"], device: str
) -> None:
    spec = VmSpec(
        disk=tmp_path / "d",
        vcpus=1,
        memory_mib=64,
        firmware="bios",
        cdrom=tmp_path / "x.iso",
        boot_device=first,
    )

    argv = command_line.qemu_arguments(spec, TCG, tmp_path, tmp_path / "log")

    assert device in argv
    assert "virtio-blk-pci,drive=disk,discard_granularity=4096,bootindex=1" in argv
