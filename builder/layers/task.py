"""What a layer is given to work with, and the way it runs its role."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hardpan.builder.layers.ansible import Job, run_role
from hardpan.builder.receipts import Assessment, Guest, LayerReceipt
from hardpan.events import Emit
from hardpan.profiles.model import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One layer on one guest."""

    layer: str
    profile: Profile
    guest: Guest
    assessment: Assessment
    cache: Path
    """Where what a layer downloads or builds is kept between builds."""

    folder: Path
    """Private folder of this run, gone afterwards: what goes over and comes back."""

    emit: Emit

    def run(self, variables: Mapping[str, object]) -> LayerReceipt:
        """Run the role of the layer's name with these variables.

        Raises:
            ToolError: a task failed; its name and what it said are in the error.
            UnreachableError: the guest stopped answering.
            TrustError: it has another host key than the guest's.
        """
        job = Job(layer=self.layer, folder=self.folder, guest=self.guest, variables=variables)
        changed, took_s = run_role(job, self.emit)
        return LayerReceipt(layer=self.layer, changed=changed, took_s=took_s)
