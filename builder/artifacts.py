"""What the builder's stages hand on: plain frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hardpan.core.files import MiB, Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallMedia:
    """An install ISO that was found and checked."""

    path: Path
    sha256: Sha256
    size_bytes: int
    """Bytes."""

    volume_id: str
    """ISO 9660 volume label, e.g. ``HARDPAN-LAB-9``."""

    name: str
    """Name in the catalogue (``lab9``, ``rocky9``), or the file's name."""

    verified_by: str = ""
    """What vouches for it, in words: ``sha256 from the catalogue``, ``built here``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnattendedIso:
    """A remastered, unattended install ISO."""

    path: Path
    sha256: Sha256
    volume_id: str
    kickstart_sha256: Sha256
    media_sha256: Sha256
    """Digest of the media it was made from."""

    has_secret: bool
    """True when the kickstart on it holds a secret (a LUKS passphrase); hashes do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshAccess:
    """How the operator reaches the installed system."""

    user: str
    private_key: Path
    """OpenSSH private key file, mode 0600, made for this build or given."""

    public_key: str
    """One authorized_keys line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskImage:
    """A disk image, as one stage hands it to the next."""

    path: Path
    """The qcow2 file."""

    virtual_size_mib: MiB
    """The size the guest sees; the file itself is sparse."""

    sha256: Sha256
    duration_s: float
    """Wall-clock seconds the stage needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootedGuest:
    """A booted machine that answers on SSH; valid inside the ``with`` block that made it."""

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
    """What dnf on it gets packages through; nothing where it needs no proxy, or reaches nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One failing rule and the content's own fix for it."""

    rule_id: str
    """Full XCCDF id."""

    severity: str
    script: str
    """The fix as bash, values filled in; empty when the content has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What a scan before hardening found, as the ``stig`` layer needs it."""

    content_sha256: Sha256
    """Digest of the data stream that was scanned with and that the fixes come from."""

    counts: dict[str, int]
    """Verdict -> number of rules."""

    fixes: tuple[Fix, ...]
    """The failing rules, in the content's own order of remediation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOutcome:
    """What the ``stig`` layer did about one failing rule."""

    rule_id: str
    outcome: str
    """``applied`` (a later scan says whether it holds), ``waived``, ``no_fix`` or ``error``."""

    detail: str
    """The waiver's reason, or the last lines of the fix's output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelRecord:
    """One Python package of a stack."""

    name: str
    """Its normalised name."""

    version: str
    file: str
    """The wheel's file name."""

    sha256: str
    """The wheel's digest; the lock's, unless it was built here."""

    licence: str
    source_sha256: str = ""
    """The locked source's digest, where the wheel was built from it."""

    bundled_crypto: tuple[str, ...] = ()
    """Cryptographic libraries inside of it, which FIPS mode does not reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFinding:
    """What the audit of a stack's wheels found."""

    kind: str
    severity: str
    wheel: str
    location: str
    """File inside of the wheel, or nothing."""

    line: int
    """Its line, or 0."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackResult:
    """One Python stack, as its RPM holds it."""

    name: str
    rpm: str
    """File name of the package."""

    rpm_sha256: str
    header_sha256: str
    """Digest of the package's header, by which an installed one is known again."""

    lock_sha256: str
    python: str
    has_bytecode: bool
    """True when its modules were compiled on the build machine."""

    wheels: tuple[WheelRecord, ...]
    findings: tuple[StackFinding, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """A receipt from its own JSON."""
        wheels = (
            WheelRecord(**wheel_data | {"bundled_crypto": tuple(wheel_data["bundled_crypto"])})
            for wheel_data in data["wheels"]
        )
        findings = (StackFinding(**finding_data) for finding_data in data["findings"])
        return cls(**{**data, "wheels": tuple(wheels), "findings": tuple(findings)})


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """One layer that was applied."""

    layer: str
    changed_tasks: int
    """Ansible tasks that changed something."""

    duration_s: float
    outcomes: tuple[RuleOutcome, ...] = ()
    stacks: tuple[StackResult, ...] = ()
    """What ``ml_frameworks`` installed."""
