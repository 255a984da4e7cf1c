"""Secure Boot on the lab: the media and the installed system boot with Microsoft's keys.

The firmware enforces the signature of shim, shim those of GRUB and the kernel, and the kernel
those of its modules. A kernel without signature and a module without signature are refused.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from hardpan import kickstart
from hardpan.builder.artifacts import InstallMedia, SshAccess
from hardpan.builder.install import install
from hardpan.builder.media.remaster import remaster
from hardpan.builder.vm.boot import boot
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.disk_image import create_disk
from hardpan.builder.vm.probe import detect_acceleration
from hardpan.builder.vm.qemu import start_vm
from hardpan.core import clock
from hardpan.core.events import discard
from hardpan.core.files import MiB, Sha256
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.profile import Profile
from hardpan.scanners.collect.base import CollectTask, create_collector
from hardpan.workflow.keyring import create_access
from tests.integration.finished_image import BUILD_USER, booted, connected, make_spec, read

pytestmark = [pytest.mark.integration, pytest.mark.system]

LABEL = "HARDPAN-SECURE-BOOT"
_PACKAGES = ("mokutil", "openssh-server", "python3", "sudo")
_FACTS = {
    "SecureBoot": "od -An -tu1 -j4 /sys/firmware/efi/efivars/SecureBoot-*",
    "SetupMode": "od -An -tu1 -j4 /sys/firmware/efi/efivars/SetupMode-*",
    "lockdown": "cat /sys/kernel/security/lockdown",
}
_REPORT_FACTS = "".join(
    f'echo "HARDPAN-FACT: {name} $({command})" > /dev/ttyS0\n' for name, command in _FACTS.items()
)
# PE/COFF: the security directory is the fifth entry of the data directories, which begin 112 bytes
# into the optional header of PE32+; its address is a file offset.
_STRIP_KERNEL = """
import glob, struct
(path,) = glob.glob("/boot/vmlinuz-*")
data = bytearray(open(path, "rb").read())
(pe,) = struct.unpack_from("<I", data, 0x3C)
entry = pe + 24 + 112 + 4 * 8
offset, size = struct.unpack_from("<II", data, entry)
struct.pack_into("<II", data, entry, 0, 0)
assert size > 0 and offset + size == len(data)
open(path, "wb").write(data[:offset])
print(size)
"""
# The signature is in front of the magic string: signer, key and signature, whose length is the last
# field of struct module_signature (include/linux/module_signature.h).
_STRIP_MODULE = """
import glob, lzma, os, struct
path = glob.glob(f"/usr/lib/modules/{os.uname().release}/kernel/fs/nls/*.ko.xz")[0]
data = lzma.open(path).read()
magic = b"~Module signature appended~\\n"
assert data.endswith(magic)
(size,) = struct.unpack(">I", data[-len(magic) - 4 : -len(magic)])
open("/root/signed.ko", "wb").write(data)
open("/root/unsigned.ko", "wb").write(data[: -len(magic) - 12 - size])
"""


@dataclass(frozen=True)
class SecureInstall:
    """A system that was installed with Secure Boot."""

    spec: VmSpec
    access: SshAccess
    console: str
    """Console of the installer."""


def load_minimal_profile() -> Profile:
    """Return the lab's profile with few packages: the installation takes half the time."""
    profile = load_profile("lab-stig")
    packages = profile.packages.model_copy(update={"install": _PACKAGES})
    services = profile.services.model_copy(update={"enabled": ("sshd",)})
    return profile.model_copy(
        update={"packages": packages, "services": services, "layers": (), "fips": False}
    )


