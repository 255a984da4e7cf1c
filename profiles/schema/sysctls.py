"""Kernel settings beyond the STIG's, each with what it stops and where the kernel has it.

What the RHEL 9 and RHEL 10 STIG set themselves is not here: their layer runs last and
has the last word. A setting that the running kernel lacks is left out and told, it ends
no build. docs/host-hardening.md shows this table; a test holds the two together.
"""

from dataclasses import dataclass

AS_OF = "2026-11-21"
SOURCE = (
    "kernel.org, Documentation/admin-guide/sysctl; for Rocky 9's 5.14 by the upstream version that"
    " brought a setting, back-ports were not looked up"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sysctl:
    """One kernel setting."""

    name: str
    value: str
    upstream: str
    """The upstream kernel that brought it."""

    reason: str
    """What it stops, and what it costs where it costs anything."""

    @property
    def on_rocky9(self) -> str:
        """Whether Rocky 9's kernel has it: ``yes``, or ``if back-ported`` to its 5.14."""
        major, minor = map(int, self.upstream.split("."))
        return "yes" if (major, minor) <= (5, 14) else "if back-ported"


SYSCTLS = (
    Sysctl(
        name="dev.tty.ldisc_autoload",
        value="0",
        upstream="5.1",
        reason="A user who opens a terminal cannot make the kernel load a rare line discipline.",
    ),
    Sysctl(
        name="dev.tty.legacy_tiocsti",
        value="0",
        upstream="6.2",
        reason="A program cannot type into the terminal it was started from, as su's victim would.",
    ),
    Sysctl(
        name="fs.protected_fifos",
        value="2",
        upstream="4.19",
        reason="In shared folders such as /tmp nobody is lured into writing to another's FIFO.",
    ),
    Sysctl(
        name="fs.protected_regular",
        value="2",
        upstream="4.19",
        reason="The same for files: root does not open one that another user put in its way.",
    ),
    Sysctl(
        name="fs.suid_dumpable",
        value="0",
        upstream="2.6",
        reason="A crash of a privileged program leaves no copy of its memory.",
    ),
    Sysctl(
        name="kernel.io_uring_disabled",
        value="2",
        upstream="6.6",
        reason="io_uring has been the way in for many kernel exploits and passes by seccomp and"
        " audit; inference servers read through the page cache and do not use it.",
    ),
    Sysctl(
        name="kernel.oops_limit",
        value="100",
        upstream="6.2",
        reason="An attack that needs thousands of kernel errors ends in a restart; below it a GPU"
        " driver's error does not take the host down.",
    ),
    Sysctl(
        name="kernel.sysrq",
        value="0",
        upstream="2.6",
        reason="The keyboard and the serial line cannot kill processes or remount file systems.",
    ),
    Sysctl(
        name="net.ipv4.conf.all.route_localnet",
        value="0",
        upstream="3.6",
        reason="What listens on 127.0.0.1, as model servers here do, cannot be reached by routing.",
    ),
    Sysctl(
        name="net.ipv4.conf.all.secure_redirects",
        value="0",
        upstream="2.6",
        reason="No gateway, known or not, changes a route of the host.",
    ),
    Sysctl(
        name="net.ipv4.conf.default.route_localnet",
        value="0",
        upstream="3.6",
        reason="The same for interfaces to come.",
    ),
    Sysctl(
        name="net.ipv4.conf.default.secure_redirects",
        value="0",
        upstream="2.6",
        reason="The same for interfaces to come.",
    ),
    Sysctl(
        name="net.ipv4.tcp_rfc1337",
        value="1",
        upstream="2.6",
        reason="A stray or forged reset does not end the waiting state of a closed connection.",
    ),
    Sysctl(
        name="vm.mmap_rnd_bits",
        value="32",
        upstream="4.5",
        reason="Addresses of libraries and heaps are as hard to guess as x86-64 allows.",
    ),
    Sysctl(
        name="vm.mmap_rnd_compat_bits",
        value="16",
        upstream="4.5",
        reason="The same for 32-bit programs.",
    ),
    Sysctl(
        name="vm.unprivileged_userfaultfd",
        value="0",
        upstream="5.2",
        reason="Users cannot halt the kernel in the middle of a copy, which wins races.",
    ),
)

NOT_SET = {
    "kernel.modules_disabled": "GPU drivers load their modules after start, and on demand.",
    "kernel.panic_on_oops": "An error in a GPU driver would take every other service down.",
    "kernel.printk": "Xid and ECC messages on the serial console are all there is without kdump.",
    "user.max_user_namespaces": "The RHEL 9 STIG has a rule of its own; containers need them.",
    "vm.memfd_noexec": "JIT compilers put code into memfds; to be tried on real GPU stacks first.",
    "vm.overcommit_memory": "CUDA and PyTorch reserve far more address space than they use.",
}
"""Settings that were weighed and left as they are, and why."""
