"""The results of the builder's stages, as frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hardpan.core.files import MiB, Sha256
from hardpan.profiles.schema.ssg import Fix


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallMedia:
    """Verified install media."""

    path: Path
    sha256: Sha256
    size_bytes: int
    """Bytes."""

    volume_id: str
    """ISO 9660 volume label, e.g. ``HARDPAN-LAB-9``."""

    name: str
    """Name in the catalog (``lab9``, ``rocky9``), or the file's name."""

    verified_by: str = ""
    """How it was verified, e.g. ``sha256 from the catalogue`` or ``built here``."""

    metadata_sha256: Sha256 | None = None
    """Digest of the repository metadata that the profile was compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnattendedIso:
    """A remastered, unattended install ISO."""

    path: Path
    sha256: Sha256
    volume_id: str
    kickstart_sha256: Sha256
    media_sha256: Sha256
    """Digest of the media that it was remastered from."""

    has_secret: bool
    """True if its kickstart holds a secret (a LUKS passphrase); hashes do not count."""

    payload_sha256: str = ""
    """Digest of the list of the layers' files on it; empty if it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshAccess:
    """How the operator logs in to the installed system."""

    user: str
    private_key: Path
    """OpenSSH private key file, mode 0600, generated or named by an option."""

    public_key: str
    """One authorized_keys line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskImage:
    """A disk image, as a stage returns it."""

    path: Path
    """The qcow2 file."""

    virtual_size_mib: MiB
    """Size that the guest sees, in MiB; the file itself is sparse."""

    sha256: Sha256
    duration_s: float
    """Wall-clock seconds of the stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """A finished image in one of its formats, as the receipt lists it."""

    format: str
    """A name in ``hardpan.builder.vm.disk_format.DISK_FORMATS``."""

    path: Path
    sha256: str
    """Digest of the file's bytes, holes of a sparse file included."""

    media_type: str
    virtual_bytes: int
    """Size of the disk that a guest sees."""

    file_bytes: int
    """Length of the file."""

    allocated_bytes: int
    """What the file takes on this machine's disk; less than its length if it is sparse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootedGuest:
    """A booted virtual machine that accepts SSH; valid inside the ``with`` block of ``boot``."""

    address: str
    port: int
    user: str
    private_key: Path
    host_keys: tuple[str, ...]
    """``type base64`` public host keys, read from the machine's own console."""

    accelerator: str
    """``kvm`` or ``tcg``."""

    boot_s: float
    """Seconds from power-on to the first SSH banner."""

    proxy: str = ""
    """URL of the proxy for dnf; empty if it needs none or has no network egress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Result of the scan before hardening, as the ``stig`` layer needs it."""

    content_sha256: Sha256
    """Digest of the data stream of the scan and the fixes."""

    counts: dict[str, int]
    """Verdict -> number of rules."""

    fixes: tuple[Fix, ...]
    """The failing rules, in the content's order of remediation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOutcome:
    """What the ``stig`` layer did for a failing rule."""

    rule_id: str
    outcome: str
    """``applied`` (a later scan shows the verdict), ``waived``, ``no_fix`` or ``error``."""

    detail: str
    """The waiver's reason, or the last lines of the fix's output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelRecord:
    """One Python package of a stack."""

    name: str
    """Normalized name (PEP 503)."""

    version: str
    file: str
    """The wheel's file name."""

    sha256: str
    """Digest of the wheel: the lock's, unless it was built here."""

    licence: str
    source_sha256: str = ""
    """Digest of the locked source, if the wheel was built from it."""

    bundled_crypto: tuple[str, ...] = ()
    """Cryptographic libraries inside it, to which FIPS mode does not apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFinding:
    """A finding of the audit of a stack's wheels."""

    kind: str
    severity: str
    wheel: str
    location: str
    """File inside the wheel, or empty."""

    line: int
    """Its line, or 0."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackResult:
    """A Python stack in its RPM."""

    name: str
    rpm: str
    """File name of the package."""

    rpm_sha256: str
    header_sha256: str
    """Digest of the package's header, which identifies an installed package."""

    lock_sha256: str
    python: str
    has_bytecode: bool
    """True if its modules were compiled on the build machine."""

    wheels: tuple[WheelRecord, ...]
    findings: tuple[StackFinding, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read the result from the JSON that ``dataclasses.asdict`` gives."""
        wheels = (
            WheelRecord(**wheel_data | {"bundled_crypto": tuple(wheel_data["bundled_crypto"])})
            for wheel_data in data["wheels"]
        )
        findings = (StackFinding(**finding_data) for finding_data in data["findings"])
        return cls(**{**data, "wheels": tuple(wheels), "findings": tuple(findings)})


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineContent:
    """SCAP content with which a machine evaluates and remediates itself."""

    data_stream: bytes
    """Reduced to the rules of the profile."""

    profile_id: str
    """Full XCCDF id."""

    assessment: Assessment
    """Fixes of all rules of the profile, as if each had failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoPayload:
    """A folder for the ISO: what the layers need at the first boot."""

    folder: Path
    sha256: Sha256
    """Digest of its ``SHA256SUMS``, which has the digest of every other file."""

    size_bytes: int
    """Sum of the sizes of its files."""

    file_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """Result of an applied layer."""

    layer: str
    changed_tasks: int
    """Number of Ansible tasks that changed something."""

    duration_s: float
    outcomes: tuple[RuleOutcome, ...] = ()
    stacks: tuple[StackResult, ...] = ()
    """What ``ml_frameworks`` installed."""
