"""The parts of findings.json: host, image, rules, checks, compatibility and FIPS."""

from collections import Counter
from typing import Literal, Self, get_args

from pydantic import model_validator

from hardpan.scanners.fips.model import CertificateState, EnvironmentMatch, ModuleName, TriState
from hardpan.scanners.model.clock_difference import describe_clock_difference
from hardpan.scanners.report.model.types import (
    OPEN_VERDICTS,
    SEVERITIES,
    CompatibilityOutcomeName,
    CompatibilityVerdictName,
    DisaSeverity,
    Document,
    HexDigest,
    HostKeyTrustName,
    JsonList,
    RoleName,
    Severity,
    VerdictName,
)
from hardpan.scanners.report.model.waiver_sections import WaiverPart


class HostPart(Document):
    """Identity and software of the target."""

    hostname: str
    host_key_type: str
    host_key_sha256: str
    """``SHA256:…`` as ``ssh-keygen -l`` prints it; empty, like the type, for a machine without SSH
    server that scanned itself (``local``)."""
    host_key_trust: HostKeyTrustName = "unknown"
    """How the scanner verified that key."""
    machine_id_hmac: str
    """HMAC-SHA256 keyed with the machine id over an application id; never the id itself."""
    product_uuid_sha256: str
    boot_id: str
    os_id: str
    os_version: str
    os_name: str
    platform_id: str
    cpe: str
    kernel: str
    cmdline: str
    fips_kernel_flag: bool
    """FIPS mode is on. It does not say that a module is validated."""
    packages_sha256: str
    virtualization: str
    clock_difference_s: int | None = None
    """The target's clock minus the scanner's, in seconds; None if it is not known."""

    @model_validator(mode="after")
    def _require_host_key(self) -> Self:
        """Reject a host without key unless it scanned itself: SSH always presents a key."""
        if not self.host_key_sha256 and self.host_key_trust not in ("local", "unknown"):
            raise ValueError("hostKeySha256: is empty: only a local scan has no host key")
        return self

    @property
    def identity(self) -> str:
        """What the scans of one host share: its host key, else its machine id; may be empty."""
        return self.host_key_sha256 or self.machine_id_hmac

    def describe_host_key(self) -> str:
        """Return type and fingerprint of the host key, or that there is none."""
        if not self.host_key_sha256:
            return "none: the machine has no SSH host key"
        return f"{self.host_key_type} {self.host_key_sha256}"

    def describe_clock(self) -> str:
        """Describe the difference of the clocks if it is too large; else empty."""
        return describe_clock_difference(self.clock_difference_s)

    def describe_identity(self) -> str:
        """Return the host key, or for a host without key its machine id."""
        if self.host_key_sha256:
            return f"host key {self.host_key_sha256}"
        return f"no host key, machine id {self.machine_id_hmac or 'unknown'}"


class ImagePart(Document):
    """The image the target was booted from."""

    name: str
    sha256: HexDigest
    provenance_statement_sha256: HexDigest


class RulePart(Document):
    """One selected rule."""

    rule_id: str
    title: str
    severity: Severity
    """As OpenSCAP reports it, refined by the profile."""
    disa_severity: DisaSeverity = ""
    """DISA's severity of the requirement that the rule checks: CAT I, II or III; the highest of
    several, and empty if there is none."""
    role: RoleName = "full"
    """``unscored`` and ``unchecked`` rules are neither open nor part of the score."""
    verdict: VerdictName
    waiver: WaiverPart | None
    """The waiver of the rule; it does not change the verdict."""
    stig_ids: JsonList[str]
    sv_ids: JsonList[str]
    nist: JsonList[str]
    ccis: JsonList[str] = ()
    """DISA's control correlation identifiers, e.g. ``CCI-000366``."""
    group_ids: JsonList[str] = ()
    """DISA's requirements, e.g. ``V-257777``."""
    cce: str
    engine: str
    evidence_lines: JsonList[str]
    """Test results and collected items, one per line."""
    rationale: str
    fix_text: str

    @property
    def is_finding(self) -> bool:
        """True if it failed or could not be evaluated, waived or not: open as DISA counts."""
        return self.role == "full" and self.verdict in OPEN_VERDICTS

    @property
    def is_open(self) -> bool:
        """True if it is a finding that no active waiver excuses from the gate."""
        return self.is_finding and not self.is_waived

    @property
    def is_waived(self) -> bool:
        """True if it failed or could not be evaluated, and a waiver is active."""
        return self.is_finding and self.waiver is not None and self.waiver.is_active

    @property
    def gate_severity(self) -> Severity:
        """The severity that ``--fail-on`` and policies count an open rule as.

        The higher of OpenSCAP's and DISA's; ``unknown`` is at least ``medium``.
        """
        severity = "medium" if self.severity == "unknown" else self.severity
        return min(severity, self.disa_severity or severity, key=SEVERITIES.index)

    @property
    def category_severity(self) -> Severity:
        """The severity that DISA's category follows from: DISA's, or OpenSCAP's without one."""
        return self.disa_severity or self.severity