@pytest.fixture(scope="module")
def installed(
    lab_media: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> SecureInstall:
    """A minimal system, installed from the lab media with Secure Boot."""
    folder = tmp_path_factory.mktemp("secure-boot")
    media = InstallMedia(
        path=Path(str(lab_media["iso"])),
        sha256=Sha256(str(lab_media["sha256"])),
        size_bytes=Path(str(lab_media["iso"])).stat().st_size,
        volume_id=str(lab_media["volume_label"]),
        name="lab9",
    )
    profile = load_minimal_profile()
    access = create_access(BUILD_USER, folder / "key")
    text = kickstart.render_kickstart(profile, access.public_key)
    text += f"\n%pre\nmodprobe efivarfs\n{_REPORT_FACTS}%end\n"
    iso = remaster(
        media,
        text,
        folder / "secure-boot.iso",
        arguments=[*kickstart.boot_arguments(profile, LABEL), "ignore_loglevel"],
        secret=False,
        emit=discard,
        volume_id=LABEL,
    )
    spec = make_spec(folder / "disk.qcow2", firmware="uefi-secure-boot")
    install(
        iso,
        spec,
        size_mib=MiB(profile.storage.disk_size_mib),
        acceleration=detect_acceleration(),
        log=folder / "install.log",
        emit=discard,
    )
    console = (folder / "install.log").read_text("utf-8", "replace")
    return SecureInstall(spec=spec, access=access, console=console)


@pytest.fixture
def writable(installed: SecureInstall, tmp_path: Path) -> VmSpec:
    """The installed system on an overlay that stays between two boots."""
    disk = tmp_path / "overlay.qcow2"
    create_disk(disk, backing=installed.spec.disk)
    return make_spec(disk, firmware="uefi-secure-boot")


def test_installer_runs_with_secure_boot(installed: SecureInstall) -> None:
    facts = dict(re.findall(r"HARDPAN-FACT: (\w+) +(.*\S)", installed.console))

    assert facts["SecureBoot"] == "1"
    assert facts["SetupMode"] == "0"
    assert facts["lockdown"] == "none [integrity] confidentiality"
    assert "secureboot: Secure boot enabled" in installed.console
    assert "Kernel is locked down from EFI Secure Boot" in installed.console


def test_installed_system_enforces_signatures(installed: SecureInstall, tmp_path: Path) -> None:
    with (
        booted(installed.spec, installed.access, tmp_path) as guest,
        connected(guest) as connection,
    ):
        mok_state = read(connection, "mokutil --sb-state")
        entries = read(connection, "efibootmgr -v")
        messages = read(connection, "dmesg")
        read(connection, f"python3 -I - <<'EOF'\n{_STRIP_MODULE}\nEOF")
        unsigned = connection.run("insmod /root/unsigned.ko", timeout_s=60, ok=None, sudo=True)
        signed = connection.run("insmod /root/signed.ko", timeout_s=60, ok=None, sudo=True)
        collector = create_collector("platform")
        evidence = collector.collect(connection, CollectTask(), timeout_s=300, emit=discard)
        checks = {c.name.removeprefix("hardpan-check-"): c for c in evidence.checks}

    assert "SecureBoot enabled" in mok_state
    assert "secureboot: Secure boot enabled" in messages
    assert "Kernel is locked down from EFI Secure Boot" in messages
    # The firmware has fresh variables: shim's fallback wrote the entry that the installer had.
    assert re.search(r"hardpan lab\b.*shimx64\.efi", entries)
    assert unsigned.exit_status != 0
    assert "Key was rejected by service" in unsigned.stderr or "not permitted" in unsigned.stderr
    assert signed.exit_status == 0
    assert checks["secure-boot"].outcome == "passed"
    assert checks["secure-boot"].observed == "Secure Boot: enabled"
    assert checks["kernel-lockdown"].observed == "lockdown: integrity"


def test_kernel_without_signature_is_refused(
    installed: SecureInstall, writable: VmSpec, tmp_path: Path
) -> None:
    acceleration = detect_acceleration()
    with (
        boot(
            writable,
            installed.access,
            acceleration,
            log=tmp_path / "console.log",
            emit=discard,
            overlay=False,
        ) as guest,
        connected(guest) as connection,
    ):
        size = int(read(connection, f"python3 -I - <<'EOF'\n{_STRIP_KERNEL}\nEOF"))

    lines: list[str] = []
    with start_vm(writable, acceleration, log=tmp_path / "refused.log") as machine:
        deadline = clock.monotonic_s() + 60 * acceleration.timeout_factor
        while not any("bad shim signature" in line for line in lines):
            lines += machine.watch()
            assert clock.monotonic_s() < deadline, "\n".join(machine.console.tail)
        is_running = not machine.is_off

    assert size > 256
    assert is_running
    assert not any("Linux version" in line for line in lines)
