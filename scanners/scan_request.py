"""Input of one scan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hardpan.core.events import Emit
from hardpan.scanners.collect.collection import HostIdentity
from hardpan.scanners.collect.openscap_packages import PushedPackage
from hardpan.scanners.collect.plan import ScanPlan
from hardpan.scanners.content.prepare import PreparedContent
from hardpan.scanners.evidence.signing_options import PreviousStatement
from hardpan.scanners.model.scan import ImageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """What a scan of a connected target includes."""

    plan: ScanPlan
    provide_content: Callable[[HostIdentity, Emit], PreparedContent]
    """Returns the content for the identified host; ``ContentProvider.provide`` is one."""

    required: frozenset[str] = frozenset()
    """Collectors of which a missing precondition on the target is an error."""

    run_smoke: bool = True
    run_compatibility: bool = False
    """Run the compatibility checks even if the plan does not ask for them."""

    openscap_packages: tuple[PushedPackage, ...] = ()
    """Packages of OpenSCAP to upload for the scan."""

    baseline_counts: Mapping[str, int] | None = None
    """Counts before hardening, if the same run built the image."""

    image: ImageRef | None = None
    invocation: tuple[str, ...] = ()
    previous: PreviousStatement | None = None
    """The host's last statement; a scan of another host ends before its evaluation."""
