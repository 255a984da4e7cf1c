import json
import shlex
import sys
from pathlib import Path
from typing import Literal

import pytest

from hardpan.builder.machine import firmware, qemu, tunnel
from hardpan.builder.machine.probe import Acceleration
from hardpan.builder.machine.qemu import Spec
from hardpan.builder.machine.tunnel import Endpoint

TCG = Acceleration(kind="tcg", reason="")


def descriptor(folder: Path, name: str, *, features: list[str], code: str, **more: object) -> None:
    (folder / code).touch()
    (folder / "VARS.fd").touch()
    told: dict[str, object] = {
        "mapping": {
            "device": "flash",
            "executable": {"filename": str(folder / code), "format": "raw"},
            "nvram-template": {"filename": str(folder / "VARS.fd"), "format": "raw"},
        },
        "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}],
        "features": features,
        **more,
    }
    (folder / name).write_text(json.dumps(told))


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "_KNOWN", ())


def test_a_build_without_secure_boot_is_taken_before_one_with(tmp_path: Path) -> None:
    descriptor(tmp_path, "10.json", features=["requires-smm", "secure-boot"], code="SB.fd")
    descriptor(tmp_path, "60.json", features=["acpi-s3"], code="PLAIN.fd")

    found = firmware.find((tmp_path,))

    assert found is not None
    assert found.code.name == "PLAIN.fd"
    assert "smm=on" not in firmware.arguments(found, tmp_path / "v")


def test_where_there_is_only_secure_boot_smm_is_switched_on(tmp_path: Path) -> None:
    descriptor(tmp_path, "10.json", features=["requires-smm", "secure-boot"], code="SB.fd")

    found = firmware.find((tmp_path,))

    assert found is not None
    assert "smm=on" in firmware.arguments(found, tmp_path / "v")


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
def test_firmware_that_does_not_fit_is_passed_over(tmp_path: Path, more: dict[str, object]) -> None:
    descriptor(tmp_path, "10.json", code="A.fd", **{"features": [], **more})  # type: ignore[arg-type]

    assert firmware.find((tmp_path,)) is None


def test_a_broken_descriptor_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "00.json").write_text("{")
    descriptor(tmp_path, "60.json", features=[], code="A.fd")

    found = firmware.find((tmp_path,))
    assert found is not None
    assert found.code.name == "A.fd"


def test_a_comma_in_a_path_stays_in_the_path(tmp_path: Path) -> None:
    room = tmp_path / "a,b"
    spec = Spec(disk=room / "d.qcow2", vcpus=1, memory_mib=64, firmware="bios", cdrom=room / "c")

    argv = qemu._argv(spec, TCG, room, room / "log")

    for option in argv:
        assert "a,b" not in option.replace(",,", "")
    assert f"file,id=serial,path={tmp_path}/a,,b/log" in argv


def test_the_guest_reaches_nobody_and_only_this_machine_reaches_it(tmp_path: Path) -> None:
    spec = Spec(disk=tmp_path / "d", vcpus=1, memory_mib=64, firmware="bios", ssh_port=2222)

    argv = qemu._argv(spec, TCG, tmp_path, tmp_path / "log")

    assert "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22" in argv


def test_a_guest_that_may_reach_something_gets_a_proxy_and_no_other_way(tmp_path: Path) -> None:
    room = tmp_path / "a,b 'c"
    reaches = (Endpoint("https", "mirror.example", 443),)
    spec = Spec(disk=room / "d", vcpus=1, memory_mib=64, firmware="bios", reaches=reaches)

    argv = qemu._argv(spec, TCG, room, room / "log")

    (net,) = [x for x in argv if x.startswith("user,")]
    head, _, program = net.partition("-cmd:")
    assert head == "user,id=net,restrict=on,guestfwd=tcp:10.0.2.100:3128"
    assert "," not in program.replace(",,", "")
    # libslirp splits it as a shell would.
    words = shlex.split(program.replace(",,", ","))
    assert words == [sys.executable, "-ISB", tunnel.__file__, f"{room}/reaches.json"]


@pytest.mark.parametrize(
    ("first", "device"), [("cdrom", "scsi-cd,drive=cd,bus=scsi.0,bootindex=0"),
                          ("usb", "usb-storage,bus=usb.0,drive=stick,removable=on,bootindex=0")]
)  # fmt: skip
def test_the_iso_is_a_cd_or_a_usb_disk(
    tmp_path: Path, first: Literal["cdrom", "usb"], device: str
) -> None:
    spec = Spec(
        disk=tmp_path / "d",
        vcpus=1,
        memory_mib=64,
        firmware="bios",
        cdrom=tmp_path / "x.iso",
        first=first,
    )

    argv = qemu._argv(spec, TCG, tmp_path, tmp_path / "log")

    assert device in argv
    assert "virtio-blk-pci,drive=disk,discard_granularity=4096,bootindex=1" in argv
