"""Damaged archives: what is read of one has the digests of the signed statement, or is refused."""

from pathlib import Path

from hardpan.scanners.evidence.archive import EvidenceArchive
from hardpan.scanners.evidence.verify.verifier import verify
from tests.fuzz.target import FuzzTarget, mutate_samples
from tests.unit.evidence.evidence_fixture import NOW
from tests.unit.evidence.evidence_fixture import create_fixture as make_evidence

_PIECES = (
    *(b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\7\x08"),
    *(b"\0", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff", b"\0\0\0\x80", b"\x14\0\0\0\x08\0"),
    *(b"../", b"/etc/passwd", b"statement.json", b"verify.sh", b"\xed\x41", b"\xff\xa1"),
)
_MAX_BYTES = 4 << 20


def target(folder: Path) -> FuzzTarget:
    """Archives for their reader; where it reads other files than there were, the verifier too."""
    lab = make_evidence(folder)
    good, trust = lab.read_files(), lab.load_policy()
    archive_bytes = lab.valid_path.read_bytes()
    statement = verify(lab.valid_path, trust, now=NOW).statement
    path = folder / "fuzz.evidence.zip"
    # Most bytes of the evidence are deflated data; of a few small files most are structure.
    small_files = {n: good[n] for n in ("host.json", "packages.txt", "verify.sh")}
    small = lab.pack(small_files).read_bytes()

    def check(data: bytes) -> str:
        path.write_bytes(data)
        with EvidenceArchive(path) as archive:
            read = {name: archive.read(name, max_bytes=_MAX_BYTES) for name in archive.entries}
        if read in (good, small_files):
            return "read as it was"
        assert verify(path, trust, now=NOW).statement == statement
        return "accepted with the same statement"

    return FuzzTarget(
        name="evidence_archive",
        inputs=mutate_samples([archive_bytes, small, small], _PIECES),
        check=check,
    )
