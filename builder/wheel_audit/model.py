"""What an audit of wheels says, and how much of a wheel it reads."""

from dataclasses import dataclass
from typing import Literal

from hardpan.core.errors import InputError
from hardpan.core.files import Sha256

Severity = Literal["high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low")
"""The worst first."""

FindingKind = Literal[
    "bundled_crypto",
    "unguarded_md5",
    "not_locked",
    "digest_differs",
    "missing",
    "unsafe_archive",
    "not_checked",
]


class MalformedWheelError(InputError):
    """A wheel, or a file in it, that cannot be read as what it says it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLimits:
    """How much of one wheel is read before it is refused, or a part left unread."""

    max_members: int = 200_000
    """Entries of the archive."""

    max_directory_bytes: int = 64 << 20
    """Bytes of the archive's own list of entries."""

    max_unpacked_bytes: int = 24 << 30
    """Bytes that all files may take once unpacked; PyTorch's take some 4 GiB."""

    min_ratio_bytes: int = 256 << 20
    """Below this, ``ratio`` does not matter."""

    max_ratio: int = 100
    """How many times its packed size a wheel may take."""

    max_record_bytes: int = 32 << 20
    """Bytes of RECORD."""

    max_source_bytes: int = 1 << 20
    """Bytes of one Python source: a hostile one's syntax tree takes 900 times as much."""

    max_closure_bytes: int = 96 << 20
    """Bytes of sources read to learn which modules an import reaches."""

    max_table_bytes: int = 192 << 20
    """Bytes of one symbol or string table of an ELF file; TensorFlow's largest has 168 MiB."""

    max_findings_per_kind: int = 200
    """Findings of one kind told per wheel; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """One thing to know before a wheel goes onto a hardened host."""

    kind: FindingKind
    """What it is about."""

    severity: Severity
    """How much it matters."""

    wheel: str
    """File name of the wheel; of the lock's entry, ``name==version``, when none is there."""

    message: str
    """One sentence."""

    path: str = ""
    """The file inside of the wheel, or nothing."""

    line: int = 0
    """Its line, or 0."""

    library: str = ""
    """The cryptographic library that was found."""

    version: str = ""
    """Its version, where the file tells it."""

    evidence: tuple[str, ...] = ()
    """What it was recognised by: text with its offset, symbols, SONAME."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedWheel:
    """One wheel that was looked at."""

    file: str
    """Its file name."""

    sha256: Sha256
    """Digest of the file."""

    refused: bool
    """True when the archive is not to be opened, and nothing in it was looked at."""

    native_files: int
    """ELF files in it."""

    python_sources: int
    """Python sources in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelAudit:
    """What a folder of wheels holds."""

    lock_sha256: Sha256 | None
    """Digest of the lock file that the wheels were held against, if any."""

    wheels: tuple[AuditedWheel, ...]
    """In the order of their names."""

    findings: tuple[AuditFinding, ...]
    """The worst first, then by wheel, file and line."""
