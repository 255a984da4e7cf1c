"""The commands of the checks, so that they can run in one batch."""

import shlex

from hardpan.scanners.collect.base import ExpectedState

MOUNTS = "findmnt -rno TARGET,OPTIONS"
FIPS = "cat /proc/sys/crypto/fips_enabled"
CMDLINE = "cat /proc/cmdline"
SSHD = "sshd -T -C user=root,host=localhost,addr=127.0.0.1"
LISTENING = "ss -Htln"
AUDIT = "auditctl -s; auditctl -l | wc -l"
# Password hashes stay on the target: only account names leave it.
EMPTY_PASSWORDS = "getent shadow | grep -E '^[^:]+::' | cut -d: -f1"
UID_ZERO = "getent passwd | grep -E '^[^:]*:[^:]*:0:' | cut -d: -f1"
UMASK = "grep -hE '^[[:space:]]*UMASK' /etc/login.defs"
CHRONY = "cat /etc/chrony.conf /etc/chrony.d/*.conf 2>/dev/null"
GRUB = (
    "grep -hE 'superusers|password_pbkdf2|GRUB2_PASSWORD' /boot/grub2/grub.cfg "
    "/boot/grub2/user.cfg /etc/grub.d/01_users | sed -E 's/(pbkdf2.sha512.).*/\\1/'"
)
GRUB_MODES = "stat -c '%a %U %G' /boot/grub2/grub.cfg"
TORCH = "{} -I -c 'import torch; print((torch.ones(4, 4) @ torch.ones(4, 4)).sum().item())'"
WORLD_WRITABLE = "find /etc /usr/local /opt -xdev -type f -perm -0002 -print -quit"
KEYS = "stat -L -c '%a %U %n' /etc/ssh/ssh_host_*_key"
PACKAGES = "rpm -qa --qf '%{NAME}\\n'"
SUID = "find /usr /opt /etc /var -xdev -type f -perm /6000"
TUNED = "cat /etc/tuned/active_profile; systemctl is-active tuned"
HUGEPAGES = "cat /sys/kernel/mm/transparent_hugepage/enabled"
CORE = "cat /proc/sys/kernel/core_pattern"

SYSCTLS = {
    "kernel.randomize_va_space": "2",
    "kernel.kptr_restrict": "1",
    "kernel.dmesg_restrict": "1",
    "kernel.yama.ptrace_scope": "1",
    "kernel.unprivileged_bpf_disabled": "1",
    "fs.protected_symlinks": "1",
    "fs.protected_hardlinks": "1",
    "net.ipv4.conf.all.accept_redirects": "0",
    "net.ipv4.conf.all.accept_source_route": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.tcp_syncookies": "1",
}
"""Kernel setting -> value that the STIG requires (RHEL-09-213010 and others)."""


def sysctl_query(name: str) -> str:
    """Return the command that reads one kernel setting."""
    return f"sysctl -n {name}"


def service_query(verb: str, name: str) -> str:
    """Return the command that asks systemd about one unit."""
    return f"systemctl {verb} {shlex.quote(name)}"


def authorized_keys_query(user: str) -> str:
    """Return the command that counts the authorized keys of a user."""
    return f'wc -l < "$(getent passwd {shlex.quote(user)} | cut -d: -f6)/.ssh/authorized_keys"'


def expiry_query(user: str) -> str:
    """Return the command that prints when the account and its password expire."""
    return f"chage -l {shlex.quote(user)}"


def sudo_list_query(user: str) -> str:
    """Return the command that prints what a user may run with sudo."""
    return f"sudo -l -U {shlex.quote(user)}"


def list_commands(expected: ExpectedState) -> tuple[str, ...]:
    """Return all commands for this target, without duplicates."""
    command_lines = [
        MOUNTS,
        FIPS,
        CMDLINE,
        SSHD,
        LISTENING,
        AUDIT,
        EMPTY_PASSWORDS,
        UID_ZERO,
        UMASK,
        CHRONY,
    ]
    command_lines += [GRUB, GRUB_MODES, WORLD_WRITABLE, KEYS, PACKAGES, CORE]
    command_lines += [sysctl_query(name) for name in SYSCTLS]
    command_lines += [sysctl_query(name) for name in expected.sysctls]
    command_lines += [SUID] * bool(expected.suid) + [TUNED] * bool(expected.tuned_profile)
    command_lines += [HUGEPAGES] * bool(expected.transparent_hugepages)
    for name in (*expected.enabled, *expected.disabled):
        command_lines += [service_query("is-enabled", name), service_query("is-active", name)]
    if expected.build_user:
        user = expected.build_user
        command_lines += [authorized_keys_query(user), expiry_query(user), sudo_list_query(user)]
    if expected.ai_python:
        command_lines.append(TORCH.format(shlex.quote(expected.ai_python)))
    return tuple(dict.fromkeys(command_lines))
