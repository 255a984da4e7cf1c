"""What the RHEL 9 and RHEL 10 STIG ask for at install time, as data.

Sources: ComplianceAsCode b3a2cca935 (2026-08-21), STIG RHEL 9 V2R9 and RHEL 10
V1R2. None of these rules has an automatic fix, or the fix is unsafe later.
"""

SEPARATE_FILE_SYSTEMS = {
    "/home": "partition_for_home",
    "/tmp": "partition_for_tmp",  # noqa: S108
    "/var": "partition_for_var",
    "/var/log": "partition_for_var_log",
    "/var/log/audit": "partition_for_var_log_audit",
    "/var/tmp": "partition_for_var_tmp",  # noqa: S108
}
"""Mount point -> the rule that wants a file system of its own there."""

REQUIRED_OPTIONS = {
    "/boot": ("nodev", "nosuid"),
    "/boot/efi": ("nosuid",),
    "/home": ("nodev", "nosuid", "noexec"),
    "/tmp": ("nodev", "nosuid", "noexec"),  # noqa: S108
    "/var": ("nodev",),
    "/var/log": ("nodev", "nosuid", "noexec"),
    "/var/log/audit": ("nodev", "nosuid", "noexec"),
    "/var/tmp": ("nodev", "nosuid", "noexec"),  # noqa: S108
    "/dev/shm": ("nodev", "nosuid", "noexec"),  # noqa: S108
}
"""Mount point -> options it must have. /dev/shm's line is written in %post."""

FORBIDDEN_SUPERUSERS = ("root", "admin", "administrator")
"""GRUB superusers that the STIG forbids by name (RHEL-09-212020, RHEL-10-600010)."""

SYSTEM_ACCOUNTS = frozenset(
    {
        *("adm", "bin", "daemon", "ftp", "games", "halt", "lp", "mail", "nobody", "operator"),
        *("root", "shutdown", "sync", "chrony", "dbus", "fapolicyd", "polkitd", "pcscd"),
        *("sshd", "sssd", "systemd-coredump", "systemd-network", "systemd-resolve", "tss"),
        *("postfix", "rpc", "rpcuser", "setroubleshoot", "geoclue", "clevis", "unbound"),
    }
)
"""Accounts that EL itself makes; ``user --name=operator`` ends an install with an error."""

DANGEROUS_ARGUMENTS = {
    "mitigations=off": "switches off the processor's mitigations (RHEL-09-212050 wants them)",
    "selinux=0": "switches SELinux off",
    "enforcing=0": "makes SELinux permissive",
    "audit=0": "switches auditing off",
    "pti=off": "switches page table isolation off",
    "systemd.confirm_spawn": "makes the boot interactive (RHEL-09-212015)",
    "systemd.confirm_spawn=1": "makes the boot interactive (RHEL-09-212015)",
    "systemd.confirm_spawn=yes": "makes the boot interactive (RHEL-09-212015)",
    "systemd.confirm_spawn=true": "makes the boot interactive (RHEL-09-212015)",
    "iommu=off": "switches the IOMMU off",
}
"""Kernel argument -> why it is refused."""

KERNEL_ARGUMENTS = {
    "audit=1": "grub2_audit_argument",
    "audit_backlog_limit=8192": "grub2_audit_backlog_limit_argument",
    "init_on_free=1": "grub2_init_on_free",
    "page_poison=1": "grub2_page_poison_argument",
    "pti=on": "grub2_pti_argument",
    "vsyscall=none": "grub2_vsyscall_argument",
}
"""Argument that the STIG wants on every command line -> the rule that wants it."""
