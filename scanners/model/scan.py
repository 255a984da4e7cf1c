"""Data that the scanner's stages exchange: plain frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hardpan.core.compression import CompressedBlob
from hardpan.core.files import Sha256
from hardpan.scanners.fips.model import FipsState
from hardpan.scanners.model.results import CompatibilityReport, HostCheck, SmokeReport
from hardpan.scanners.model.tailoring import Tailoring
from hardpan.scanners.model.verdict import Verdict as Verdict
from hardpan.scanners.model.waiver_status import WaiverStatus
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.transport_kind import DEFAULT_TRANSPORT, TransportChoice


class ContentOrigin(StrEnum):
    """Origin of a data stream."""

    SHIPPED = "shipped"
    """It is part of hardpan."""

    UPDATED = "updated"
    """``hardpan content update`` stored it for the user."""

    INSTALLED = "installed"
    """A package of the scanning machine's system has it."""

    FILE = "file"
    """A person named a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScapContent:
    """The SCAP content a scan ran with."""

    name: str
    """File name of the source data stream, e.g. ``ssg-rhel9-ds.xml``."""

    version: str
    """Benchmark version, e.g. ``0.1.82``."""

    date: str
    """Day of the benchmark, ``YYYY-MM-DD``; empty when it names none."""

    source_sha256: Sha256
    """Digest of upstream's data stream."""

    derived_sha256: Sha256
    """Digest of the derived data stream; equals the source's if nothing was derived."""

    origin: str
    """Origin as text: ``shipped with hardpan, Debian ssg-nondebian 0.1.82-1``."""

    origin_kind: ContentOrigin

    derivation: str
    """What was changed, as text; empty if nothing was."""

    choice: str = ""
    """Why this content and profile were chosen, as text."""

    tailoring: Tailoring | None = None
    """How a tailoring changed the profile; None without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """One selected rule and its verdict."""

    rule_id: str
    """Full XCCDF id, ``xccdf_org.ssgproject.content_rule_…``."""

    title: str
    severity: str
    """``high``, ``medium``, ``low``, ``unknown`` or ``info``, as OpenSCAP reports it."""

    verdict: Verdict
    role: str = "full"
    """``full``, ``unscored`` or ``unchecked``, as OpenSCAP reports it."""

    disa_severity: str = ""
    """The highest DISA severity of its requirements; empty if it has none."""

    stig_ids: tuple[str, ...] = ()
    """DISA ids, e.g. ``RHEL-09-231125``."""

    sv_ids: tuple[str, ...] = ()
    """DISA rule versions, e.g. ``SV-257874r991589_rule``."""

    nist: tuple[str, ...] = ()
    """NIST 800-53 controls as the content lists them, e.g. ``CM-6(a)``."""

    ccis: tuple[str, ...] = ()
    """DISA's control correlation identifiers, e.g. ``CCI-000366``, joined by ``sv_ids``."""

    group_ids: tuple[str, ...] = ()
    """DISA's requirements, e.g. ``V-257777``, joined by ``sv_ids``."""

    cce: str = ""
    engine: str = ""
    """``OVAL``, ``SCE`` or empty when nothing was checked."""

    evidence_lines: tuple[str, ...] = ()
    """One line per OVAL item or message."""

    rationale: str = ""
    fix_text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One OpenSCAP scan, merged and checked for completeness."""

    content: ScapContent
    benchmark_id: str
    profile_id: str
    started: str
    """RFC 3339 UTC."""

    finished: str
    engine: str
    """Package or version of oscap on the target."""

    results: tuple[RuleResult, ...]
    """Every selected rule, in the benchmark's order."""

    score: float
    """XCCDF default score, 0 to 100, recomputed over all processes."""

    differences: tuple[str, ...] = ()
    """What OpenSCAP evaluated otherwise than expected, one line each."""

    used_untouched: bool = False
    """True if the results are those of the untouched content, because of the differences."""

    def counts(self) -> dict[str, int]:
        """Return verdict -> number of rules, with every verdict but ``notselected``."""
        names = [v.value for v in Verdict if v is not Verdict.NOT_SELECTED]
        return {n: sum(r.verdict == n for r in self.results) for n in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedHost:
    """Identity and system of the target, bound into the statement."""

    hostname: str
    host_key_type: str
    host_key_sha256: str
    """``SHA256:…`` as ``ssh-keygen -l`` prints it."""

    host_key_trust: HostKeyTrust = HostKeyTrust.UNKNOWN
    machine_id_hmac: str
    """HMAC-SHA256 keyed with the machine id over hardpan's application id; never the id itself."""

    product_uuid_sha256: str
    """Digest of the DMI product UUID; empty where there is none."""

    boot_id: str
    os_id: str
    os_version: str
    os_name: str
    platform_id: str
    cpe: str
    kernel: str
    cmdline: str
    fips_kernel_flag: bool
    packages_sha256: Sha256
    """Digest of the sorted NEVRA list, one a line."""

    virtualization: str
    clock_difference_s: int | None = None
    """The target's clock minus the scanner's, in seconds; None if it did not report its time."""

    @property
    def identity(self) -> str:
        """What the scans of one host share: its host key, else its machine id; may be empty."""
        return self.host_key_sha256 or self.machine_id_hmac


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """The image that the target was booted from, if hardpan built it."""

    name: str
    sha256: Sha256
    provenance: bytes
    """The provenance's Sigstore bundle, as signed by the builder."""

    provenance_statement_sha256: Sha256
    """Digest of the provenance statement's payload bytes."""
    sbom: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Why a failing rule is accepted, who is responsible, and until when."""

    reason: str
    owner: str
    expires: str
    """Its last day, ``YYYY-MM-DD``."""

    is_active: bool
    """False if that day was over before the scan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverRecord:
    """One name in a waiver, and the rules that it matched."""

    selector: str
    """As it was written: an id of a rule, or a pattern."""

    source: str
    """``profile NAME``, or the name of the waiver file."""

    reason: str
    owner: str
    expires: str
    """Its last day, ``YYYY-MM-DD``."""

    rule_ids: tuple[str, ...]
    """Full XCCDF ids of the rules that it matched, in the benchmark's order."""

    status: WaiverStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Everything that one run of the scanner collected and evaluated."""

    profile: str
    """Name of the hardpan profile."""

    host: ScannedHost
    evaluation: Evaluation
    baseline_counts: dict[str, int] | None
    """Counts before hardening, if the same run built the image."""

    checks: tuple[HostCheck, ...]
    smoke: SmokeReport | None
    compatibility: CompatibilityReport | None = None
    packages: tuple[str, ...]
    """Sorted NEVRAs."""

    raw: Mapping[str, bytes | CompressedBlob]
    """Attached file name -> content: ARF parts, collector outputs."""

    waivers: dict[str, Waiver]
    """Rule id -> its waiver; reported with a failure, never instead of it."""

    waiver_records: tuple[WaiverRecord, ...] = ()
    """Every name in the waivers of the profile and the waiver file."""

    image: ImageRef | None = None
    fips: FipsState | None = None
    """None if a scan did not collect it."""

    started: str = ""
    finished: str = ""
    transport: TransportChoice = DEFAULT_TRANSPORT
    invocation: tuple[str, ...] = ()
