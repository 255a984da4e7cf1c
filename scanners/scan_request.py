"""Input of one scan."""

from collections.abc import Mapping
from dataclasses import dataclass

from hardpan.scanners.collect.openscap_packages import PushedPackage
from hardpan.scanners.collect.plan import ScanPlan
from hardpan.scanners.content.datastream import ContentSelection, ContentSource
from hardpan.scanners.deviations.tailoring import find_base_profile
from hardpan.scanners.deviations.tailoring_file import TailoringFile
from hardpan.scanners.evidence.signing_options import PreviousStatement
from hardpan.scanners.model.scan import ImageRef
from hardpan.ssh.local_target import AnyTarget
from hardpan.ssh.transport_kind import TransportKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """What to scan, with which content, and which parts."""

    target: AnyTarget
    transport: TransportKind = TransportKind.AUTO
    plan: ScanPlan
    content: ContentSelection | ContentSource | None = None
    """The data stream, or where it is found; None: chosen for the plan's product or the host."""

    benchmark: str = ""
    """Id of the benchmark, if the content has several."""

    required: frozenset[str] = frozenset()
    """Collectors of which a missing precondition on the target is an error."""

    run_smoke: bool = True
    run_compatibility: bool = False
    """Run the compatibility checks even if the plan does not ask for them."""

    openscap_packages: tuple[PushedPackage, ...] = ()
    """Packages of OpenSCAP to upload for the scan."""

    sudo_password: str = ""
    baseline_counts: Mapping[str, int] | None = None
    """Counts before hardening, if the same run built the image."""

    image: ImageRef | None = None
    invocation: tuple[str, ...] = ()
    nonce: str = ""
    """The auditor's challenge, for the host to sign."""

    tailoring: TailoringFile | None = None
    previous: PreviousStatement | None = None
    """The host's last statement; a scan of another host ends before its evaluation."""

    @property
    def base_profile(self) -> str:
        """The benchmark's profile that the tailoring or the plan names; empty: the default.

        Raises:
            InputError: the tailoring has no such profile, or is for another one.
        """
        requested = self.plan.xccdf_profile
        return requested if self.tailoring is None else find_base_profile(self.tailoring, requested)
