# SPDX-License-Identifier: GPL-2.0-or-later
"""The new system's configuration: language to services, as the kickstart says."""

from pathlib import Path

from . import selinux
from .config_files import render_chrony_conf, render_crypttab, render_fstab, render_networkd_dhcp
from .console import InstallerConsole
from .plan import FirewallSettings, InstallError, SystemSettings
from .process import SYSROOT, run
from .storage import InstallTarget


def write_mount_tables(target: InstallTarget) -> None:
    """Write fstab and crypttab, before the first package that looks at them."""
    _write_file("etc/fstab", render_fstab(target.mounts))
    if target.luks_uuids:
        _write_file("etc/crypttab", render_crypttab(target.luks_uuids), 0o600)


def apply(system: SystemSettings, console: InstallerConsole) -> None:
    """Write the configuration.

    Raises:
        InstallError: something that the kickstart names does not exist.
    """
    _set_locale(system, console)
    _write_file("etc/vconsole.conf", f"KEYMAP={system.keymap}\n")
    _set_clock(system, console)
    if system.hostname:
        _write_file("etc/hostname", f"{system.hostname}\n")
    for device in system.dhcp_devices:
        name = device.replace(":", "-")
        _write_file(f"etc/systemd/network/10-{name}.network", render_networkd_dhcp(device))
    if system.selinux is not None:
        selinux.set_mode(system.selinux, console)
    _configure_firewall(system.firewall, console)
    _configure_services(system, console)


def _set_locale(system: SystemSettings, console: InstallerConsole) -> None:
    lang = system.lang
    charset = lang.partition(".")[2].lower().replace("-", "")
    archive = (SYSROOT / "usr/lib/locale/locale-archive").exists()
    folder = SYSROOT / "usr/lib/locale" / f"{lang.partition('.')[0]}.{charset}"
    if not (archive or folder.is_dir() or lang in ("C", "POSIX", "C.UTF-8")):
        console.print_line(f"lang {lang}: the lab carries no such locale; C.UTF-8 is set")
        lang = "C.UTF-8"
    _write_file("etc/locale.conf", f"LANG={lang}\n")


def _set_clock(system: SystemSettings, console: InstallerConsole) -> None:
    zone = Path("usr/share/zoneinfo", system.timezone)
    if not (SYSROOT / zone).is_file():
        raise InstallError(f"timezone: the system has no zone {system.timezone!r}")
    link = SYSROOT / "etc/localtime"
    link.unlink(missing_ok=True)
    link.symlink_to(f"../{zone}")
    _write_file("etc/adjtime", f"0.0 0 0.0\n0\n{'UTC' if system.utc else 'LOCAL'}\n")
    if not (system.time_servers or system.time_disabled):
        return
    conf = SYSROOT / "etc/chrony.conf"
    if system.time_disabled:
        run(_systemctl_argv("disable", "chronyd.service"), timeout_s=60, ok=None)
    elif conf.exists():
        _write_file(
            "etc/chrony.conf", render_chrony_conf(conf.read_text("utf-8"), system.time_servers)
        )
    else:
        console.print_line("timesource: chrony is not among the packages; no time server is set")


def _configure_firewall(firewall: FirewallSettings | None, console: InstallerConsole) -> None:
    if firewall is None:
        return
    offline = SYSROOT / "usr/bin/firewall-offline-cmd"
    if not offline.exists():
        if firewall.enabled:
            console.print_line("firewall: firewalld is not among the packages; nothing is enabled")
        return
    run(
        _systemctl_argv("enable" if firewall.enabled else "disable", "firewalld.service"),
        timeout_s=60,
    )
    extra = [f"--service={s}" for s in firewall.services if s != "ssh"]
    extra += [f"--port={p}" for p in firewall.ports]
    # The default zone lets SSH in already, as EL's does; Python under emulation is
    # slow, so firewalld's tool runs only for services that the zone lacks.
    if firewall.enabled and (extra or not _ssh_is_open()):
        run(["firewall-offline-cmd", "--service=ssh", *extra], chroot=True, timeout_s=180)


def _ssh_is_open() -> bool:
    zone = SYSROOT / "usr/lib/firewalld/zones/public.xml"
    return zone.exists() and '<service name="ssh"/>' in zone.read_text("utf-8")


def _configure_services(system: SystemSettings, console: InstallerConsole) -> None:
    if system.enable:
        run(_systemctl_argv("enable", *map(_to_unit_name, system.enable)), timeout_s=120)
    for name in system.disable:
        # As EL's installer: a service that is not there is as good as disabled.
        if run(_systemctl_argv("disable", _to_unit_name(name)), timeout_s=60, ok=None).exit_status:
            console.print_line(f"services --disabled={name}: there is no such service")


def _to_unit_name(name: str) -> str:
    return name if "." in name else f"{name}.service"


def _systemctl_argv(verb: str, *units: str) -> list[str]:
    return ["systemctl", f"--root={SYSROOT}", verb, *units]


def _write_file(name: str, text: str, mode: int = 0o644) -> None:
    path = SYSROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(mode)
