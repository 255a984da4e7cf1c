"""What a layer is given to work with, and the way it runs its role."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hardpan.builder.ansible.runner import RoleRun, run_role
from hardpan.builder.artifacts import Assessment, BootedGuest, LayerResult
from hardpan.core.events import Emit
from hardpan.profiles.schema.profile import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTask:
    """One layer on one guest."""

    layer: str
    profile: Profile
    guest: BootedGuest
    assessment: Assessment
    cache: Path
    """Where what a layer downloads or builds is kept between builds."""

    workdir: Path
    """Private folder of this run, gone afterwards: what goes over and comes back."""

    emit: Emit

    def run(self, variables: Mapping[str, object]) -> LayerResult:
        """Run the role of the layer's name with these variables.

        Raises:
            ToolError: a task failed; its name and what it said are in the error.
            UnreachableError: the guest stopped answering.
            TrustError: it has another host key than the guest's.
        """
        role_run = RoleRun(
            layer=self.layer, workdir=self.workdir, guest=self.guest, variables=variables
        )
        changed, duration_s = run_role(role_run, self.emit)
        return LayerResult(layer=self.layer, changed_tasks=changed, duration_s=duration_s)
