"""Install media that try to change or read files of the build machine, or to exhaust it.

The real xorriso and mtools write them. The files to protect are in a separate folder, and must
be unchanged afterwards: content, modes, times, links.
"""

import os
import shutil
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.builder.artifacts import InstallMedia
from hardpan.builder.media import iso9660, sources
from hardpan.builder.media.inspect import copy_bytes, exists, extract, find_files, inspect_iso
from hardpan.builder.media.remaster import remaster
from hardpan.core.errors import HardpanError, InputError
from hardpan.core.events import discard
from hardpan.core.files import Sha256
from hardpan.core.process import run
from tests.integration import rocky_dvd, tiny_media
from tests.integration.tiny_media import MENU, make_el10_iso

pytestmark = pytest.mark.integration

LABEL = "Rocky-10-2-x86_64-dvd"
GRUB, EFI, ISOLINUX = "boot/grub2/grub.cfg", "EFI/BOOT/grub.cfg", "isolinux/isolinux.cfg"
ARGUMENTS = (f"inst.ks=hd:LABEL={LABEL}:/ks.cfg", "inst.text")
_ROOT_RECORD, _VOLUME_ID, _VOLUME_BLOCKS = 32768 + 156, 32768 + 40, 32768 + 80


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Files that media must not reach: a private key, and a boot menu of this machine."""
    folder = tmp_path / "victim"
    folder.mkdir(mode=0o700)
    (folder / "key").write_text("PRIVATE KEY\n")
    (folder / "key").chmod(0o600)
    (folder / "grub.cfg").write_text(MENU.replace(tiny_media.LABEL, LABEL))
    (folder / "grub.cfg").chmod(0o600)
    return folder


def snapshot(folder: Path) -> list[tuple[object, ...]]:
    """All that may not change."""
    entries = []
    for path in (folder, *sorted(folder.rglob("*"))):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        entries.append(
            (path, status.st_mode, status.st_uid, status.st_nlink, status.st_mtime_ns, content)
        )
    return entries


def _link(name: str, target: str) -> Callable[[Path], object]:
    """``name`` becomes a link, with ``{victim}`` in its target replaced by the test's folder."""

    def prepare(tree: Path) -> None:
        path = tree / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target.replace("{victim}", str(tree.parents[1] / "victim")))

    return prepare


def _pipe(name: str) -> Callable[[Path], object]:
    def prepare(tree: Path) -> None:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).unlink(missing_ok=True)
        os.mkfifo(tree / name)

    return prepare


def _socket(name: str) -> Callable[[Path], object]:
    def prepare(tree: Path) -> None:
        (tree / name).unlink()
        os.mknod(tree / name, stat.S_IFSOCK | 0o600)

    return prepare


def _device(name: str, kind: int) -> Callable[[Path], object]:
    def prepare(tree: Path) -> None:
        if os.geteuid():
            pytest.skip("only root makes devices")
        (tree / name).unlink()
        os.mknod(tree / name, kind | 0o666, os.makedev(1, 3))

    return prepare


def _folder(name: str) -> Callable[[Path], object]:
    def prepare(tree: Path) -> None:
        (tree / name).unlink(missing_ok=True)
        (tree / name).mkdir(parents=True)
        (tree / name / "grub.cfg").write_text(MENU)

    return prepare


def _menu(data: bytes) -> Callable[[Path], object]:
    return lambda tree: (tree / GRUB).write_bytes(data)


def _deep(tree: Path) -> None:
    (tree / "/".join(["d"] * 40)).mkdir(parents=True)


def _isolinux_link(tree: Path) -> None:
    (tree / "isolinux").symlink_to(tree.parents[1] / "victim")


