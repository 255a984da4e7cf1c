"""Detect whether KVM can run a vCPU on this host.

The existence of ``/dev/kvm`` is not sufficient: on some hosts a vCPU aborts or hangs at 100 %
system time. So a one-sector guest is booted to check that KVM works.
"""

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hardpan.core.errors import ToolError
from hardpan.core.process import find_program, run

QEMU = "qemu-system-x86_64"
_EL_QEMU = Path("/usr/libexec/qemu-kvm")
"""QEMU of Enterprise Linux, which is not on the PATH."""

_KVM = Path("/dev/kvm")
_TIMEOUT_S = 15.0
_EXIT_STATUS = 33
"""QEMU's exit code for the byte 0x10 at isa-debug-exit: ``(0x10 << 1) | 1``."""

# mov dx, 0xf4; mov al, 0x10; out dx, al; hlt; jmp to the hlt
_CODE = bytes([0xBA, 0xF4, 0x00, 0xB0, 0x10, 0xEE, 0xF4, 0xEB, 0xFD])


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceleration:
    """Acceleration of guests on this host."""

    kind: str
    """``kvm`` or ``tcg``."""

    reason: str
    """Reason for the kind."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """QEMU arguments."""
        if self.kind == "kvm":
            return ("-accel", "kvm", "-cpu", "host")
        # 'max' offers x86-64-v3, which EL10 needs; qemu64 lacks even v2.
        # Without ERMS and FSRM the guest clears and copies memory by words: the emulator does
        # 'rep stosb' byte by byte, so that a boot with init_on_free=1 took a third longer.
        # Without LA57 page tables have four levels, not five: every TLB miss is cheaper.
        # Without SMAP the kernel does not permit and forbid each access to a program's memory, with
        # instructions after which the emulator leaves the translated code.
        cpu = "max,-erms,-fsrm,-la57,-smap"
        return ("-accel", "tcg,thread=multi,tb-size=512", "-cpu", cpu)

    @property
    def timeout_factor(self) -> float:
        """Factor for all time limits."""
        return 1.0 if self.kind == "kvm" else 4.0

    @property
    def max_attempts(self) -> int:
        """Attempts to start a guest that panics.

        An emulated guest gets a second attempt: QEMU's threads race with a kernel that patches
        its own code, and about one start in some hundreds ends with "Oops: int3". Known on
        linux-kernel as "qemu-x86_64 booting with 8.0.0 still see int3" (July 2023), and
        Debian 12 has QEMU 7.2. One thread for all vCPUs has no race and half the speed.
        """
        return 1 if self.kind == "kvm" else 2


def find_qemu() -> Path | None:
    """Return the path of QEMU, or None if it is not installed."""
    program = find_program(QEMU)
    if program is None and _EL_QEMU.is_file():
        return _EL_QEMU
    return program


def boot_sector() -> bytes:
    """Return a boot sector that makes QEMU exit immediately."""
    return _CODE.ljust(510, b"\x00") + b"\x55\xaa"


@cache
def detect_acceleration() -> Acceleration:
    """Detect the acceleration of guests, once per process.

    Raises:
        ToolError: QEMU is not installed.
    """
    if find_qemu() is None:
        raise ToolError([QEMU], "is not installed", hint="hardpan doctor shows how to install it")
    if not _KVM.exists():
        return Acceleration(kind="tcg", reason="there is no /dev/kvm: guests are emulated")
    try:
        _run_tiny_guest()
    except ToolError as e:
        reason = f"/dev/kvm exists, but a vCPU does not run ({e}): guests are emulated"
        return Acceleration(kind="tcg", reason=reason)
    return Acceleration(kind="kvm", reason="a probe guest ran under KVM")


def _run_tiny_guest() -> None:
    with tempfile.TemporaryDirectory(prefix="hardpan-probe-") as workdir:
        disk = Path(workdir) / "boot.img"
        disk.write_bytes(boot_sector().ljust(1 << 20, b"\x00"))
        run(
            [
                *(
                    str(find_qemu() or QEMU),
                    "-accel",
                    "kvm",
                    "-cpu",
                    "host",
                    "-m",
                    "32",
                    "-machine",
                    "pc",
                ),
                *("-nodefaults", "-display", "none", "-no-reboot"),
                *("-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"),
                *("-drive", f"file={disk},format=raw,if=ide"),
            ],
            timeout_s=_TIMEOUT_S,
            ok=(_EXIT_STATUS,),
        )
