"""Install-time requirements of the RHEL 9 and RHEL 10 STIG, as data.

Sources: ComplianceAsCode b3a2cca935 (2026-08-21), STIG RHEL 9 V2R9 and RHEL 10
V1R2. These rules have no automatic fix, or one that is unsafe after the install.
"""

SEPARATE_FILE_SYSTEMS = {
    "/home": "partition_for_home",
    "/tmp": "partition_for_tmp",  # noqa: S108
    "/var": "partition_for_var",
    "/var/log": "partition_for_var_log",
    "/var/log/audit": "partition_for_var_log_audit",
    "/var/tmp": "partition_for_var_tmp",  # noqa: S108
}
"""Mount point -> rule that requires a separate file system."""

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
"""Mount point -> required mount options. %post writes the line of /dev/shm."""

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
"""System accounts of EL; ``user --name=operator`` fails an install."""

DANGEROUS_ARGUMENTS = {
    "mitigations=off": "switches off the processor's mitigations (required by RHEL-09-212050)",
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
"""Rejected kernel argument -> reason."""

KERNEL_ARGUMENTS = {
    "audit=1": "grub2_audit_argument",
    "audit_backlog_limit=8192": "grub2_audit_backlog_limit_argument",
    "init_on_free=1": "grub2_init_on_free",
    "page_poison=1": "grub2_page_poison_argument",
    "pti=on": "grub2_pti_argument",
    "vsyscall=none": "grub2_vsyscall_argument",
}
"""Kernel argument required by the STIG -> its rule."""
