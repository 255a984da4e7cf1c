"""Names outside of the archive, and compression bombs."""

import struct
import tempfile
from pathlib import Path

from hardpan.scanners.evidence.archive import write_archive
from tests.tamper.kit import DEVICE, SYMLINK, Evidence, build_zip


def _subject(kit, name):
    def add(s):
        s["subject"].append({"name": name, "digest": {"sha256": "0" * 64}})

    return Evidence(files=kit.resign_changed(add))


def _zip(kit, *add, mode=0o100644):
    return Evidence(archive=build_zip(kit.valid_files, add=add, mode=mode))


def _claims(kit):
    """Return a valid archive in which one entry declares the maximum size of 32 bits."""
    with tempfile.TemporaryDirectory() as temp_dir:
        path = Path(temp_dir) / "x"
        write_archive(path, kit.valid_files.items())
        data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFFF)
    return Evidence(archive=bytes(data))


def _bomb(kit):
    return Evidence(archive=build_zip(kit.valid_files, add=(("zzz.txt", b"\0" * (32 << 20)),)))


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.resign_changed(lambda s: None)),
    "listed: parent folder": lambda kit: _subject(kit, "../../etc/passwd"),
    "listed: absolute": lambda kit: _subject(kit, "/etc/passwd"),
    "listed: backslash": lambda kit: _subject(kit, "..\\x"),
    "listed: NUL": lambda kit: _subject(kit, "x\0y"),
    "listed: right to left": lambda kit: _subject(kit, "fdp.\u202etxt"),
    "listed: the bundle itself": lambda kit: _subject(kit, "evidence.sigstore.json"),
    "packed: parent folder": lambda kit: _zip(kit, ("../x", b"x")),
    "packed: absolute": lambda kit: _zip(kit, ("/x", b"x")),
    "packed: backslash": lambda kit: _zip(kit, ("..\\x", b"x")),
    "packed: a link": lambda kit: _zip(kit, ("zzz.txt", b"/etc/passwd"), mode=SYMLINK),
    "packed: a device": lambda kit: _zip(kit, ("zzz.txt", b""), mode=DEVICE),
    "packed: another case": lambda kit: _zip(kit, ("ARF-1.xml", b"x")),
    "packed: a bomb": _bomb,
    "packed: claims to be huge": _claims,
}
