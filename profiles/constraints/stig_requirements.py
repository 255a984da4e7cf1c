"""Install-time requirements of the RHEL 9 and RHEL 10 STIG, as data.

Sources: ComplianceAsCode b3a2cca935 (2026-08-21), STIG RHEL 9 V2R9 and RHEL 10
V1R2. These rules have no automatic fix, or one that is unsafe after the install.
"""

from hardpan.profiles.schema.rule_names import RuleNames
from hardpan.profiles.schema.ssg import RULE_PREFIX


def _rule(name: str, rhel9: int, rhel10: str, sv_rhel9: int, sv_rhel10: int) -> RuleNames:
    """Build the names of a rule from the numbers of its STIG ids and SV ids."""
    return RuleNames(
        rule_id=RULE_PREFIX + name,
        stig_ids=(f"RHEL-09-{rhel9}", f"RHEL-10-{rhel10}"),
        sv_ids=(f"SV-{sv_rhel9}", f"SV-{sv_rhel10}"),
    )


SEPARATE_FILE_SYSTEMS = {
    "/home": _rule("partition_for_home", 231010, "000530", 257843, 280937),
    "/tmp": _rule("partition_for_tmp", 231015, "000540", 257844, 280938),  # noqa: S108
    "/var": _rule("partition_for_var", 231020, "000550", 257845, 280939),
    "/var/log": _rule("partition_for_var_log", 231025, "000560", 257846, 280940),
    "/var/log/audit": _rule("partition_for_var_log_audit", 231030, "000520", 257847, 280936),
    "/var/tmp": _rule("partition_for_var_tmp", 231035, "000570", 257848, 280941),  # noqa: S108
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
    "audit=1": _rule("grub2_audit_argument", 212055, "500005", 257796, 281097),
    "audit_backlog_limit=8192": _rule(
        "grub2_audit_backlog_limit_argument", 653120, "500030", 258173, 281102
    ),
    "init_on_free=1": _rule("grub2_init_on_free", 212045, "701010", 257794, 281303),
    "page_poison=1": _rule("grub2_page_poison_argument", 212040, "701000", 257793, 281302),
    "pti=on": _rule("grub2_pti_argument", 212050, "701020", 257795, 281304),
    "vsyscall=none": _rule("grub2_vsyscall_argument", 212035, "700990", 257792, 281301),
}
"""Kernel argument required by the STIG -> its rule."""

TUNED_REMOVAL = _rule("package_tuned_removed", 215055, "200040", 257834, 280946)
"""The rule that forbids the package tuned."""
