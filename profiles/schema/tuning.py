"""Profile section of the layer ``tuning``: performance settings that keep the protections."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.types import ServiceName, StrictInt, validation_error


def _require_mitigations(value: object) -> object:
    # YAML 1.1 parsers read a bare 'off' as False, YAML 1.2 parsers as text.
    if value is False or value == "off":
        raise validation_error(
            "expected auto or auto,nosmt: without its mitigations the processor lets one process"
            " read another's memory, keys and prompts among it (RHEL-09-212050, RHEL-10-701020)"
        )
    return value


class GpuPolicy(ProfileSection):
    """GPU power and clock limits, set at every boot."""

    power_limit_w: Annotated[StrictInt, Field(ge=50, le=2000)] | None = None
    """Power limit of each GPU, in watts."""

    clock_mhz: Annotated[StrictInt, Field(ge=100, le=5000)] | None = None
    """Fixed clock of each GPU, for comparable measurements; NVIDIA only."""


class Tuning(ProfileSection):
    """Memory, processor and accelerator settings for AI work."""

    purpose: Literal["inference", "training"] = "inference"
    """Selects the tuned profile ``hardpan-inference`` or ``hardpan-training`` and its defaults."""

    manager: Literal["tuned", "static"] = "tuned"
    """``tuned`` follows hot-plugged processors; the STIG requires its removal, so it needs a
    waiver. ``static`` writes the same values for systemd, without a daemon."""

    transparent_hugepages: Literal["madvise", "always"] | None = None
    """Transparent huge pages; by default ``madvise`` for inference, ``always`` for training."""

    hugepages_2m: StrictInt = Field(default=0, ge=0, le=2_000_000)
    """Number of reserved 2 MiB huge pages."""

    platform: Literal["virtual", "bare_metal"] = "virtual"
    """``bare_metal`` adds ``iommu=pt``: host devices bypass IOMMU translation."""

    mitigations: Annotated[Literal["auto", "auto,nosmt"], BeforeValidator(_require_mitigations)] = (
        "auto"
    )
    """CPU mitigations. ``auto,nosmt`` disables hyper-threading where required."""

    memlock_units: tuple[ServiceName, ...] = ("hardpan-llm.service",)
    """Units without a memlock limit, as required by RDMA and pinned buffers."""

    gpu: GpuPolicy | None = None
    """Requires an NVIDIA or AMD accelerator."""

    @property
    def name(self) -> str:
        """Name of the tuned profile."""
        return f"hardpan-{self.purpose}"

    @property
    def sysctls(self) -> dict[str, str]:
        """Kernel settings: no automatic NUMA migration and no zone reclaim."""
        settings = {"kernel.numa_balancing": "0", "vm.zone_reclaim_mode": "0"}
        if self.hugepages_2m:
            settings["vm.nr_hugepages"] = str(self.hugepages_2m)
        return settings

    @property
    def hugepages(self) -> str:
        """Transparent huge pages setting, explicit or by purpose."""
        return self.transparent_hugepages or (
            "madvise" if self.purpose == "inference" else "always"
        )

    @property
    def kernel_arguments(self) -> tuple[str, ...]:
        """Kernel arguments that this section adds."""
        arguments = ("iommu=pt",) if self.platform == "bare_metal" else ()
        return (
            arguments
            if self.mitigations == "auto"
            else (*arguments, f"mitigations={self.mitigations}")
        )
