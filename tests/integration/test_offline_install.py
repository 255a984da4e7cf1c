"""The unattended ISO installs in a machine without a network card, from its packages alone."""

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
from hardpan.core.events import Event, StageProgress
from hardpan.core.files import MiB, Sha256
from hardpan.profiles.loader.profile_file import load_profile

pytestmark = [pytest.mark.integration, pytest.mark.system]
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
