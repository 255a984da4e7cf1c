"""Results of a wheel audit, and its limits."""

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
    """A wheel, or a file in it, is malformed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLimits:
    """Limits of one wheel, above which it is refused or a part is not checked."""

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
    """Findings of one kind that are listed per wheel; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """A finding about one wheel."""

    kind: FindingKind
    """Category of the finding."""

    severity: Severity
    """``high``, ``medium`` or ``low``."""

    wheel: str
    """File name of the wheel; ``name==version`` of the lock entry if the wheel is missing."""

    message: str
    """One sentence."""

    path: str = ""
    """File inside the wheel, or ""."""

    line: int = 0
    """Its line, or 0."""

    library: str = ""
    """The bundled cryptographic library."""

    version: str = ""
    """Version of the library, if known."""

    evidence: tuple[str, ...] = ()
    """Texts with offset, symbols and SONAME that identify the library."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedWheel:
    """One audited wheel."""

    file: str
    """Its file name."""

    sha256: Sha256
    """Digest of the file."""

    refused: bool
    """True if the archive is unsafe and nothing in it was inspected."""

    native_files: int
    """ELF files in it."""

    python_sources: int
    """Python sources in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelAudit:
    """Result of auditing a folder of wheels."""

    lock_sha256: Sha256 | None
    """Digest of the lock file that the wheels were compared with, if any."""

    wheels: tuple[AuditedWheel, ...]
    """In the order of their names."""

    findings: tuple[AuditFinding, ...]
    """The worst first, then by wheel, file and line."""
