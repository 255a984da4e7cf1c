"""QEMU supervised: guests made of one boot sector that hang, panic or do nothing."""

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan.builder.install import Deadlines, install
from hardpan.builder.machine.boot import booted
from hardpan.builder.machine.probe import acceleration
from hardpan.builder.machine.qemu import Spec, check_disk
from hardpan.builder.receipts import Access, Iso
from hardpan.errors import ToolError
from hardpan.events import Emit, Event, Note, silent
from hardpan.files import MiB, Sha256
from hardpan.process import run, spawn

pytestmark = pytest.mark.integration

SOON = Deadlines(phase_s=60, stall_s=8, total_s=120)
HANG = bytes([0xF4, 0xEB, 0xFD])  # hlt; jmp to it
OFF = bytes([0xBA, 0x04, 0x06, 0xB8, 0x00, 0x20, 0xEF, 0xF4])  # ACPI S5 on q35: power off


def sector(code: bytes) -> bytes:
    return code.ljust(510, b"\0") + b"\x55\xaa"


def saying(text: bytes) -> bytes:
    """Code that writes ``text`` to COM1 and then hangs."""
    # mov si, text; mov dx, 0x3f8; l: lodsb; test al, al; jz end; out dx, al; jmp l; end: hlt
    code = bytes([0xBE, 0x11, 0x7C, 0xBA, 0xF8, 0x03, 0xFC, 0xAC, 0x84, 0xC0, 0x74, 0x03])
    code += bytes([0xEE, 0xEB, 0xF8, 0xF4, 0xF4])
    return code + text + b"\0"


def boots(tmp_path: Path, code: bytes) -> Iso:
    """An ISO that boots ``code`` (El Torito, no emulation)."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "boot.img").write_bytes(sector(code).ljust(2048, b"\0"))
    path = tmp_path / "x.iso"
    argv = ["xorriso", "-as", "mkisofs", "-V", "X", "-b", "boot.img", "-no-emul-boot"]
    run([*argv, "-boot-load-size", "4", "-o", path, tree], timeout_s=60)
    none = Sha256("0" * 64)
    return Iso(
        path=path,
        sha256=none,
        volume_id="X",
        kickstart_sha256=none,
        media_sha256=none,
        secret=False,
    )


def spec(tmp_path: Path) -> Spec:
    return Spec(disk=tmp_path / "disk.qcow2", vcpus=1, memory_mib=128, firmware="bios")


def attempt(tmp_path: Path, code: bytes, emit: Emit = silent) -> ToolError:
    with pytest.raises(ToolError) as caught:
        install(
            boots(tmp_path, code),
            spec(tmp_path),
            size_mib=MiB(64),
            acceleration=acceleration(),
            log=tmp_path / "install.log",
            emit=emit,
            deadlines=SOON,
        )
    left = sorted(p.name for p in tmp_path.iterdir() if "qcow2" in p.name)
    assert left == []
    return caught.value


def test_a_guest_that_never_boots_is_stopped_by_the_stall_clock(tmp_path: Path) -> None:
    error = attempt(tmp_path, HANG)

    assert "wrote nothing for 8 s before the installer started" in str(error)
    assert "install.log" in error.hint
    assert (tmp_path / "install.ppm").read_bytes().startswith(b"P6")
    for name in ("install.log", "install.ppm"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_guest_that_panics_is_told_with_its_last_words(tmp_path: Path) -> None:
    notes: list[Event] = []

    error = attempt(tmp_path, saying(b"Kernel panic - not syncing: VFS\r\n"), notes.append)

    assert "stopped installing: Kernel panic - not syncing: VFS" in str(error)
    assert "Kernel panic" in error.tail
    again = [n.text for n in notes if isinstance(n, Note) and n.text.endswith("it once more")]
    assert len(again) == acceleration().starts - 1


def test_a_guest_that_goes_off_without_the_marker_has_not_installed(tmp_path: Path) -> None:
    error = attempt(tmp_path, OFF)

    assert "went off without saying that the install is complete" in str(error)


def test_a_marker_on_the_console_alone_is_not_success(tmp_path: Path) -> None:
    error = attempt(tmp_path, saying(b"HARDPAN-INSTALL: complete\r\n"))

    assert "wrote nothing" in str(error)


def test_a_disk_that_boots_nothing_never_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hardpan.builder.machine.boot._BOOT_S", 1.5)
    run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "disk.qcow2", "8M"], timeout_s=20)
    access = Access(user="x", private_key=tmp_path / "key", public_key="")

    with (
        pytest.raises(ToolError, match="did not answer on SSH in time"),
        booted(
            spec(tmp_path),
            access,
            acceleration(),
            log=tmp_path / "boot.log",
            emit=silent,
            overlay=True,
        ),
    ):
        pass


def test_an_emulated_guest_that_panics_at_its_start_gets_one_more_try(tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(sector(saying(b"Kernel panic - not syncing: x\r\n")).ljust(1 << 20, b"\0"))
    run(
        ["qemu-img", "convert", "-O", "qcow2", raw, tmp_path / "disk.qcow2"],
        timeout_s=20,
    )
    access = Access(user="x", private_key=tmp_path / "key", public_key="")
    notes: list[Event] = []
    power = replace(acceleration(), kind="tcg")

    with (
        pytest.raises(ToolError, match="failed to boot: Kernel panic"),
        booted(
            spec(tmp_path), access, power, log=tmp_path / "b.log", emit=notes.append, overlay=True
        ),
    ):
        pass

    said = [n.text for n in notes if isinstance(n, Note)]
    assert len(said) == 1
    assert "Kernel panic" in said[0]
    assert said[0].endswith("starting it once more")


def test_a_terminated_build_leaves_no_qemu_and_no_half_disk(tmp_path: Path) -> None:
    iso = boots(tmp_path, HANG)
    script = f"""
