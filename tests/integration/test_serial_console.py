"""The overlay with which the builder reads the serial port of an unchanged ISO."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.builder.artifacts import InstallMedia
from hardpan.builder.media.boot_menu import MENUS
from hardpan.builder.media.inspect import exists, extract, inspect_iso
from hardpan.builder.media.remaster import remaster
from hardpan.builder.media.serial_console import overlay_with_serial_console
from hardpan.core.errors import InputError
from hardpan.core.events import discard
from hardpan.core.files import sha256_file
from hardpan.core.process import run
from hardpan.kickstart import CONSOLE_ARGUMENTS
from tests.integration import tiny_media

pytestmark = pytest.mark.integration

SCREEN_LAST = "console=ttyS0,115200 console=tty0"
SERIAL_LAST = "console=tty0 console=ttyS0,115200"


@pytest.fixture(scope="module", params=["el9", "el10"])
def media(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> InstallMedia:
    make_media: Callable[[Path], InstallMedia] = getattr(tiny_media, f"make_{request.param}_media")
    return make_media(tmp_path_factory.mktemp(request.param))


TIMEOUTS = {"set timeout=-1\n": "set timeout=5 \n", "timeout 00\n": "timeout 50\n"}
"""Timeouts of a menu that waits for a key -> those of the overlay, for GRUB and isolinux."""


def make_iso(media: InstallMedia, path: Path, *consoles: str, waits_for_key: bool = False) -> Path:
    remaster(
        media,
        "text\n",
        path,
        arguments=(f"inst.ks=hd:LABEL={tiny_media.LABEL}:/ks.cfg", *consoles),
        secret=False,
        emit=discard,
        waits_for_key=waits_for_key,
    )
    return path


def read_menus(iso: Path, workdir: Path) -> dict[str, str]:
    """Read each copy of the boot menu, the one in the FAT image too."""
    workdir.mkdir()
    places = {name: workdir / str(n) for n, name in enumerate(MENUS) if exists(iso, name)}
    extract(iso, places)
    facts = inspect_iso(iso)
    (workdir / "fat").write_bytes(iso.read_bytes()[facts.efi_offset :][: facts.efi_size])
    argv = ["mcopy", "-n", "-i", workdir / "fat", "::/EFI/BOOT/grub.cfg", workdir / "f"]
    run(argv, timeout_s=20)
    return {**{n: p.read_text() for n, p in places.items()}, "FAT": (workdir / "f").read_text()}


@pytest.mark.parametrize("waits_for_key", [False, True])
def test_overlay_differs_from_the_iso_only_in_consoles_and_timeout(
    media: InstallMedia, tmp_path: Path, waits_for_key: bool
) -> None:
    iso = make_iso(media, tmp_path / "x.iso", *CONSOLE_ARGUMENTS, waits_for_key=waits_for_key)
    digest = sha256_file(iso)
    raw = tmp_path / "raw.iso"

    with overlay_with_serial_console(iso, tmp_path) as overlay:
        argv = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", overlay, raw]
        run(argv, timeout_s=60)

    delivered, booted = read_menus(iso, tmp_path / "a"), read_menus(raw, tmp_path / "b")
    assert len(delivered) == 3
    for name, menu in delivered.items():
        assert SCREEN_LAST in menu
        waiting = [timeout for timeout in TIMEOUTS if timeout in menu]
        assert len(waiting) == int(waits_for_key)
        expected = menu.replace(SCREEN_LAST, SERIAL_LAST)
        for timeout in waiting:
            expected = expected.replace(timeout, TIMEOUTS[timeout])
        assert booted[name] == expected
    assert inspect_iso(raw) == inspect_iso(iso)
    assert sha256_file(iso) == digest
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "raw.iso", "x.iso"]
    assert count_differing_sectors(iso, raw) <= 8


def count_differing_sectors(left: Path, right: Path) -> int:
    a, b = left.read_bytes(), right.read_bytes().ljust(left.stat().st_size, b"\0")
    size = 2048
    return sum(a[i : i + size] != b[i : i + size] for i in range(0, len(a), size))


@pytest.mark.parametrize("consoles", [(), ("console=tty0", "console=ttyS0,115200")])
def test_iso_without_the_consoles_is_rejected(
    media: InstallMedia, tmp_path: Path, consoles: tuple[str, ...]
) -> None:
    iso = make_iso(media, tmp_path / "x.iso", *consoles)

    with (
        pytest.raises(InputError, match="expected 'console=ttyS0,115200 console=tty0' in the boot"),
        overlay_with_serial_console(iso, tmp_path),
    ):
        pass

    assert [p.name for p in tmp_path.iterdir()] == ["x.iso"]
