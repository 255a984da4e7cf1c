"""Real QEMU types a passphrase on the serial port of a guest that is one boot sector."""

from dataclasses import replace
from pathlib import Path

import pytest

from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.disk_image import create_disk
from hardpan.builder.vm.probe import detect_acceleration
from hardpan.builder.vm.qemu import VirtualMachine, start_vm
from hardpan.core.errors import ToolError
from tests.integration.test_vm import make_boot_iso, make_spec

pytestmark = pytest.mark.integration

PASSPHRASE = "correct-horse-battery-staple-0123456789"
"""Longer than the 16 characters of the port's buffer."""

PROMPT = b"Please enter passphrase for disk luks-x (vda3): "
# start: mov si, prompt; mov dx, 0x3f8; cld; p: lodsb; test al, al; jz r; out dx, al; jmp p
ASK_CODE = bytes([0xBE, 0x27, 0x7C, 0xBA, 0xF8, 0x03, 0xFC, 0xAC, 0x84, 0xC0, 0x74, 0x03])
ASK_CODE += bytes([0xEE, 0xEB, 0xF8])
# r: mov dx, 0x3fd; w: in al, dx; test al, 1; jz w; mov dx, 0x3f8; in al, dx; cmp al, 13; je n
ASK_CODE += bytes([0xBA, 0xFD, 0x03, 0xEC, 0xA8, 0x01, 0x74, 0xFB, 0xBA, 0xF8, 0x03, 0xEC])
ASK_CODE += bytes([0x3C, 0x0D, 0x74, 0x03])
# out dx, al; jmp r; n: mov al, 10; out dx, al; jmp start; the prompt
ASK_CODE += bytes([0xEE, 0xEB, 0xED, 0xB0, 0x0A, 0xEE, 0xEB, 0xD9]) + PROMPT + b"\0"
"""Asks for ever, and prints what it reads."""


@pytest.fixture
def spec(tmp_path: Path) -> VmSpec:
    """A guest that asks for a passphrase."""
    iso = make_boot_iso(tmp_path, ASK_CODE)
    spec = replace(make_spec(tmp_path), cdrom=iso, boot_device="cdrom")
    create_disk(spec.disk, size_mib=8)
    return spec


def watch_repeatedly(machine: VirtualMachine) -> None:
    for _ in range(200):
        machine.watch()


def test_passphrase_is_typed_until_it_is_refused(spec: VmSpec, tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    spec = replace(spec, disk_passphrase=PASSPHRASE)

    with (
        start_vm(spec, detect_acceleration(), log=log) as machine,
        pytest.raises(ToolError, match="did not accept the passphrase of its disk") as caught,
    ):
        watch_repeatedly(machine)

    assert "--luks-passphrase-file" in caught.value.hint
    assert log.read_bytes().count(PROMPT + PASSPHRASE.encode() + b"\n") == 3
    assert log.stat().st_mode & 0o777 == 0o600


def test_nothing_is_typed_after_the_boot(spec: VmSpec, tmp_path: Path) -> None:
    """The console is still logged when nobody reads the connection any more."""
    log = tmp_path / "console.log"
    spec = replace(spec, disk_passphrase=PASSPHRASE)

    with start_vm(spec, detect_acceleration(), log=log) as machine:
        machine.stop_typing()
        for _ in range(100):
            machine.watch()
            if machine.console.passphrase_prompts:
                break
        machine.watch(1.0)

    assert machine.console.passphrase_prompts == 1
    assert PASSPHRASE.encode() not in log.read_bytes()
