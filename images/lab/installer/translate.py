# SPDX-License-Identifier: GPL-2.0-or-later
"""pykickstart's object tree -> the plan, with everything that makes no sense refused."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from . import storageplan
from .plan import (
    BootLoader,
    Firewall,
    NewGroup,
    Packages,
    Password,
    Plan,
    Problem,
    RefusedError,
    Script,
    System,
    User,
    When,
)
from .reader import Command, Read, read

_GRUB_HASH = re.compile(r"grub\.pbkdf2\.sha512\.[0-9]+\.[0-9A-Fa-f]+\.[0-9A-Fa-f]+")
_CRYPT = re.compile(r"\$[0-9a-z]+\$[^:\s]+")
_FINISH = {"poweroff": "poweroff", "shutdown": "poweroff", "halt": "halt", "reboot": "reboot"}
_GROUPS = ("core", "base", "standard")
"""Package groups that the payload already is."""

Complain = Callable[[int, str], None]


def parse(text: str, *, fips: bool, strict: bool) -> Plan:
    """The plan that a kickstart leads to.

    Raises:
        RefusedError: with every reason found, and the scripts for errors.
    """
    found = read(text, strict=strict)
    problems = list(found.problems)

    def complain(line: int, why: str) -> None:
        problems.append(Problem(line=line, text=why))

    scripts = _scripts(found.scripts)
    plan = Plan(
        storage=storageplan.storage(found.commands, fips=fips, complain=complain),
        packages=_packages(found.packages, complain),
        system=_system(found, complain),
        bootloader=_bootloader(found.commands, complain),
        scripts=scripts,
        finish=_finish(found.commands),
    )
    if problems:
        on_error = tuple(s for s in scripts if s.when is When.ON_ERROR)
        raise RefusedError(tuple(problems), on_error)
    return plan


def _named(commands: Iterable[Command], *names: str) -> list[Command]:
    return [c for c in commands if c.name in names]


def _scripts(found: Iterable[Any]) -> tuple[Script, ...]:
    # pykickstart numbers its kinds: pre 0, post 1, traceback 2, pre-install 3, onerror 4.
    kinds = (When.PRE, When.POST, When.TRACEBACK, When.PRE_INSTALL, When.ON_ERROR)
    return tuple(
        Script(
            when=kinds[s.type],
            line=s.lineno,
            body=s.script,
            interpreter=s.interp,
            chroot=bool(s.inChroot),
            fatal=bool(s.errorOnFail),
            log=s.logfile,
        )
        for s in found
    )


def _packages(found: Any, complain: Complain) -> Packages:
    for group in found.groupList:
        if group.name not in _GROUPS:
            complain(0, f"%packages: the media has no group {group.name!r}")
    if found.environment not in (None, "minimal-environment"):
        complain(0, f"%packages: the media has no environment {found.environment!r}")
    for group in found.excludedGroupList:
        complain(0, f"%packages: excluding the group {group.name!r} is not implemented")
    return Packages(
        install=tuple(found.packageList),
        exclude=tuple(found.excludedList),
        weak=not found.excludeWeakdeps,
        docs=not found.excludeDocs,
        ignore_missing=found.handleMissing == 1,
    )


def _system(found: Read, complain: Complain) -> System:
    commands = found.commands
    one = {c.name: c for c in commands}
    servers, disabled = _time(commands, complain)
    hostname, devices = _network(commands, complain)
    services = _named(commands, "services")
    return System(
        lang=one["lang"].data.lang if "lang" in one else "C.UTF-8",
        keymap=_keymap(one.get("keyboard")),
        timezone=_timezone(one.get("timezone"), complain),
        utc=bool(one["timezone"].data.isUtc) if "timezone" in one else True,
        time_servers=servers,
        time_disabled=disabled,
        hostname=hostname,
        dhcp_devices=devices,
        root=_root(one.get("rootpw"), complain),
        users=tuple(_user(c, complain) for c in _named(commands, "user")),
        groups=tuple(NewGroup(name=c.data.name, gid=c.data.gid) for c in _named(commands, "group")),
        ssh_keys=_keys(commands, complain),
        firewall=_firewall(one.get("firewall")),
        selinux=_selinux(one.get("selinux")),
        enable=tuple(s for c in services for s in c.data.enabled or ()),
        disable=tuple(s for c in services for s in c.data.disabled or ()),
    )


def _keymap(command: Command | None) -> str:
    if command is None:
        return "us"
    data = command.data
    layout = data.x_layouts[0].split(" ")[0] if data.x_layouts else ""
    return str(data.vc_keymap or data._keyboard or layout or "us")


def _timezone(command: Command | None, complain: Complain) -> str:
    if command is None:
        return "Etc/UTC"
    zone = command.data.timezone or "Etc/UTC"
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", zone):
        complain(command.line, f"timezone: not the name of a time zone: {zone!r}")
    return str(zone)


def _time(commands: Iterable[Command], complain: Complain) -> tuple[tuple[str, ...], bool]:
    lines: list[str] = []
    disabled = False
    for c in _named(commands, "timesource"):
        if c.data.ntp_disable:
            disabled = True
        elif c.data.ntp_pool:
            lines.append(f"pool {c.data.ntp_pool} iburst")
        else:
            lines.append(f"server {c.data.ntp_server} iburst")
        if any(re.search(r"\s.*\s.*\s", x) for x in lines[-1:]):
            complain(c.line, "timesource: a server's name has no blanks")
    return tuple(lines), disabled


def _network(commands: Iterable[Command], complain: Complain) -> tuple[str | None, tuple[str, ...]]:
    hostname: str | None = None
    devices: list[str] = []
    for c in _named(commands, "network"):
        if c.data.bootProto != "dhcp":
            complain(c.line, f"network: --bootproto={c.data.bootProto} is not implemented")
        if c.data.onboot is False:
            complain(c.line, "network: --onboot=no is not implemented")
        if c.data.hostname:
            hostname = c.data.hostname
            if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?", hostname):
                complain(c.line, f"network: not a host name: {hostname!r}")
        device = c.data.device or "link"
        if device not in ("link", "bootif", "ibft"):
            if not re.fullmatch(r"[A-Za-z0-9:._-]+", device):
                complain(c.line, f"network: not the name of an interface: {device!r}")
            devices.append(device)
    return hostname, tuple(devices)


def _password(command: Command, crypted: str, *, lock: bool, complain: Complain) -> Password:
    if crypted and not command.data.isCrypted:
        complain(command.line, f"{command.name}: a plaintext password is refused: --iscrypted")
    elif crypted and not _CRYPT.fullmatch(crypted):
        complain(command.line, f"{command.name}: the password is not a crypt(3) hash")
    return Password(crypted=crypted or None, locked=lock)


def _root(command: Command | None, complain: Complain) -> Password:
    if command is None:
        complain(0, "rootpw is missing; rootpw --lock locks the account")
        return Password(locked=True)
    data = command.data
    return _password(command, data.password or "", lock=bool(data.lock), complain=complain)


def _user(command: Command, complain: Complain) -> User:
    d = command.data
    for name in (d.name, *d.groups):
        if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", name.partition("(")[0]):
            complain(command.line, f"user: not the name of a user or group: {name!r}")
    if "(" in ",".join(d.groups):
        complain(command.line, "user: a group's number in --groups is not implemented")
    if ":" in (d.gecos or ""):
        complain(command.line, "user: --gecos must have no colon")
    return User(
        name=d.name,
        password=_password(command, d.password or "", lock=bool(d.lock), complain=complain),
        groups=tuple(d.groups),
        uid=d.uid,
        gid=d.gid,
        gecos=d.gecos or "",
        home=d.homedir or None,
        shell=d.shell or None,
    )


def _keys(commands: Iterable[Command], complain: Complain) -> tuple[tuple[str, str], ...]:
    known = {c.data.name for c in _named(commands, "user")} | {"root"}
    found: list[tuple[str, str]] = []
    for c in _named(commands, "sshkey"):
        if c.data.username not in known:
            complain(c.line, f"sshkey: the kickstart has no user {c.data.username!r}")
        found.append((c.data.username, c.data.key.strip()))
    return tuple(found)


def _firewall(command: Command | None) -> Firewall | None:
    if command is None:
        return None
    d = command.data
    return Firewall(
        enabled=bool(d.enabled),
        services=tuple(s.strip() for s in d.services),
        ports=tuple(p.replace(":", "/") for p in d.ports),
    )


def _selinux(command: Command | None) -> str | None:
    if command is None:
        return None
    return {0: "disabled", 1: "enforcing", 2: "permissive"}[command.data.selinux]


def _bootloader(commands: Iterable[Command], complain: Complain) -> BootLoader:
    found = _named(commands, "bootloader")
    if not found:
        complain(0, "bootloader is missing")
        return BootLoader()
    command = found[0]
    d = command.data
    if d.location not in ("mbr", "boot", None):
        complain(command.line, f"bootloader: --location={d.location} is not implemented")
    if d.password and not d.isCrypted:
        complain(command.line, "bootloader: a plaintext password is refused: --iscrypted")
    elif d.password and not _GRUB_HASH.fullmatch(d.password):
        complain(command.line, "bootloader: the password is not a grub.pbkdf2.sha512 hash")
    return BootLoader(
        append=tuple((d.appendLine or "").split()),
        password=d.password or None,
        timeout_s=d.timeout,
    )


def _finish(commands: Iterable[Command]) -> str:
    found = _named(commands, *_FINISH)
    return _FINISH[found[-1].name] if found else "halt"
