"""Allowlists and denylists of the layer ``kernel_hardening``.

Names are those of Rocky 9 and 10, and of the lab where it differs (Debian's paths). A missing
entry can lock users out or prevent booting, so everything that the system and the STIG require
is listed here; a profile can only add entries.
"""

from collections.abc import Mapping

AS_OF = "2026-11-21"

FORBIDDEN_MODULES: Mapping[str, tuple[str, ...]] = {
    "Rare network protocols, with a history of kernel exploits and no use on an AI host.": (
        *("af_802154", "appletalk", "atm", "ax25", "caif", "dccp", "decnet", "econet"),
        *("ieee802154", "ipx", "kcm", "netrom", "phonet", "rds", "rose", "rxrpc", "x25"),
    ),
    "File systems that only a planted disk or image would have.": (
        *("adfs", "affs", "befs", "bfs", "cramfs", "efs", "f2fs", "freevxfs", "gfs2", "hfs"),
        *("hfsplus", "hpfs", "jffs2", "jfs", "minix", "nilfs2", "omfs", "orangefs", "qnx4"),
        *("qnx6", "reiserfs", "sysv", "udf", "ufs"),
    ),
    "Servers inside the kernel, which no unit's sandbox holds.": ("ksmbd",),
    "Buses through which a device reads memory, and drivers for tests.": (
        *("firewire-core", "firewire-ohci", "firewire-sbp2", "floppy", "pcspkr", "vivid"),
    ),
}
"""Reason -> kernel modules that are blocked, except those that the STIG content blocks."""

ALLOWED_SERVICES = (
    # The way in, time, logs, and what the STIG wants running.
    *("sshd.service", "sshd-keygen.service", "sshd-keygen@*.service", "sshd-keygen.target"),
    *("auditd.service", "audit-rules.service", "augenrules.service", "rsyslog.service"),
    *("chronyd.service", "crond.service", "firewalld.service", "fapolicyd.service"),
    *("usbguard.service", "usbguard-dbus.service", "rngd.service", "pcscd.socket"),
    *("pcscd.service", "sssd.service", "sssd-*.socket", "postfix.service", "aide*.timer"),
    # The system itself.
    *("systemd-*", "dbus.service", "dbus.socket", "dbus-broker.service", "dbus-daemon.service"),
    *("getty@*.service", "serial-getty@*.service", "console-getty.service", "autovt@*.service"),
    *("NetworkManager.service", "NetworkManager-dispatcher.service"),
    *("NetworkManager-wait-online.service", "polkit.service", "nftables.service"),
    *("selinux-autorelabel-mark.service", "microcode.service", "loadmodules.service"),
    *("import-state.service", "logrotate.timer", "fstrim.timer", "irqbalance.service"),
    *("crypto-policies*.service", "fips-*.service", "e2scrub_reap.service"),
    # Disks.
    *("lvm2-*", "dm-event.*", "blk-availability.service", "multipathd.*", "mdmonitor.service"),
    *("raid-check.timer", "mdcheck_*.timer", "iscsi*.service", "iscsi*.socket", "nvme*.service"),
    *("nvmf-*.service", "nvmefc-*.service", "smartd.service", "stratisd.service"),
    # Hardware of servers.
    *("rasdaemon.service", "mcelog.service", "ipmi.service", "rdma-*", "opensm.service"),
    # Accelerators and hardpan's own.
    *("nvidia-*", "dcgm.service", "nvidia_*", "amd*.service", "rocm*.service", "tuned.service"),
    *("nginx.service", "hardpan-*", "ai-*"),
)
"""Units that may be enabled, as glob patterns; a profile's ``services.enabled`` are added."""

ALLOWED_SUID = (
    # Without these nobody changes a password or becomes root.
    *("/usr/bin/sudo", "/usr/bin/su", "/usr/bin/passwd", "/usr/bin/chage", "/usr/bin/gpasswd"),
    *("/usr/bin/newgrp", "/usr/bin/crontab", "/usr/sbin/unix_chkpwd"),
    *("/usr/sbin/pam_timestamp_check", "/usr/bin/mount", "/usr/bin/umount"),
    # Guards memory or files of their own, and gives nobody a shell.
    *("/usr/bin/ssh-agent", "/usr/libexec/utempter/utempter", "/usr/lib/*/utempter/utempter"),
    *("/usr/libexec/dbus-1/dbus-daemon-launch-helper",),
    *("/usr/lib/dbus-1.0/dbus-daemon-launch-helper",),
    *("/usr/lib/polkit-1/polkit-agent-helper-1",),
    *("/usr/libexec/sssd/krb5_child", "/usr/libexec/sssd/ldap_child"),
    *("/usr/libexec/sssd/selinux_child", "/usr/libexec/sssd/proxy_child"),
    # The STIG installs postfix, which hands mail over through these.
    *("/usr/sbin/postdrop", "/usr/sbin/postqueue"),
    # NVIDIA's helper makes the device nodes.
    *("/usr/bin/nvidia-modprobe",),
)
"""Programs that may have a SUID or SGID bit, as glob patterns; a profile can add to them."""

COMPILERS = (
    *("gcc", "gcc-c++", "gcc-gfortran", "gcc-[0-9]*", "g++", "g++-[0-9]*", "gcc-toolset-*"),
    *("clang", "clang-[0-9]*", "rust", "golang", "nasm", "dkms", "kernel-devel", "kernel-devel-*"),
)
"""Packages removed from runtime images, as glob patterns; the layer fails if one remains."""

BUILD_TOOLS = (
    *("make", "cmake", "cpp", "cpp-[0-9]*", "kernel-headers", "glibc-devel", "glibc-headers"),
    *("libstdc++-devel", "libstdc++-*-dev", "libc6-dev", "linux-libc-dev"),
)
"""Packages that are removed as well, unless another installed package requires them."""

ALLOWED_COMPILER_PACKAGES = ("gcc-*-base", "gcc-toolset-*-runtime")
"""Packages that match ``COMPILERS`` but are not compilers."""


def allowed_services(*extra_services: tuple[str, ...]) -> tuple[str, ...]:
    """Return the allowed units and the given extra ones; a bare name is a service."""
    unit_names = (name for names in extra_services for name in names)
    return (*ALLOWED_SERVICES, *(n if "." in n else f"{n}.service" for n in unit_names))
