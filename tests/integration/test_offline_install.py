"""The unattended ISO installs in a machine without a network card, from its packages alone.

With ``--offline`` the machine also applies its layers at its first boot.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan import kickstart
from hardpan.builder import install
from hardpan.builder.artifacts import InstallMedia
from hardpan.builder.media.remaster import remaster
from hardpan.builder.media.serial_console import overlay_with_serial_console
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.disk_image import check_disk
from hardpan.builder.vm.probe import detect_acceleration
from hardpan.builder.vm.qemu import start_vm
from hardpan.core.clock import Deadline
from hardpan.core.events import Event, StageProgress, discard
from hardpan.core.files import MiB, Sha256
from hardpan.core.process import run
from hardpan.profiles.loader.profile_file import load_profile
from tests.integration.conftest import CACHE, REPO

pytestmark = [pytest.mark.integration, pytest.mark.system]
LAYERS, HOST_KEY = "HARDPAN-LAYERS:", "HARDPAN-HOSTKEY:"
FIRST_BOOT_S = 2400
"""Two boots, the evaluation and the fixes; emulated."""

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk5vRZ8QHc0V1u7mzrE6p1m1D3JwWQ9QhGk3T5w9x2A test"


def test_iso_installs_without_a_network_card(lab_media: dict[str, object], tmp_path: Path) -> None:
    profile, media_file = load_profile("lab-stig"), Path(str(lab_media["iso"]))
    label = kickstart.make_volume_label(profile)
    iso = remaster(
        InstallMedia(
            path=media_file,
            sha256=Sha256(str(lab_media["sha256"])),
            size_bytes=media_file.stat().st_size,
            volume_id=str(lab_media["volume_label"]),
            name="lab9",
        ),
        kickstart.render_kickstart(profile, KEY),
        tmp_path / "x.iso",
        arguments=kickstart.boot_arguments(profile, label),
        secret=False,
        emit=lambda _: None,
        volume_id=label,
        waits_for_key=True,
    )
    events: list[Event] = []

    with overlay_with_serial_console(iso.path, tmp_path) as cdrom:
        disk = install.install(
            VmSpec(
                disk=tmp_path / "x.qcow2",
                vcpus=2,
                memory_mib=profile.machine.memory_mib,
                firmware=profile.machine.firmware,
                cdrom=cdrom,
                cdrom_format="qcow2",
                has_network=False,
            ),
            size_mib=MiB(profile.disk_size_mib),
            acceleration=detect_acceleration(),
            log=tmp_path / "x.log",
            emit=events.append,
        )

    check_disk(disk.path)
    progress = [event for event in events if isinstance(event, StageProgress)]
    assert progress[-1].completed == progress[-1].total
    console = (tmp_path / "x.log").read_text("utf-8", "replace")
    assert "virtio_net" not in console
    assert f"inst.ks=hd:LABEL={label}:/ks.cfg" in console


def test_layers_are_applied_at_the_first_boot_without_a_network_card(
    lab_media: dict[str, object], tmp_path: Path
) -> None:
    profile, acceleration = load_profile("lab-stig"), detect_acceleration()
    out = tmp_path / "out"
    argv = [sys.executable, "-m", "hardpan", "build", "lab-stig", "--format", "iso", "--offline"]
    argv += ["--max-size", "4 GiB", "--erase-disks", "--json", "-o", str(out)]
    argv += ["--media", str(lab_media["iso"]), "--cache", str(CACHE)]
    built = json.loads(run(argv, timeout_s=900, cwd=REPO).stdout)
    assert len(built["layers_sha256"]) == 64
    spec = VmSpec(
        disk=tmp_path / "x.qcow2",
        vcpus=2,
        memory_mib=profile.machine.memory_mib,
        firmware=profile.machine.firmware,
        has_network=False,
    )
    with overlay_with_serial_console(Path(built["iso"]), tmp_path) as cdrom:
        install.install(
            replace(spec, cdrom=cdrom, cdrom_format="qcow2"),
            size_mib=MiB(profile.disk_size_mib),
            acceleration=acceleration,
            log=tmp_path / "install.log",
            emit=discard,
        )

    lines: list[str] = []
    with start_vm(spec, acceleration, log=tmp_path / "boot.log") as machine:
        deadline = Deadline(FIRST_BOOT_S)
        # The host keys are printed at each boot: after the layers by the second one.
        while not any(HOST_KEY in line for line in after(lines, f"{LAYERS} complete")):
            lines += machine.watch(1.0)
            assert not [line for line in lines if f"{LAYERS} failed" in line], lines[-40:]
            assert deadline.remaining_s > 0, lines[-40:]

    reports = [line.partition(LAYERS)[2].strip() for line in lines if LAYERS in line]
    assert list(dict.fromkeys(reports)) == ["layer 00-ml_cpu", "layer 01-stig", "complete"]
    assert "virtio_net" not in "\n".join(lines)


def after(lines: list[str], marker: str) -> list[str]:
    """Return the lines that follow the first one with ``marker``."""
    number = next((n for n, line in enumerate(lines) if marker in line), len(lines))
    return lines[number:]