HOSTILE_TREES: list[tuple[str, Callable[[Path], object], str]] = [
    ("menu-is-link-to-key", _link(GRUB, "{victim}/key"), "expected a file, got a symbolic link"),
    ("menu-is-link-to-menu", _link(GRUB, "{victim}/grub.cfg"), "got a symbolic link"),
    ("efi-menu-is-relative-link", _link(EFI, "../../../../../../../{victim}/grub.cfg"),
     "got a symbolic link"),
    ("isolinux-menu-is-link", _link(ISOLINUX, "{victim}/grub.cfg"), "got a symbolic link"),
    ("menu-folder-is-link", _link("boot/grub2", "{victim}"),
     "/boot/grub2: expected a folder, got a symbolic link"),
    ("boot-is-link", _link("boot", "/etc"), "/boot: expected a folder, got a symbolic link"),
    ("isolinux-folder-is-link", _isolinux_link, "/isolinux: expected a folder, got a symbolic"),
    ("menu-links-to-itself", _link(GRUB, "grub.cfg"), "got a symbolic link"),
    ("folder-links-to-itself", _link("boot/grub2", "."), "got a symbolic link"),
    ("menu-is-link-inside-of-the-iso", _link(GRUB, "../../EFI/BOOT/grub.cfg"), "got a symbolic"),
    ("kickstart-is-link", _link("ks.cfg", "{victim}/key"), "/ks.cfg: expected a file, got a symb"),
    ("kickstart-is-folder", _folder("ks.cfg"), "/ks.cfg: expected a file, got a folder"),
    ("menu-is-folder", _folder(GRUB), "/boot/grub2/grub.cfg: expected a file, got a folder"),
    ("menu-is-pipe", _pipe(GRUB), "expected a file, got a pipe"),
    ("menu-is-socket", _socket(GRUB), "expected a file, got a socket"),
    ("menu-is-character-device", _device(GRUB, stat.S_IFCHR), "got a character device"),
    ("menu-is-block-device", _device(EFI, stat.S_IFBLK), "got a block device"),
    ("pipe-among-the-packages", _pipe("Packages/x.rpm"), "expected a file, got a pipe"),
    ("menu-is-not-utf-8", _menu(b"menuentry '\xff'\n"), "expected text in UTF-8, got byte 0xff"),
    ("menu-is-utf-16", _menu(MENU.encode("utf-16")), "expected text in UTF-8"),
    ("menu-has-escape-codes", _menu(b"\x1b]0;x\x07" + MENU.encode()), "control character '\\x1b'"),
    ("menu-is-too-long", _menu(MENU.encode() + b"#" * (1 << 20)), "too long: expected at most"),
    ("menu-without-titles", _menu(b"menuentry {\nlinux /v inst.repo=x\n}\n"), "without a title"),
    ("forty-folders-deep", _deep, "expected folders at most 32 deep, got more"),
]  # fmt: skip


def assert_rejected(iso: Path, tmp_path: Path, victim: Path, problem: str) -> None:
    """Remaster ``iso``: it is refused as input, says why, and leaves nothing changed or new."""
    victim_before, out = snapshot(victim), tmp_path / "out"
    out.mkdir()
    media = InstallMedia(
        path=iso,
        sha256=Sha256("0" * 64),
        size_bytes=iso.stat().st_size,
        volume_id=LABEL,
        name="rocky10",
    )

    with pytest.raises(HardpanError) as caught:
        remaster(media, "text\n", out / "x.iso", arguments=ARGUMENTS, secret=False, emit=discard)

    assert isinstance(caught.value, InputError)
    assert problem in str(caught.value)
    assert snapshot(victim) == victim_before
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("prepare", "problem"),
    [row[1:] for row in HOSTILE_TREES],
    ids=[row[0] for row in HOSTILE_TREES],
)
def test_hostile_tree_is_rejected_without_changes(
    tmp_path: Path, victim: Path, prepare: Callable[[Path], object], problem: str
) -> None:
    (tmp_path / "iso").mkdir()
    iso = make_el10_iso(tmp_path / "iso", LABEL, prepare=prepare)

    assert_rejected(iso, tmp_path, victim, problem)


@pytest.mark.parametrize(
    ("menu", "problem"),
    [
        (b"\xff\xfe", "::/EFI/BOOT/grub.cfg: expected text in UTF-8"),
        (b"\x1b[2J" + MENU.encode(), "expected text, got the control character"),
        (MENU.encode() + b"#" * (300 << 10), "the EFI image: mtype: no menu at"),
        (b"menuentry 'x' {\n}\n", "::/EFI/BOOT/grub.cfg: the boot menu has no install entry"),
        (None, "::/EFI/BOOT/grub.cfg: the boot menu has no install entry"),
    ],
    ids=["not-utf-8", "escape-codes", "too-long", "no-entry", "folder"],
)
def test_hostile_menu_in_efi_image_is_rejected(
    tmp_path: Path, victim: Path, menu: bytes | None, problem: str
) -> None:
    (tmp_path / "iso").mkdir()
    iso = make_el10_iso(tmp_path / "iso", LABEL, fat_menu=menu)

    assert_rejected(iso, tmp_path, victim, problem)


def _patch(iso: Path, offset: int, data: bytes) -> None:
    with iso.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def _find_records(data: bytes, name: bytes) -> list[int]:
    """Where the directory records of ``name`` in the ISO 9660 tree begin (ECMA-119 9.1)."""
    offsets, position = [], data.find(name)
    while position >= 0:
        if data[position - 1] == len(name):
            offsets.append(position - 33)
        position = data.find(name, position + 1)
    return offsets


