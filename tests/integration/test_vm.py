"""Supervision of QEMU: guests with one boot sector that hang, panic or do nothing."""

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan.builder.artifacts import SshAccess
from hardpan.builder.install import Deadlines, install
from hardpan.builder.vm.boot import boot
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.disk_image import check_disk
from hardpan.builder.vm.probe import detect_acceleration
from hardpan.core.errors import ToolError
from hardpan.core.events import Emit, Event, StageMessage, discard
from hardpan.core.files import MiB
from hardpan.core.process import run, spawn

pytestmark = pytest.mark.integration

SHORT_DEADLINES = Deadlines(stall_s=8, total_s=120)
HANG_CODE = bytes([0xF4, 0xEB, 0xFD])  # hlt; jmp to it
POWER_OFF_CODE = bytes(
    [0xBA, 0x04, 0x06, 0xB8, 0x00, 0x20, 0xEF, 0xF4]
)  # ACPI S5 on q35: power off
# l: mov si, packet; mov ah, 0x42; int 0x13 (extended read); jmp l; then the packet: one sector of
# 2048 bytes, LBA 16, to 0:9000
READ_CD_CODE = bytes([0xBE, 0x09, 0x7C, 0xB4, 0x42, 0xCD, 0x13, 0xEB, 0xF7])
READ_CD_CODE += bytes([0x10, 0, 1, 0, 0, 0x90, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0])


def boot_sector(code: bytes) -> bytes:
    return code.ljust(510, b"\0") + b"\x55\xaa"


def console_code(text: bytes) -> bytes:
    """Code that writes ``text`` to COM1 and then hangs."""
    # mov si, text; mov dx, 0x3f8; l: lodsb; test al, al; jz end; out dx, al; jmp l; end: hlt
    code = bytes([0xBE, 0x11, 0x7C, 0xBA, 0xF8, 0x03, 0xFC, 0xAC, 0x84, 0xC0, 0x74, 0x03])
    code += bytes([0xEE, 0xEB, 0xF8, 0xF4, 0xF4])
    return code + text + b"\0"


def make_boot_iso(tmp_path: Path, code: bytes) -> Path:
    """An ISO that boots ``code`` (El Torito, no emulation)."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "boot.img").write_bytes(boot_sector(code).ljust(2048, b"\0"))
    path = tmp_path / "x.iso"
    argv = ["xorriso", "-as", "mkisofs", "-V", "X", "-b", "boot.img", "-no-emul-boot"]
    run([*argv, "-boot-load-size", "4", "-o", path, tree], timeout_s=60)
    return path


def make_spec(tmp_path: Path) -> VmSpec:
    return VmSpec(disk=tmp_path / "disk.qcow2", vcpus=1, memory_mib=128, firmware="bios")


def fail_install(
    tmp_path: Path, code: bytes, emit: Emit = discard, deadlines: Deadlines = SHORT_DEADLINES
) -> ToolError:
    with pytest.raises(ToolError) as caught:
        install(
            replace(make_spec(tmp_path), cdrom=make_boot_iso(tmp_path, code)),
            size_mib=MiB(64),
            acceleration=detect_acceleration(),
            log=tmp_path / "install.log",
            emit=emit,
            deadlines=deadlines,
        )
    leftover_disks = sorted(p.name for p in tmp_path.iterdir() if "qcow2" in p.name)
    assert leftover_disks == []
    return caught.value


def test_guest_that_never_boots_is_stopped_by_stall_limit(tmp_path: Path) -> None:
    error = fail_install(tmp_path, HANG_CODE)

    assert "stalled before the installer started" in str(error)
    assert "accessed no disk for 8 s" in str(error)
    assert "install.log" in error.hint
    assert (tmp_path / "install.ppm").read_bytes().startswith(b"P6")
    for name in ("install.log", "install.ppm"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_silent_guest_that_reads_its_cd_is_not_stalled(tmp_path: Path) -> None:
    error = fail_install(tmp_path, READ_CD_CODE, deadlines=Deadlines(stall_s=8, total_s=20))

    assert "was not done after 20 s, before the installer started" in str(error)


def test_panicking_guest_is_reported_with_console_tail(tmp_path: Path) -> None:
    notes: list[Event] = []

    error = fail_install(
        tmp_path, console_code(b"Kernel panic - not syncing: VFS\r\n"), notes.append
    )

    assert "stopped installing: Kernel panic - not syncing: VFS" in str(error)
    assert "Kernel panic" in error.output_tail
    retry_notes = [
        n.text for n in notes if isinstance(n, StageMessage) and n.text.endswith("retrying")
    ]
    assert len(retry_notes) == detect_acceleration().max_attempts - 1


def test_poweroff_without_marker_is_a_failure(tmp_path: Path) -> None:
    error = fail_install(tmp_path, POWER_OFF_CODE)

    assert "powered off without the success marker" in str(error)


def test_marker_on_console_only_is_not_success(tmp_path: Path) -> None:
    error = fail_install(tmp_path, console_code(b"HARDPAN-INSTALL: complete\r\n"))

    assert "wrote nothing" in str(error)


def test_unbootable_disk_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hardpan.builder.vm.boot._BOOT_TIMEOUT_S", 1.5)
    run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "disk.qcow2", "8M"], timeout_s=20)
    access = SshAccess(user="x", private_key=tmp_path / "key", public_key="")

    with (
        pytest.raises(ToolError, match="did not answer on SSH in time"),
        boot(
            make_spec(tmp_path),
            access,
            detect_acceleration(),
            log=tmp_path / "boot.log",
            emit=discard,
            overlay=True,
        ),
    ):
        pass


def test_emulated_guest_is_retried_after_panic(tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(
        boot_sector(console_code(b"Kernel panic - not syncing: x\r\n")).ljust(1 << 20, b"\0")
    )
    run(
        ["qemu-img", "convert", "-O", "qcow2", raw, tmp_path / "disk.qcow2"],
        timeout_s=20,
    )
    access = SshAccess(user="x", private_key=tmp_path / "key", public_key="")
    notes: list[Event] = []
    power = replace(detect_acceleration(), kind="tcg")

    with (
        pytest.raises(ToolError, match="failed to boot: Kernel panic"),
        boot(
            make_spec(tmp_path),
            access,
            power,
            log=tmp_path / "b.log",
            emit=notes.append,
            overlay=True,
        ),
    ):
        pass

    texts = [n.text for n in notes if isinstance(n, StageMessage)]
    assert len(texts) == 1
    assert "Kernel panic" in texts[0]
    assert texts[0].endswith("retrying")


def test_terminated_install_leaves_no_process_or_partial_disk(tmp_path: Path) -> None:
    iso = make_boot_iso(tmp_path, HANG_CODE)
    script = f"""
