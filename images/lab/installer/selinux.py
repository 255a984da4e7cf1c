# SPDX-License-Identifier: GPL-2.0-or-later
"""SELinux of the new system: its mode, and the labels of its files.

Anaconda runs on a kernel with SELinux, so rpm and the scripts label what they write. This
installer's kernel has it switched off; all files are labelled once, at the end.
"""

from .process import SYSROOT, append_log, run
from .storage import InstallTarget

_CONTEXTS = "/etc/selinux/targeted/contexts/files/file_contexts"
_LABEL_TIMEOUT_S = 1800
_UNLABELLED = ("vfat",)
"""File systems that store no labels; the policy gives them one."""


def has_policy() -> bool:
    """Whether the packages have brought an SELinux policy."""
    return (SYSROOT / _CONTEXTS.lstrip("/")).is_file()


def set_mode(mode: str) -> None:
    """Write the mode of the kickstart's ``selinux`` command for the next boot.

    Without a policy it is only reported: systemd halts an enforcing system that has none.
    """
    if not has_policy():
        append_log("anaconda", f"selinux --{mode}: no SELinux policy is among the packages")
        return
    config = SYSROOT / "etc/selinux/config"
    config.write_text(f"SELINUX={mode}\nSELINUXTYPE=targeted\n", "utf-8")
    config.chmod(0o644)


def label_files(target: InstallTarget) -> None:
    """Label every file of the new system as its policy says.

    Each file system is named: from ``/``, setfiles does not enter those mounted below it (seen
    with policycoreutils 3.8), and daemons and SSH logins fail on files without labels.

    Raises:
        InstallError: setfiles failed.
    """
    if not has_policy():
        return
    append_log("anaconda", "Restoring SELinux contexts.")
    folders = [f for name in ("dev", "proc", "run", "sys") for f in ("-e", f"/{name}")]
    mounts = [m.mount for m in target.mounts if not m.is_swap and m.fstype not in _UNLABELLED]
    run(["setfiles", "-F", *folders, _CONTEXTS, *mounts], chroot=True, timeout_s=_LABEL_TIMEOUT_S)
