"""What the layer ``tuning`` sets: speed for AI work that costs no protection."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.types import ServiceName, StrictInt, validation_error


def _require_mitigations(value: object) -> object:
    # YAML reads a bare 'off' as False in some hands and as text in others.
    if value is False or value == "off":
        raise validation_error(
            "expected auto or auto,nosmt: without its mitigations the processor lets one process"
            " read another's memory, keys and prompts among it (RHEL-09-212050, RHEL-10-701020)"
        )
    return value


class GpuPolicy(ProfileSection):
    """What the accelerator may draw and how fast it may run, set at every start."""

    power_limit_w: Annotated[StrictInt, Field(ge=50, le=2000)] | None = None
    """Power limit of each GPU, in watts."""

    clock_mhz: Annotated[StrictInt, Field(ge=100, le=5000)] | None = None
    """Clock that each GPU is held to, for results that can be compared; NVIDIA only."""


class Tuning(ProfileSection):
    """Memory, processor and accelerator settings for AI work."""

    purpose: Literal["inference", "training"] = "inference"
    """Names the profile, ``hardpan-inference`` or ``hardpan-training``, and picks its defaults."""

    manager: Literal["tuned", "static"] = "tuned"
    """``tuned`` follows hot-plugged processors and can be asked; the STIG wants it removed, so it
    needs a waiver. ``static`` writes the same values for systemd to set, without a daemon."""

    transparent_hugepages: Literal["madvise", "always"] | None = None
    """Who gets huge pages unasked: nobody for inference, everybody for training, if not said."""

    hugepages_2m: StrictInt = Field(default=0, ge=0, le=2_000_000)
    """Huge pages of 2 MiB that are set aside for programs that ask for them by name."""

    platform: Literal["virtual", "bare_metal"] = "virtual"
    """``bare_metal`` adds ``iommu=pt``: devices of the host pass the IOMMU without translation."""

    mitigations: Annotated[Literal["auto", "auto,nosmt"], BeforeValidator(_require_mitigations)] = (
        "auto"
    )
    """The processor's mitigations. ``auto,nosmt`` switches hyper-threading off where needed."""

    memlock_units: tuple[ServiceName, ...] = ("hardpan-llm.service",)
    """Units that may lock memory without limit, as RDMA and pinned buffers need; no user may."""

    gpu: GpuPolicy | None = None
    """Only with an accelerator of NVIDIA or AMD."""

    @property
    def name(self) -> str:
        """The name of the tuned profile."""
        return f"hardpan-{self.purpose}"

    @property
    def sysctls(self) -> dict[str, str]:
        """Kernel settings: no page moves by itself, and the page cache stays whole."""
        settings = {"kernel.numa_balancing": "0", "vm.zone_reclaim_mode": "0"}
        if self.hugepages_2m:
            settings["vm.nr_hugepages"] = str(self.hugepages_2m)
        return settings

    @property
    def hugepages(self) -> str:
        """The transparent huge pages that are wanted, by word or by purpose."""
        return self.transparent_hugepages or (
            "madvise" if self.purpose == "inference" else "always"
        )

    @property
    def kernel_arguments(self) -> tuple[str, ...]:
        """What this section puts on the kernel's command line."""
        arguments = ("iommu=pt",) if self.platform == "bare_metal" else ()
        return (
            arguments
            if self.mitigations == "auto"
            else (*arguments, f"mitigations={self.mitigations}")
        )