import signal
from pathlib import Path
from hardpan.builder.install import install
from hardpan.builder.vm.disk_image import check_disk
from hardpan.builder.vm.probe import detect_acceleration
from hardpan.builder.vm.command_line import VmSpec
signal.signal(signal.SIGTERM, signal.default_int_handler)
spec = VmSpec(disk=Path({str(tmp_path / "disk.qcow2")!r}), vcpus=1, memory_mib=128, firmware="bios",
              cdrom=Path({str(iso)!r}))
install(spec, size_mib=64, acceleration=detect_acceleration(),
        log=Path({str(tmp_path / "i.log")!r}), emit=lambda e: None)
"""
    with spawn([sys.executable, "-c", script], log=tmp_path / "outer.log") as p:
        wait_for(lambda: guest_pids(tmp_path) != [])
        os.kill(p.pid, signal.SIGTERM)
        p.wait(timeout=30)

    wait_for(lambda: guest_pids(tmp_path) == [])
    assert not [x.name for x in tmp_path.iterdir() if "disk" in x.name]


def test_kvm_requires_successful_probe() -> None:
    power = detect_acceleration()

    assert ("a probe guest ran" in power.reason) == (power.kind == "kvm")
    if not Path("/dev/kvm").exists():
        assert (power.kind, power.reason[:20]) == ("tcg", "there is no /dev/kvm")


def test_damaged_disk_is_detected(tmp_path: Path) -> None:
    disk = tmp_path / "x.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "64M"], timeout_s=20)
    check_disk(disk)
    data = bytearray(disk.read_bytes())
    data[0x30000:0x30008] = (0x8000_0000_0001_0000).to_bytes(8, "big")
    disk.write_bytes(data)

    with pytest.raises(ToolError, match="qemu-img exited with"):
        check_disk(disk)


def guest_pids(tmp_path: Path) -> list[int]:
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            cmdline = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"qemu-system" in cmdline and str(tmp_path).encode() in cmdline:
            pids.append(int(entry.name))
    return pids


def wait_for(condition: object, timeout_s: float = 30) -> None:
    assert callable(condition)
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
