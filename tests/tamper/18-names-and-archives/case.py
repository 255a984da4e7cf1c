"""Names that lead out, archives that explode."""

import struct
import tempfile
from pathlib import Path

from hardpan.scanners.evidence.archive import write_archive
from tests.tamper.kit import DEVICE, SYMLINK, Evidence, rezipped


def _subject(w, name):
    def add(s):
        s["subject"].append({"name": name, "digest": {"sha256": "0" * 64}})

    return Evidence(files=w.changed(add))


def _zip(w, *add, mode=0o100644):
    return Evidence(archive=rezipped(w.good, add=add, mode=mode))


def _claims(w):
    """An archive as hardpan writes it, in which one entry claims 10 GB (as far as 32 bits go)."""
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "x"
        write_archive(path, w.good.items())
        data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFFF)
    return Evidence(archive=bytes(data))


def _bomb(w):
    return Evidence(archive=rezipped(w.good, add=(("zzz.txt", b"\0" * (32 << 20)),)))


VARIANTS = {
    "twin": lambda w: Evidence(files=w.changed(lambda s: None)),
    "listed: a way out": lambda w: _subject(w, "../../etc/passwd"),
    "listed: absolute": lambda w: _subject(w, "/etc/passwd"),
    "listed: backslash": lambda w: _subject(w, "..\\x"),
    "listed: NUL": lambda w: _subject(w, "x\0y"),
    "listed: right to left": lambda w: _subject(w, "fdp.\u202etxt"),
    "listed: the bundle itself": lambda w: _subject(w, "evidence.sigstore.json"),
    "packed: a way out": lambda w: _zip(w, ("../x", b"x")),
    "packed: absolute": lambda w: _zip(w, ("/x", b"x")),
    "packed: backslash": lambda w: _zip(w, ("..\\x", b"x")),
    "packed: a link": lambda w: _zip(w, ("zzz.txt", b"/etc/passwd"), mode=SYMLINK),
    "packed: a device": lambda w: _zip(w, ("zzz.txt", b""), mode=DEVICE),
    "packed: another case": lambda w: _zip(w, ("ARF-1.xml", b"x")),
    "packed: a bomb": _bomb,
    "packed: claims to be huge": _claims,
}
