# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration files that the installer writes, as text. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .plan import Password

_PASS = {"ext4": 2, "vfat": 2}
"""fsck's pass of file systems other than the root's; xfs checks itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A file system or swap space of the new system."""

    spec: str
    """First field of fstab: ``UUID=…`` or ``/dev/mapper/…``."""

    device: str
    """The device now."""

    mount: str
    """Mount point, or ``swap``."""

    fstype: str
    """As mount(8) names it."""

    options: str | None = None
    uuid: str
    """The file system's own."""

    @property
    def is_swap(self) -> bool:
        """Swap has no mount point."""
        return self.fstype == "swap"


def fstab(mounts: Sequence[Mount]) -> str:
    """The file system table, options exactly as the kickstart gave them."""
    lines = ["# /etc/fstab: made by the hardpan lab installer from the kickstart's storage lines."]
    for m in mounts:
        number = 1 if m.mount == "/" and m.fstype == "ext4" else _PASS.get(m.fstype, 0)
        dump = 1 if m.fstype == "ext4" else 0
        point = "none" if m.is_swap else m.mount
        lines.append(f"{m.spec} {point} {m.fstype} {m.options or 'defaults'} {dump} {number}")
    return "\n".join(lines) + "\n"


def crypttab(uuids: Iterable[str]) -> str:
    """One line per LUKS device; the passphrase is asked for at the start.

    With discards, as Anaconda has it: without them a removed file stays on the disk.
    """
    return "".join(f"luks-{u} UUID={u} none luks,discard\n" for u in uuids)


def bls_entry(*, title: str, version: str, prefix: str, options: Sequence[str]) -> str:
    """A boot loader specification file, as EL's kernel-install writes it.

    ``prefix`` is where the kernel lies on the file system that holds it: empty
    when /boot is one of its own, else ``/boot``.
    """
    return (
        f"title {title} ({version})\n"
        f"version {version}\n"
        f"linux {prefix}/vmlinuz-{version}\n"
        f"initrd {prefix}/initramfs-{version}.img\n"
        f"options {' '.join(options)}\n"
        "grub_users $grub_users\n"
        "grub_arg --unrestricted\n"
        "grub_class hardpan-lab\n"
    )


def kernel_arguments(
    *,
    consoles: Sequence[str],
    append: Sequence[str],
    luks: Sequence[str],
    fips: bool,
    boot_uuid: str | None,
) -> list[str]:
    """The target's kernel arguments without ``root=``, each once, the last one winning.

    With ``fips``, the installer's own ``fips=1`` is carried over, and ``boot=`` tells
    the self-test where the kernel lies, but only if /boot is a file system of its own.
    LUKS devices are named by ``cryptopts=``, this initramfs's word for EL's
    ``rd.luks.uuid=``: making an initramfs that knows them took 170 s under emulation.
    """
    opened = (f"cryptopts=target=luks-{u},source=UUID={u},luks" for u in luks)
    words = [*consoles, *opened, *append]
    if fips:
        words = [w for w in words if not w.startswith(("fips=", "boot="))]
        words.append("fips=1")
        words += [f"boot=UUID={boot_uuid}"] if boot_uuid else []
    return list(dict.fromkeys(words))


def default_grub(old: str, arguments: Sequence[str], timeout_s: int | None) -> str:
    """/etc/default/grub with the arguments (not root=: GRUB's scripts know the root)."""
    text = _set(old, "GRUB_CMDLINE_LINUX", f'"{" ".join(arguments)}"')
    return text if timeout_s is None else _set(text, "GRUB_TIMEOUT", str(timeout_s))


def _set(text: str, key: str, value: str) -> str:
    lines = text.splitlines()
    line = f"{key}={value}"
    places = [i for i, old in enumerate(lines) if old.startswith(f"{key}=")]
    if places:
        lines[places[-1]] = line
    else:
        lines.append(line)
    return "\n".join(lines) + "\n"


def chrony_conf(old: str, servers: Sequence[str]) -> str:
    """chrony.conf that asks these servers and no others."""
    kept = [x for x in old.splitlines() if not re.match(r"\s*(server|pool|peer|sourcedir)\s", x)]
    return "\n".join([*servers, *kept]) + "\n"


def shadow(old: str, user: str, password: Password, day: int) -> str:
    """/etc/shadow with one user's password set, as a hash or locked.

    Raises:
        KeyError: there is no such user.
    """
    # No password at all is a locked one: an empty field would let everybody in.
    field = password.crypted or "!!"
    if password.locked and password.crypted:
        field = f"!{password.crypted}"
    lines = old.splitlines()
    for i, line in enumerate(lines):
        parts = line.split(":")
        if parts[0] == user:
            parts[1:3] = [field, str(day)]
            lines[i] = ":".join(parts)
            return "\n".join(lines) + "\n"
    raise KeyError(user)


def networkd_dhcp(device: str) -> str:
    """A systemd-networkd file that asks DHCP on one interface."""
    mac = re.fullmatch(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", device)
    return f"[Match]\n{'MACAddress' if mac else 'Name'}={device}\n\n[Network]\nDHCP=yes\n"


def printable(line: str) -> str:
    """A line without control characters: scripts' output goes to a terminal."""
    return "".join(c if c.isprintable() or c == "\t" else "?" for c in line.rstrip())


def percent(line: str) -> int | None:
    """How far a program says it is: ``42``, ``42%``, or ``Installing : aide 3/20``."""
    if found := re.fullmatch(r"\s*(\d{1,3})%?\s*", line):
        return min(100, int(found[1]))
    if (found := re.search(r"\s(\d+)/(\d+)\s*$", line)) and int(found[2]):
        return min(100, 100 * int(found[1]) // int(found[2]))
    return None