class CompatibilityCheckPart(Document):
    """The control check or the workload check of one conflict."""

    outcome: CompatibilityOutcomeName
    inspected: str
    expected: str
    observed: str


class CompatibilityResultPart(Document):
    """One conflict of hardening and AI: the control is in force and the workload runs."""

    conflict: str
    row: str
    title: str
    rules: JsonList[str]
    """DISA's ids of the control."""
    resolution: str
    verdict: CompatibilityVerdictName
    """``pass`` only where both checks are satisfied."""
    reason: str
    waiver: WaiverPart | None
    """What is on record for a violated control; the verdict stays."""
    control: CompatibilityCheckPart
    workload: CompatibilityCheckPart

    @property
    def is_waived(self) -> bool:
        """True if an active waiver exists."""
        return self.waiver is not None and self.waiver.is_active


class CompatibilityPart(Document):
    """The compatibility checks of hardening and AI workloads."""

    confinement: str
    """How the workload checks were confined, as the host reports it."""
    results: JsonList[CompatibilityResultPart]

    def count_waived(self) -> int:
        """How many that fail have a waiver on record."""
        return sum(p.verdict == "fail" and p.is_waived for p in self.results)

    def count_verdicts(self) -> dict[str, int]:
        """Verdict -> number of conflicts; every verdict is there."""
        count = Counter[str](p.verdict for p in self.results)
        return {v: count[v] for v in get_args(CompatibilityVerdictName)}


class FipsModulePart(Document):
    """One cryptographic module and the state of its certificate."""

    name: ModuleName
    nevra: str
    state: CertificateState
    reason: str
    certificate: int | None
    level: str
    sunset: str
    operational_env: EnvironmentMatch
    """Whether the certificate names the machine's processor."""


class NonSystemCryptoPart(Document):
    """A file with cryptography that the distribution does not provide."""

    path: str
    library: str


class FipsPart(Document):
    """FIPS mode and the certificates of the modules. Neither implies the other."""

    statement: str
    """A sentence that claims no more than these facts support."""
    kernel_fips_flag: Literal["on", "off", "unknown"]
    boot_arg: Literal["present", "absent", "unknown"]
    boot_arg_persistent: TriState
    """Every boot entry carries the argument."""
    installed_in_fips: TriState
    initramfs_fips_module: TriState
    crypto_policy: str
    crypto_policy_allowed: TriState
    crypto_policy_overridden: TriState
    provider_active: TriState
    """OpenSSL lists its FIPS provider as active and refuses MD5."""
    provider_version: str
    md5_refused: TriState
    modules: JsonList[FipsModulePart]
    non_system_crypto: JsonList[NonSystemCryptoPart]
    """Files outside the distribution's folders that contain cryptography."""
    non_system_crypto_complete: TriState
    pqc_available: TriState
    pqc_negotiated: TriState
    pqc_kex: str
    pqc_validated: TriState
    table_as_of: str
    """Date of the list of certificates."""
    table_warning: str = ""
    """Why the list is too old to call a certificate active; empty if it is not."""


class StigPart(Document):
    """The release of DISA's STIG that CCIs and requirements were joined from."""

    benchmark: str
    """DISA's id, e.g. ``RHEL_9_STIG``."""
    revision: str
    """E.g. ``V2R9``."""
    release_info: str
    """Release and date, as DISA writes them."""
    source_sha256: HexDigest
    """Digest of DISA's manual XCCDF."""
    as_of: str
    """Day on which hardpan imported it."""
