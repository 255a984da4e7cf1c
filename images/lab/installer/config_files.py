# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration files that the installer writes, as text. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .plan import Password

_FSCK_PASS = {"ext4": 2, "vfat": 2}
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


def render_fstab(mounts: Sequence[Mount]) -> str:
    """Render the file system table with the options of the kickstart."""
    lines = [
        "# /etc/fstab: created by the hardpan lab installer from the kickstart's storage commands."
    ]
    for m in mounts:
        fsck_pass = 1 if m.mount == "/" and m.fstype == "ext4" else _FSCK_PASS.get(m.fstype, 0)
        dump = 1 if m.fstype == "ext4" else 0
        mount_point = "none" if m.is_swap else m.mount
        lines.append(
            f"{m.spec} {mount_point} {m.fstype} {m.options or 'defaults'} {dump} {fsck_pass}"
        )
    return "\n".join(lines) + "\n"


def render_crypttab(uuids: Iterable[str]) -> str:
    """One line per LUKS device; the initramfs prompts for the passphrase.

    With discards, as Anaconda has it: without them a removed file stays on the disk.
    """
    return "".join(f"luks-{u} UUID={u} none luks,discard\n" for u in uuids)


def render_bls_entry(*, title: str, version: str, prefix: str, options: Sequence[str]) -> str:
    """A boot loader specification file, as EL's kernel-install writes it.

    ``prefix`` is the kernel's folder on its file system: empty if /boot is a separate
    partition, else ``/boot``.
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


def render_grub_stub(boot_uuid: str, prefix: str) -> str:
    """The grub.cfg in the vendor's folder of the ESP: it leads to the one in ``prefix``.

    ``boot_uuid`` is the UUID of the file system that has the folder ``prefix``.
    """
    return (
        f"search --no-floppy --fs-uuid --set=dev {boot_uuid}\n"
        f"set prefix=($dev){prefix}\n"
        "export prefix\n"
        "configfile $prefix/grub.cfg\n"
    )


def build_kernel_arguments(
    *,
    consoles: Sequence[str],
    append: Sequence[str],
    volumes: Sequence[str] = (),
    luks: Sequence[str],
    fips: bool,
    boot_uuid: str | None,
) -> list[str]:
    """The target's kernel arguments without ``root=``, each once, the last one winning.

    With ``fips``, the installer's ``fips=1`` is carried over, and ``boot=`` names the file
    system of the kernel for the self-test, but only if /boot is a separate partition.
    As Anaconda's, they name what dracut has to set up before it mounts the root: ``volumes``
    (``GROUP/NAME``) and LUKS devices.
    """
    devices = [*(f"rd.luks.uuid=luks-{u}" for u in luks), *(f"rd.lvm.lv={v}" for v in volumes)]
    arguments = [*consoles, *devices, *append]
    if fips:
        arguments = [w for w in arguments if not w.startswith(("fips=", "boot="))]
        arguments.append("fips=1")
        arguments += [f"boot=UUID={boot_uuid}"] if boot_uuid else []
    return list(dict.fromkeys(arguments))


def render_default_grub(old: str, arguments: Sequence[str], timeout_s: int | None) -> str:
    """/etc/default/grub with the arguments (not root=: GRUB's scripts know the root)."""
    text = set_variable(old, "GRUB_CMDLINE_LINUX", f'"{" ".join(arguments)}"')
    return text if timeout_s is None else set_variable(text, "GRUB_TIMEOUT", str(timeout_s))


def set_variable(text: str, key: str, value: str) -> str:
    """A file of ``KEY=value`` lines with one value set."""
    lines = text.splitlines()
    line = f"{key}={value}"
    indexes = [i for i, old in enumerate(lines) if old.startswith(f"{key}=")]
    if indexes:
        lines[indexes[-1]] = line
    else:
        lines.append(line)
    return "\n".join(lines) + "\n"


def render_chrony_conf(old: str, servers: Sequence[str]) -> str:
    """chrony.conf that asks these servers and no others."""
    other_lines = [
        x for x in old.splitlines() if not re.match(r"\s*(server|pool|peer|sourcedir)\s", x)
    ]
    return "\n".join([*servers, *other_lines]) + "\n"


def set_shadow_password(old: str, user: str, password: Password, day: int) -> str:
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


def render_networkd_dhcp(device: str) -> str:
    """A systemd-networkd file that asks DHCP on one interface."""
    mac = re.fullmatch(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", device)
    return f"[Match]\n{'MACAddress' if mac else 'Name'}={device}\n\n[Network]\nDHCP=yes\n"


def make_printable(line: str) -> str:
    """A line without control characters: scripts' output goes to a terminal."""
    return "".join(c if c.isprintable() or c == "\t" else "?" for c in line.rstrip())


def parse_percent(line: str) -> int | None:
    """How far a program says it is: ``42``, ``42%``, or ``Installing : aide 3/20``."""
    if match := re.fullmatch(r"\s*(\d{1,3})%?\s*", line):
        return min(100, int(match[1]))
    if (match := re.search(r"\s(\d+)/(\d+)\s*$", line)) and int(match[2]):
        return min(100, 100 * int(match[1]) // int(match[2]))
    return None
