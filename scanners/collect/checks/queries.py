"""The queries of the checks, so that they can run in one batch."""

import shlex

from hardpan.scanners.collect.base import ExpectedState
from hardpan.scanners.collect.fips import FIPS_QUESTIONS
from hardpan.scanners.collect.preconditions import (
    HOST_KEYS,
    ROOT,
    RPM_DATABASE,
    SHADOW,
    SYSTEMD,
    Query,
    path,
    program,
)

_GREP = program("grep")
_FIND = program("find", "findutils")
_GETENT = program("getent", "the programs of the C library")

BUILD_RECORD = "/usr/lib/hardpan/build.json"
"""The kickstart writes it on every system that hardpan builds."""

HARDPAN_IMAGE = Query(script=f"[ -f {BUILD_RECORD} ]")
OS_RELEASE = Query(script="cat /etc/os-release || cat /usr/lib/os-release")
SSH_KEX = Query(script="ssh -Q kex")
SECURE_BOOT = Query(
    # The variable has four bytes of attributes and one of data (UEFI 2.10, section 3.3).
    script="[ -d /sys/firmware/efi ] || { echo bios; exit 0; }; "
    "f=/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c; "
    'if [ -r "$f" ]; then od -An -tu1 "$f"; else echo unreadable; fi',
    needs=(program("od", "coreutils"),),
)
LOCKDOWN = Query(
    script="cat /sys/kernel/security/lockdown",
    needs=(path("/sys/kernel/security/lockdown", "securityfs and the lockdown module"),),
)
MODULE_SIGNATURES = Query(
    script="[ -e /proc/modules ] || { echo no-modules; exit 0; }; "
    "echo sig_enforce $(cat /sys/module/module/parameters/sig_enforce 2>/dev/null); "
    "echo lockdown $(cat /sys/kernel/security/lockdown 2>/dev/null); "
    "echo disabled $(cat /proc/sys/kernel/modules_disabled 2>/dev/null)",
    needs=(path("/sys/module", "sysfs"),),
)
TAINTED = Query(
    script="cat /proc/sys/kernel/tainted", needs=(path("/proc/sys/kernel/tainted", "procfs"),)
)
BOOT_ENTRIES = Query(script=FIPS_QUESTIONS["entries"])
CRYPTO_POLICY = Query(script=FIPS_QUESTIONS["policy"])
OPENSSL_PROVIDERS = Query(script=FIPS_QUESTIONS["providers"])
OPENSSL_MD5 = Query(script=FIPS_QUESTIONS["md5"])
OPENSSL_KEM = Query(script=FIPS_QUESTIONS["kem"])

MOUNTS = Query(script="cat /proc/self/mounts")
FIPS = Query(script="cat /proc/sys/crypto/fips_enabled")
CMDLINE = Query(script="cat /proc/cmdline")
SSHD = Query(
    script="sshd -T -C user=root,host=localhost,addr=127.0.0.1",
    needs=(program("sshd", "openssh-server"), ROOT),
)
LISTENING = Query(script="ss -Htln", needs=(program("ss", "iproute"),))
AUDIT_RULES = "/etc/audit/audit.rules"
"""augenrules writes it from ``rules.d``; auditctl loads it and stops at the first invalid rule."""

AUDIT = Query(
    script="auditctl -s | grep '^enabled'; echo loaded $(auditctl -l | grep -c '^-'); "
    # The kernel has a rule once, however often the file names it.
    f"echo compiled $(grep -E '^[[:space:]]*-[aAw][[:space:]]' {AUDIT_RULES} | sort -u | wc -l)",
    needs=(program("auditctl", "audit"), ROOT, path(AUDIT_RULES, "rules of augenrules"), _GREP),
)
# Password hashes stay on the target: only account names leave it.
EMPTY_PASSWORDS = Query(
    script="getent shadow | grep -E '^[^:]+::' | cut -d: -f1", needs=(ROOT, SHADOW, _GREP)
)
UID_ZERO = Query(
    script="getent passwd | grep -E '^[^:]*:[^:]*:0:' | cut -d: -f1", needs=(_GETENT, _GREP)
)
UMASK = Query(
    script="grep -hE '^[[:space:]]*UMASK' /etc/login.defs",
    needs=(_GREP, path("/etc/login.defs", "shadow-utils")),
)
CHRONY = Query(
    script="cat /etc/chrony.conf /etc/chrony.d/*.conf 2>/dev/null",
    needs=(path("/etc/chrony.conf", "chrony"),),
)
GRUB = Query(
    script="grep -hE 'superusers|password_pbkdf2|GRUB2_PASSWORD' /boot/grub2/grub.cfg "
    "/boot/grub2/user.cfg /etc/grub.d/01_users | sed -E 's/(pbkdf2.sha512.).*/\\1/'",
    needs=(ROOT, path("/boot/grub2", "GRUB 2"), _GREP, program("sed")),
)
GRUB_MODES = Query(
    script="stat -c '%a %U %G' /boot/grub2/grub.cfg",
    needs=(ROOT, path("/boot/grub2/grub.cfg", "GRUB 2")),
)
WORLD_WRITABLE = Query(
    script="find /etc /usr/local /opt -xdev -type f -perm -0002 -print -quit", needs=(ROOT, _FIND)
)
KEYS = Query(script="stat -L -c '%a %U %n' /etc/ssh/ssh_host_*_key", needs=(HOST_KEYS,))
PACKAGES = Query(script="rpm -qa --qf '%{NAME}\\n'", needs=(program("rpm"), RPM_DATABASE))
SUID = Query(script="find /usr /opt /etc /var -xdev -type f -perm /6000", needs=(ROOT, _FIND))
_KEY_FOLDERS = "/var/lib/dkms /etc/dkms /etc/pki/hardpan /etc/pki/akmods /usr/src"
BUILD_TOOLS = Query(
    script=(
        "{ for p in cc gcc g++ clang dkms; do command -v $p; done; ls -d /usr/src/kernels/*;"
        f" find {_KEY_FOLDERS} -xdev -type f \\( -name '*.priv' -o -name '*.key' \\);"
        f" grep -rlsI -e 'PRIVATE KEY-----' {_KEY_FOLDERS}; }} 2>/dev/null; :"
    ),
    needs=(ROOT, _FIND),
)
"""Prints what a build of kernel modules leaves: compilers, headers, private keys."""