import signal
from pathlib import Path
from hardpan.builder.install import install
from hardpan.builder.machine.probe import acceleration
from hardpan.builder.machine.qemu import Spec
from hardpan.builder.receipts import Iso
signal.signal(signal.SIGTERM, signal.default_int_handler)
iso = Iso(path=Path({str(iso.path)!r}), sha256="0", volume_id="X", kickstart_sha256="0",
          media_sha256="0", secret=False)
spec = Spec(disk=Path({str(tmp_path / "disk.qcow2")!r}), vcpus=1, memory_mib=128, firmware="bios")
install(iso, spec, size_mib=64, acceleration=acceleration(), log=Path({str(tmp_path / "i.log")!r}),
        emit=lambda e: None)
"""
    with spawn([sys.executable, "-c", script], log=tmp_path / "outer.log") as p:
        wait_for(lambda: guests(tmp_path) != [])
        os.kill(p.pid, signal.SIGTERM)
        p.wait(timeout=30)

    wait_for(lambda: guests(tmp_path) == [])
    assert not [x.name for x in tmp_path.iterdir() if "disk" in x.name]


def test_kvm_is_believed_only_after_a_guest_ran() -> None:
    power = acceleration()

    assert ("really ran" in power.reason) == (power.kind == "kvm")
    if not Path("/dev/kvm").exists():
        assert (power.kind, power.reason[:20]) == ("tcg", "there is no /dev/kvm")


def test_a_damaged_disk_is_noticed(tmp_path: Path) -> None:
    disk = tmp_path / "x.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "64M"], timeout_s=20)
    check_disk(disk)
    data = bytearray(disk.read_bytes())
    data[0x30000:0x30008] = (0x8000_0000_0001_0000).to_bytes(8, "big")
    disk.write_bytes(data)

    with pytest.raises(ToolError, match="qemu-img exited with"):
        check_disk(disk)


def guests(tmp_path: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"qemu-system" in words and str(tmp_path).encode() in words:
            found.append(int(entry.name))
    return found


def wait_for(holds: object, limit_s: float = 30) -> None:
    assert callable(holds)
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)
