"""Read an attached file of evidence that was verified, or whose parts match, before."""

from hardpan.core.errors import TrustError
from hardpan.core.files import sha256_bytes
from hardpan.scanners.evidence.archive import EvidenceArchive
from hardpan.scanners.evidence.statement.model import Statement


def read_subject(
    archive: EvidenceArchive, statement: Statement, name: str, *, max_bytes: int
) -> bytes:
    """One attached file, checked against its digest: the archive was closed since it was verified.

    Raises:
        TrustError: it is another file than the statement names.
    """
    data = archive.read(name, max_bytes=max_bytes)
    expected = statement.list_digests().get(name)
    actual = sha256_bytes(data)
    if actual != expected:
        raise TrustError(f"{archive.path}: {name}: changed while it was read")
    return data