TUNED = Query(script="cat /etc/tuned/active_profile; systemctl is-active tuned", needs=(SYSTEMD,))
HUGEPAGES = Query(script="cat /sys/kernel/mm/transparent_hugepage/enabled")
CORE = Query(script="cat /proc/sys/kernel/core_pattern")

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

_SWAP_SEPARATORS = str.maketrans("./", "/.")


def sysctl_query(name: str) -> Query:
    """Return the query of one kernel setting; dots and slashes are swapped, as sysctl(8) does."""
    return Query(script=f"cat {shlex.quote('/proc/sys/' + name.translate(_SWAP_SEPARATORS))}")


def service_query(verb: str, name: str) -> Query:
    """Return the query of one unit of systemd."""
    return Query(script=f"systemctl {verb} {shlex.quote(name)}", needs=(SYSTEMD,))


def torch_query(python: str) -> Query:
    """Return the query that multiplies two matrices with PyTorch."""
    code = "import torch; print((torch.ones(4, 4) @ torch.ones(4, 4)).sum().item())"
    return Query(script=f"{shlex.quote(python)} -I -c {shlex.quote(code)}")


def authorized_keys_query(user: str) -> Query:
    """Return the query that counts the authorized keys of a user."""
    home = f"$(getent passwd {shlex.quote(user)} | cut -d: -f6)"
    return Query(script=f'wc -l < "{home}/.ssh/authorized_keys"', needs=(ROOT, _GETENT))


def expiry_query(user: str) -> Query:
    """Return the query of when the account and its password expire."""
    return Query(
        script=f"chage -l {shlex.quote(user)}", needs=(ROOT, program("chage", "shadow-utils"))
    )


def sudo_list_query(user: str) -> Query:
    """Return the query of what a user may run with sudo."""
    return Query(script=f"sudo -l -U {shlex.quote(user)}", needs=(ROOT, program("sudo")))


PLATFORM_QUERIES = (
    *(OS_RELEASE, FIPS, CMDLINE, BOOT_ENTRIES, CRYPTO_POLICY, OPENSSL_PROVIDERS, OPENSSL_MD5),
    *(OPENSSL_KEM, SSHD, SSH_KEX, SECURE_BOOT, LOCKDOWN, MODULE_SIGNATURES, TAINTED),
)
"""Queries of the checks for every host."""


def list_queries(expected: ExpectedState) -> tuple[Query, ...]:
    """Return all queries for this target, without duplicates."""
    queries = [HARDPAN_IMAGE, MOUNTS, CMDLINE, SSHD, LISTENING, AUDIT, EMPTY_PASSWORDS, UID_ZERO]
    queries += [UMASK, CHRONY, GRUB, GRUB_MODES, WORLD_WRITABLE, KEYS, PACKAGES, CORE]
    queries += [sysctl_query(name) for name in SYSCTLS]
    queries += [sysctl_query(name) for name in expected.sysctls]
    queries += [SUID] * bool(expected.suid) + [TUNED] * bool(expected.tuned_profile)
    queries += [HUGEPAGES] * bool(expected.transparent_hugepages)
    queries += [BUILD_TOOLS] * expected.forbids_build_tools
    for name in (*expected.enabled, *expected.disabled):
        queries += [service_query("is-enabled", name), service_query("is-active", name)]
    if expected.build_user:
        user = expected.build_user
        queries += [authorized_keys_query(user), expiry_query(user), sudo_list_query(user)]
    if expected.ai_python:
        queries.append(torch_query(expected.ai_python))
    return tuple(dict.fromkeys(queries))
