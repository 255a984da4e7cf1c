"""Profile section of the layer ``kernel_hardening``: kernel settings and attack surface."""

from typing import Annotated, Literal

from pydantic import Field

from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.types import ServiceName, SettingName, StrictInt, SystemPath, Text

Port = Annotated[StrictInt, Field(ge=1, le=65535)]


class SysctlException(ProfileSection):
    """A kernel setting of hardpan's list that is not set on this image."""

    name: SettingName
    """Its name, e.g. ``kernel.io_uring_disabled``."""

    reason: Text
    """Why the image requires another value."""


class KernelHardening(ProfileSection):
    """Kernel lockdown, and allowlists of units, ports and SUID programs."""

    lockdown: Literal["none", "integrity", "confidentiality"] = "integrity"
    """``integrity``: root cannot modify the running kernel. ``confidentiality``: root cannot read
    it either, which disables perf, kprobes and most BPF tracing."""

    module_signatures: Literal["enforced", "not_enforced"] = "enforced"
    """``enforced``: the kernel loads modules with a trusted signature only."""

    weakening_reason: Text | None = None
    """Reason for disabling one of the two; required in that case."""

    sysctl_exceptions: tuple[SysctlException, ...] = ()
    """Settings of docs/host-hardening.md that are not set, each with a reason."""

    ports: tuple[Port, ...] = (22,)
    """TCP ports that the firewall opens; all others are closed."""

    services: tuple[ServiceName, ...] = ()
    """Units that may be enabled in addition to hardpan's list; other enabled units are masked."""

    suid: tuple[SystemPath, ...] = ()
    """Programs that may have a SUID or SGID bit in addition to hardpan's list."""

    compiler: Literal["removed", "required"] = "removed"
    """``removed``: the image has no compiler, make or kernel headers."""

    compiler_reason: Text | None = None
    """What requires a compiler on the host; required with ``compiler: required``."""

    @property
    def kernel_arguments(self) -> tuple[str, ...]:
        """Kernel arguments that this section adds."""
        arguments = () if self.lockdown == "none" else (f"lockdown={self.lockdown}",)
        return (
            *arguments,
            *(("module.sig_enforce=1",) if self.module_signatures == "enforced" else ()),
        )