def _claim(iso: Path, name: bytes, *, size: int | None = None, block: int | None = None) -> None:
    """Let the directory record of ``name`` claim another size or place."""
    records = _find_records(iso.read_bytes(), name)
    assert records
    for record in records:
        for offset, value in ((2, block), (10, size)):
            if value is not None:
                _patch(iso, record + offset, struct.pack("<I", value) + struct.pack(">I", value))


def _claim_menu(iso: Path) -> None:
    _claim(iso, b"GRUB.CFG;1", size=0xFFFFF000)


def _claim_menu_elsewhere(iso: Path) -> None:
    _claim(iso, b"GRUB.CFG;1", block=0x7FFFFFF0)


def _claim_forty_gigabytes(iso: Path) -> None:
    _claim(iso, b"VMLINUZ.;1", size=0xFFFFF000)
    _claim(iso, b"INITRD.IMG;1", size=0xFFFFF000)


def _volume_id(text: bytes) -> Callable[[Path], None]:
    return lambda iso: _patch(iso, _VOLUME_ID, text.ljust(32))


def _efi_entry(iso: Path) -> int:
    """Where the entry of the UEFI image in the El Torito boot catalog begins."""
    data = iso.read_bytes()
    catalog = struct.unpack_from("<I", data, 17 * 2048 + 71)[0] * 2048
    entries = range(catalog + 64, catalog + 2048, 32)
    return next(
        position + 32
        for position in entries
        if data[position : position + 2] in (b"\x90\xef", b"\x91\xef")
    )


def _efi_far_away(iso: Path) -> None:
    _patch(iso, _efi_entry(iso) + 8, struct.pack("<I", 0xFFFFFFF0))


def _efi_beyond_the_end(iso: Path) -> None:
    last = iso.stat().st_size // 2048 - 1
    _patch(iso, _efi_entry(iso) + 6, struct.pack("<HI", 0xFFFF, last))


def _loop_of_folders(iso: Path) -> None:
    """/boot/grub2 is /boot, and so on for ever."""
    data = iso.read_bytes()
    block = struct.unpack_from("<I", data, _find_records(data, b"BOOT")[0] + 2)[0]
    _claim(iso, b"GRUB2", block=block)


def _sparse(iso: Path) -> None:
    os.truncate(iso, 40 << 30)


def _claims_to_be_larger(iso: Path) -> None:
    _patch(iso, _VOLUME_BLOCKS, struct.pack("<I", 20 << 20) + struct.pack(">I", 20 << 20))


def _root_elsewhere(iso: Path) -> None:
    _patch(iso, _ROOT_RECORD + 2, struct.pack("<I", 0x7FFFFFF0) + struct.pack(">I", 0x7FFFFFF0))


def _fat_endless_chain(iso: Path) -> None:
    """Each cluster's successor is the same one: a chain without an end."""
    iso_facts = inspect_iso(iso)
    _patch(iso, iso_facts.efi_offset + 512, b"\xf0\xff\xff" + b"\x03\x30\x00" * 300)


def _fat_oversized_claim(iso: Path) -> None:
    iso_facts = inspect_iso(iso)
    _patch(iso, iso_facts.efi_offset + 19, b"\0\0")
    _patch(iso, iso_facts.efi_offset + 22, b"\xff\xff")
    _patch(iso, iso_facts.efi_offset + 32, b"\xff\xff\xff\xff")


HOSTILE_BYTES: list[tuple[str, Callable[[Path], None], str]] = [
    ("menus-claim-4-gib", _claim_menu, "claim more than it has"),
    ("menu-lies-beyond-the-end", _claim_menu_elsewhere, "expected it in the ISO's"),
    ("files-claim-more-than-the-iso", _claim_forty_gigabytes, "claim more than it has"),
    ("escape-codes-in-the-label", _volume_id(b"\x1b]0;pwned\x07"), "32 printable ASCII"),
    ("c1-codes-in-the-label", _volume_id(b"\x9b2J"), "32 printable ASCII"),
    ("no-label", _volume_id(b""), "the ISO's label is 'ISOIMAGE'"),
    ("efi-image-far-away", _efi_far_away, "xorriso cannot read it"),
    ("efi-image-beyond-the-end", _efi_beyond_the_end, "the EFI image"),
    ("loop-of-folders", _loop_of_folders, "has two parents or contains itself"),
    ("sparse-40-gib", _sparse, "too large: expected at most 34359738368 bytes, got 42949672960"),
    ("claims-to-have-40-gib", _claims_to_be_larger, "the ISO is truncated"),
    ("root-folder-elsewhere", _root_elsewhere, "expected at most 16777216 bytes in the"),
    ("fat-chain-without-end", _fat_endless_chain, "the EFI image"),
    ("fat-claims-more", _fat_oversized_claim, "the EFI image"),
]


