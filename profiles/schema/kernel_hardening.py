"""What the layer ``kernel_hardening`` sets beyond the STIG: the kernel, and what can be reached."""

from typing import Annotated, Literal

from pydantic import Field

from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.types import ServiceName, SettingName, StrictInt, SystemPath, Text

Port = Annotated[StrictInt, Field(ge=1, le=65535)]


class SysctlException(ProfileSection):
    """A kernel setting of hardpan's list that this image goes without."""

    name: SettingName
    """Its name, e.g. ``kernel.io_uring_disabled``."""

    reason: Text
    """Why the image needs it otherwise."""


class KernelHardening(ProfileSection):
    """The kernel's lock-down, and the lists of what may run, listen and change its user."""

    lockdown: Literal["none", "integrity", "confidentiality"] = "integrity"
    """``integrity``: not even root changes the running kernel. ``confidentiality``: nor reads it,
    which takes perf, kprobes and most of BPF's tracing with it."""

    module_signatures: Literal["enforced", "not_enforced"] = "enforced"
    """``enforced``: only kernel modules with a signature that the kernel trusts are loaded."""

    weakening_reason: Text | None = None
    """Why one of the two is off; required when one is."""

    sysctl_exceptions: tuple[SysctlException, ...] = ()
    """Settings of the list in docs/host-hardening.md that are not set, each with its reason."""

    ports: tuple[Port, ...] = (22,)
    """TCP ports that may be reached from outside: the firewall's zone opens these and no others."""

    services: tuple[ServiceName, ...] = ()
    """Units that may be enabled beside hardpan's list; any other that is enabled gets masked."""

    suid: tuple[SystemPath, ...] = ()
    """Programs that keep their SUID or SGID bit beside those of hardpan's list."""

    compiler: Literal["removed", "required"] = "removed"
    """``removed``: no compiler, no make, no kernel headers in the image."""

    compiler_reason: Text | None = None
    """What needs a compiler on the running machine; required with ``compiler: required``."""

    @property
    def kernel_arguments(self) -> tuple[str, ...]:
        """What this section puts on the kernel's command line."""
        arguments = () if self.lockdown == "none" else (f"lockdown={self.lockdown}",)
        return (
            *arguments,
            *(("module.sig_enforce=1",) if self.module_signatures == "enforced" else ()),
        )
