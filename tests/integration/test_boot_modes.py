"""The remastered media boots by BIOS and UEFI, as a CD and as a USB disk, with the kickstart.

That the installer then takes it is what the demo is about.
A test of the CD alone proves nothing about USB: there UEFI reads the menu in the
FAT image, not the one in ISO 9660 (weldr/lorax#1292).
"""

from pathlib import Path

import pytest

from hardpan import kickstart
from hardpan.builder.artifacts import InstallMedia, UnattendedIso
from hardpan.builder.media.inspect import extract, inspect_iso
from hardpan.builder.media.remaster import remaster
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.devices import BootDevice
from hardpan.builder.vm.disk_image import create_disk
from hardpan.builder.vm.probe import detect_acceleration
from hardpan.builder.vm.qemu import VirtualMachine, start_vm
from hardpan.core import clock
from hardpan.core.events import discard
from hardpan.core.files import Sha256
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.machine import FirmwareKind
from tests.integration import tiny_media

pytestmark = pytest.mark.integration
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk5vRZ8QHc0V1u7mzrE6p1m1D3JwWQ9QhGk3T5w9x2A test"
LABEL = "HARDPAN-OTHER-LABEL"


@pytest.fixture(scope="module")
def lab_install_media(lab_media: dict[str, object]) -> InstallMedia:
    path = Path(str(lab_media["iso"]))
    return InstallMedia(
        path=path,
        sha256=Sha256(str(lab_media["sha256"])),
        size_bytes=path.stat().st_size,
        volume_id=str(lab_media["volume_label"]),
        name="lab9",
    )


@pytest.fixture(scope="module", params=["el10", "el9"])
def unattended_iso(
    request: pytest.FixtureRequest,
    lab_install_media: InstallMedia,
    tmp_path_factory: pytest.TempPathFactory,
) -> UnattendedIso:
    """Lab media in each layout with the default profile's kickstart, under a label of its own."""
    workdir = tmp_path_factory.mktemp("iso")
    is_el10 = request.param == "el10"
    media = lab_install_media if is_el10 else make_el9_layout(lab_install_media, workdir)
    return write_iso(media, workdir / "x.iso", waits_for_key=False)


def write_iso(media: InstallMedia, path: Path, *, waits_for_key: bool) -> UnattendedIso:
    profile = load_profile("lab-stig")
    return remaster(
        media,
        kickstart.render_kickstart(profile, KEY),
        path,
        # Without the last, this kernel keeps its command line to itself.
        arguments=[*kickstart.boot_arguments(profile, LABEL), "ignore_loglevel"],
        secret=False,
        emit=discard,
        volume_id=LABEL,
        waits_for_key=waits_for_key,
    )


def vm_spec(
    iso: UnattendedIso, workdir: Path, firmware: FirmwareKind, first: BootDevice = "cdrom"
) -> VmSpec:
    create_disk(workdir / "disk.qcow2", size_mib=1024)
    return VmSpec(
        disk=workdir / "disk.qcow2",
        vcpus=1,
        memory_mib=2048,
        firmware=firmware,
        cdrom=iso.path,
        boot_device=first,
    )


@pytest.mark.system
@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize("layout", ["el10", "el9"])
def test_install_without_consent_starts_only_after_a_key(
    lab_install_media: InstallMedia, tmp_path: Path, firmware: FirmwareKind, layout: str
) -> None:
    media = lab_install_media if layout == "el10" else make_el9_layout(lab_install_media, tmp_path)
    iso = write_iso(media, tmp_path / "x.iso", waits_for_key=True)
    accelerator = detect_acceleration()

    with start_vm(vm_spec(iso, tmp_path, firmware), accelerator, log=tmp_path / "x.log") as guest:
        # Much longer than an ISO with consent needs to start its kernel.
        lines = watch_for_kernel(guest, 45.0)
        assert lines == []
        assert guest.control is not None
        guest.control.call("send-key", keys=[{"type": "qcode", "data": "ret"}])
        lines = watch_for_kernel(guest, 60 * accelerator.timeout_factor)

    assert f"inst.ks=hd:LABEL={LABEL}:/ks.cfg" in lines[0].split()


def watch_for_kernel(guest: VirtualMachine, limit_s: float) -> list[str]:
    """Return the kernel's command line, or nothing if it does not start within the limit."""
    deadline = clock.monotonic_s() + limit_s
    lines: list[str] = []
    while not lines and clock.monotonic_s() < deadline:
        lines = [line for line in guest.watch() if "Command line:" in line]
    return lines


def make_el9_layout(lab_install_media: InstallMedia, workdir: Path) -> InstallMedia:
    """Media with the lab's kernel and GRUB and the distribution's isolinux; without packages."""
    tree = workdir / "tree"
    file_names = (
        "images/pxeboot/vmlinuz",
        "images/pxeboot/initrd.img",
        "EFI/BOOT/grub.cfg",
        # Debian's signed GRUB finds the media by the first and reads the second.
        ".disk/info",
        "boot/grub/grub.cfg",
    )
    for name in file_names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
    extract(lab_install_media.path, {f"/{name}": tree / name for name in file_names})
    lab_facts = inspect_iso(lab_install_media.path)
    with lab_install_media.path.open("rb") as iso:
        iso.seek(lab_facts.efi_offset)
        (tree / "images/efiboot.img").write_bytes(iso.read(lab_facts.efi_size))
    return tiny_media.make_isolinux_media(
        tree, workdir / "el9.iso", label=lab_install_media.volume_id
    )


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize("first", ["cdrom", "usb"])
def test_kernel_receives_every_boot_argument(
    unattended_iso: UnattendedIso, tmp_path: Path, firmware: FirmwareKind, first: BootDevice
) -> None:
    spec = vm_spec(unattended_iso, tmp_path, firmware, first)
    accelerator = detect_acceleration()

    with start_vm(spec, accelerator, log=tmp_path / "boot.log") as guest:
        deadline = clock.monotonic_s() + 60 * accelerator.timeout_factor
        while not (command_lines := [x for x in guest.watch() if "Command line:" in x]):
            assert clock.monotonic_s() < deadline, "\n".join(guest.console.tail)

    expected = kickstart.boot_arguments(load_profile("lab-stig"), LABEL)
    assert "inst.ks=" in expected[0]
    assert [argument for argument in expected if argument not in command_lines[0].split()] == []