@pytest.mark.parametrize(
    ("change", "problem"), [row[1:] for row in HOSTILE_BYTES], ids=[row[0] for row in HOSTILE_BYTES]
)
def test_iso_with_false_claims_is_rejected_without_changes(
    tmp_path: Path, victim: Path, change: Callable[[Path], None], problem: str
) -> None:
    (tmp_path / "iso").mkdir()
    iso = make_el10_iso(tmp_path / "iso", LABEL)
    change(iso)

    assert_rejected(iso, tmp_path, victim, problem)


def test_name_with_parent_segments_is_rejected(tmp_path: Path, victim: Path) -> None:
    def prepare(tree: Path) -> None:
        (tree / "boot/grub2/AAAAAAAAAAAA").write_text(MENU)

    (tmp_path / "iso").mkdir()
    iso = make_el10_iso(tmp_path / "iso", LABEL, prepare=prepare)
    data = iso.read_bytes()
    iso.write_bytes(data.replace(b"AAAAAAAAAAAA", b"../../../k.x"))
    victim_before = snapshot(tmp_path / "victim")

    files = find_files(iso, ["/boot/grub2/grub.cfg"])
    with pytest.raises(InputError):
        extract(iso, {"/boot/grub2/../../../k.x": tmp_path / "k"})

    assert list(files) == ["/boot/grub2/grub.cfg"]
    assert snapshot(victim) == victim_before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["iso", "victim"]


def test_copy_bytes_does_not_overwrite_or_follow_links(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "iso").mkdir()
    iso = make_el10_iso(tmp_path / "iso", LABEL)
    (tmp_path / "to").symlink_to(victim / "key")
    (tmp_path / "dangling").symlink_to(victim / "new")
    victim_before = snapshot(victim)
    extent = find_files(iso, [f"/{GRUB}"])[f"/{GRUB}"]

    for destination in (tmp_path / "to", tmp_path / "dangling", victim / "key"):
        with pytest.raises(InputError, match="cannot be copied to"):
            copy_bytes(iso, extent, destination)

    assert snapshot(victim) == victim_before


def test_exists_accepts_regular_files_only(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "iso").mkdir()
    iso = make_el10_iso(tmp_path / "iso", LABEL, prepare=_link(GRUB, "{victim}/key"))
    victim_before = snapshot(victim)

    assert exists(iso, f"/{EFI}")
    assert not exists(iso, "/isolinux/isolinux.cfg")
    for name in (f"/{GRUB}", "/boot/grub2"):
        with pytest.raises(InputError, match="expected a file, got a"):
            exists(iso, name)

    assert snapshot(victim) == victim_before


def test_pipe_as_iso_is_rejected(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.iso")

    with pytest.raises(InputError, match="no such ISO"):
        sources.provide_media("rocky10", file=tmp_path / "x.iso", cache=tmp_path, emit=discard)
    with pytest.raises(InputError, match="expected a regular file, got a pipe"):
        inspect_iso(tmp_path / "x.iso")


def test_file_count_is_limited(
    tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "iso").mkdir()
    iso = make_el10_iso(tmp_path / "iso", LABEL)
    monkeypatch.setattr(iso9660, "MAX_FILES", 5)

    assert_rejected(iso, tmp_path, victim, "too many files: expected at most 5")


@pytest.mark.parametrize(
    ("prepare", "problem"),
    [
        (_link(GRUB, "{victim}/key"), "expected a file, got a symbolic link"),
        (_link(GRUB, "{victim}/grub.cfg"), "expected a file, got a symbolic link"),
        (_folder(GRUB), "expected a file, got a folder"),
        (_menu(b"menuentry '\xff'\n"), "expected text in UTF-8"),
    ],
    ids=["link-to-key", "link-to-menu", "folder", "not-utf-8"],
)
def test_build_with_hostile_iso_exits_three(
    tmp_path: Path,
    victim: Path,
    capsys: pytest.CaptureFixture[str],
    prepare: Callable[[Path], object],
    problem: str,
) -> None:
    iso = rocky_dvd.write_iso(rocky_dvd.complete_dvd(10), tmp_path / "iso", change=prepare)
    run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "k"], timeout_s=20)
    victim_before, out = snapshot(victim), tmp_path / "out"

    argv = ["build", "rocky10-stig", "--as", "iso", "--media", iso, "--ssh-key", tmp_path / "k"]
    code = cli.run([*map(str, argv), "-o", str(out), "--cache", str(tmp_path / "cache")])

    assert code == 3
    assert problem in capsys.readouterr().err
    assert snapshot(victim) == victim_before
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600
    # The lock of the folder stays: whoever waits for it has it open.
    hidden = {p.name for p in out.rglob(".*")}
    assert hidden <= {".hardpan.lock"}
    assert not list(out.rglob("*.iso"))
