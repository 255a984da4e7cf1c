"""Evidence read for the record: verified where there is a policy, its package list with it."""

from dataclasses import dataclass
from pathlib import Path

from hardpan import clock
from hardpan.errors import TrustError
from hardpan.files import sha256_bytes
from scanners.evidence.archive import Archive
from scanners.evidence.policy import Trust
from scanners.evidence.statement import Statement
from scanners.evidence.verify import Opened, Verified, open_unverified, verify
from scanners.history.diff import Side

NOT_VERIFIED = "NOT VERIFIED: anyone could have written this; give --policy to check it"
_PACKAGES = "packages.txt"
_MAX_PACKAGES_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Evidence, ready to be compared, and whether anyone vouches for it."""

    side: Side
    found: Opened | Verified
    status: str
    """``verified: …`` or ``NOT VERIFIED: …``, for people."""


def read(path: Path, trust: Trust | None) -> Read:
    """The evidence in ``path``, verified against ``trust`` where there is one.

    Raises:
        InputError: the file cannot be read.
        RefusedError: it does not verify, or its parts do not fit.
    """
    if trust is None:
        opened = open_unverified(path)
        return Read(side=side(path, opened), found=opened, status=NOT_VERIFIED)
    verified = verify(path, trust, now=clock.now())
    over = "" if verified.within_limits else ", over the policy's limits"
    status = f"verified: signed by key {verified.key.id!r}{over}"
    return Read(side=side(path, verified), found=verified, status=status)


def of_the_past(trust: Trust) -> Trust:
    """``trust`` without what can only hold for the newest scan: greatest age and nonce."""
    policy = trust.policy.model_copy(update={"max_age_hours": None, "nonce": None})
    return trust.model_copy(update={"policy": policy})


def side(path: Path, found: Opened | Verified) -> Side:
    """What is compared of ``found``, whose archive lies at ``path``.

    Raises:
        TrustError: the package list is not the one that the statement names.
    """
    listed = {s.name for s in found.statement.subject}
    packages = None
    if _PACKAGES in listed:
        with Archive(path) as archive:
            data = subject(archive, found.statement, _PACKAGES, max_bytes=_MAX_PACKAGES_BYTES)
        packages = tuple(data.decode("utf-8", "replace").split("\n")[:-1])
    return Side(findings=found.findings, smoke=found.smoke, packages=packages)


def subject(archive: Archive, statement: Statement, name: str, *, max_bytes: int) -> bytes:
    """One attached file, held against its digest: the archive was closed since it was verified.

    Raises:
        TrustError: it is another file than the statement names.
    """
    data = archive.read(name, max_bytes=max_bytes)
    expected = {s.name: s.digest.sha256 for s in statement.subject}.get(name)
    found = sha256_bytes(data)
    if found != expected:
        raise TrustError(f"{archive.path}: {name}: changed while it was read")
    return data
