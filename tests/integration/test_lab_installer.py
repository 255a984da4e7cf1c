"""How a lab install fails in a machine: as Anaconda's, and before or after the disk is touched."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan import kickstart
from hardpan.builder.artifacts import InstallMedia
from hardpan.builder.media.remaster import remaster
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.disk_image import create_disk
from hardpan.builder.vm.probe import detect_acceleration
from hardpan.builder.vm.qemu import VirtualMachine, start_vm
from hardpan.core import clock
from hardpan.core.events import discard
from hardpan.core.files import MiB, Sha256
from hardpan.core.process import run
from hardpan.profiles.loader.profile_file import load_profile

pytestmark = [pytest.mark.integration, pytest.mark.system]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk5vRZ8QHc0V1u7mzrE6p1m1D3JwWQ9QhGk3T5w9x2A test"
TIMEOUT_S = 600.0
AFTERMATH_S = 5.0
"""How long the machine is observed after the line that the test waits for."""

PARTITION_LINES = re.compile(r"Creating disklabel on")

RunInstall = Callable[[str, str], tuple[list[str], bool]]


@pytest.fixture
def run_install(lab_media: dict[str, object], tmp_path: Path) -> RunInstall:
    """Install with a kickstart until a line appears; its lines, and whether the machine is off."""
    path = Path(str(lab_media["iso"]))
    media = InstallMedia(
        path=path,
        sha256=Sha256(str(lab_media["sha256"])),
        size_bytes=path.stat().st_size,
        volume_id=str(lab_media["volume_label"]),
        name="lab9",
    )

    def install(text: str, last_line: str) -> tuple[list[str], bool]:
        arguments = kickstart.boot_arguments(load_profile("lab-stig"), media.volume_id)
        # The serial console last: it is /dev/console here.
        arguments = (*arguments, "console=ttyS0,115200")
        iso = remaster(
            media, text, tmp_path / "x.iso", arguments=arguments, secret=False, emit=discard
        )
        spec = VmSpec(
            disk=tmp_path / "x.qcow2",
            vcpus=2,
            memory_mib=2048,
            firmware="bios",
            cdrom=iso.path,
            boot_device="cdrom",
        )
        acceleration = detect_acceleration()
        for _ in range(acceleration.max_attempts):
            create_disk(spec.disk, size_mib=MiB(40960))
            with start_vm(spec, acceleration, log=tmp_path / "x.log") as machine:
                lines = _watch_until(machine, last_line)
                # The emulator's threads race with a kernel that patches its own code.
                if not machine.has_panicked():
                    return lines, machine.is_off
        pytest.fail("the kernel panicked at each attempt")

    return install


def _watch_until(machine: VirtualMachine, last_line: str) -> list[str]:
    """The console's lines until some seconds after the last one, or until the machine is off."""
    lines: list[str] = []
    end = clock.monotonic_s() + TIMEOUT_S
    while clock.monotonic_s() < end and not (machine.is_off or machine.has_panicked()):
        lines += machine.watch()
        if any(last_line in line for line in lines):
            end = min(end, clock.monotonic_s() + AFTERMATH_S)
            last_line = "\0"
    return lines


@pytest.fixture(scope="module")
def sound_kickstart() -> str:
    return kickstart.render_kickstart(load_profile("lab-stig"), KEY)


def _contains(lines: list[str], text: str) -> bool:
    return any(text in line for line in lines)


def test_failing_pre_script_leaves_a_silent_machine(
    run_install: RunInstall, sound_kickstart: str
) -> None:
    text = f"{sound_kickstart}\n%pre --erroronfail\necho the reason >&2\nexit 1\n%end\n"

    lines, is_off = run_install(text, "[FAILED] Failed to start anaconda-direct.service")

    assert _contains(lines, "pyanaconda.errors.ScriptError")
    assert not _contains(lines, "the reason")
    assert not _contains(lines, "HARDPAN-INSTALL: failed")  # no %onerror
    assert not is_off
    assert not any(map(PARTITION_LINES.search, lines))


def test_refused_kickstart_leaves_the_machine_running(
    run_install: RunInstall, sound_kickstart: str
) -> None:
    lines, is_off = run_install(
        f"{sound_kickstart}\nclearprat --all\n", "[FAILED] Failed to start anaconda-direct.service"
    )

    assert _contains(lines, "An error occurred during reading the kickstart file:")
    assert _contains(lines, "Unknown command: clearprat")
    assert _contains(lines, "The installer will now terminate.")
    assert not is_off


def test_missing_package_ends_the_install_before_the_disk_is_touched(
    run_install: RunInstall, sound_kickstart: str, tmp_path: Path
) -> None:
    text = sound_kickstart.replace("\naide\n", "\naide\nno-such-package\n")
    assert text != sound_kickstart

    lines, is_off = run_install(text, "HARDPAN-INSTALL: failed")

    assert _contains(lines, "The installation was stopped due to an error")
    assert _contains(lines, "missing packages: no-such-package")
    assert not any(map(PARTITION_LINES.search, lines))
    assert is_off  # %onerror of the kickstart
    used = run(["qemu-img", "map", "--output=json", tmp_path / "x.qcow2"], timeout_s=60).stdout
    assert '"data": true' not in used


def test_missing_source_leaves_spokes_incomplete(
    run_install: RunInstall, sound_kickstart: str
) -> None:
    text = sound_kickstart.replace("file:///run/install/repo", "file:///run/install/nowhere")
    assert text != sound_kickstart

    lines, _ = run_install(text, "HARDPAN-INSTALL: failed")

    start = next(i for i, x in enumerate(lines) if "mandatory spokes are not completed" in x)
    assert [x.strip().rstrip(".") for x in lines[start + 1 : start + 3]] == [
        "Installation source",
        "Software selection",
    ]
    assert not any(map(PARTITION_LINES.search, lines))
