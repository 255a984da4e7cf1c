"""Kernel settings beyond the STIG's, each with the attack it prevents and its first kernel.

Settings of the RHEL 9 and RHEL 10 STIG are not here: their layer runs last. A setting that the
running kernel does not have is skipped and reported; it does not fail a build.
docs/host-hardening.md shows this table; a test compares both.
"""

from dataclasses import dataclass

AS_OF = "2026-11-21"
SOURCE = (
    "kernel.org, Documentation/admin-guide/sysctl; for Rocky Linux 9's 5.14 by the upstream version"
    " that introduced a setting; back-ports were not checked"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sysctl:
    """One kernel setting."""

    name: str
    value: str
    upstream: str
    """The upstream kernel that introduced it."""

    reason: str
    """The attack it prevents, and its cost if it has one."""

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
        reason="A program cannot inject input into its terminal, for example under su.",
    ),
    Sysctl(
        name="fs.protected_fifos",
        value="2",
        upstream="4.19",
        reason="In folders such as /tmp, nobody is tricked into writing to another user's FIFO.",
    ),
    Sysctl(
        name="fs.protected_regular",
        value="2",
        upstream="4.19",
        reason="The same for files: root does not open a file that another user created there.",
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
        reason="Many kernel exploits used io_uring, and it bypasses seccomp and"
        " audit; inference servers read through the page cache and do not use it.",
    ),
    Sysctl(
        name="kernel.oops_limit",
        value="100",
        upstream="6.2",
        reason="An attack that needs thousands of kernel errors ends in a reboot; fewer errors, for"
        " example of a GPU driver, do not stop the host.",
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
        reason="Services on 127.0.0.1, such as the model servers, cannot be reached by routing.",
    ),
    Sysctl(
        name="net.ipv4.conf.all.secure_redirects",
        value="0",
        upstream="2.6",
        reason="No gateway, configured or not, changes a route of the host.",
    ),
    Sysctl(
        name="net.ipv4.conf.default.route_localnet",
        value="0",
        upstream="3.6",
        reason="The same for new interfaces.",
    ),
    Sysctl(
        name="net.ipv4.conf.default.secure_redirects",
        value="0",
        upstream="2.6",
        reason="The same for new interfaces.",
    ),
    Sysctl(
        name="net.ipv4.tcp_rfc1337",
        value="1",
        upstream="2.6",
        reason="A stray or forged reset does not end the TIME-WAIT state of a closed connection.",
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
        reason="Users cannot pause the kernel in the middle of a copy to win race conditions.",
    ),
)

NOT_SET = {
    "kernel.modules_disabled": "GPU drivers load their modules after boot, and on demand.",
    "kernel.panic_on_oops": "An error in a GPU driver would stop every other service.",
    "kernel.printk": "Without kdump, Xid and ECC messages on the console are the only diagnostics.",
    "user.max_user_namespaces": "The RHEL 9 STIG has its own rule; containers need them.",
    "vm.memfd_noexec": "JIT compilers write code to memfds; not yet tested on real GPU stacks.",
    "vm.overcommit_memory": "CUDA and PyTorch reserve far more address space than they use.",
}
"""Settings that were considered and are not set, each with the reason."""
