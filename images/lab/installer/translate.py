# SPDX-License-Identifier: GPL-2.0-or-later
"""pykickstart's object tree -> the plan, with everything that makes no sense refused."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from . import payload_commands, storage_commands
from .plan import (
    BootLoader,
    FirewallSettings,
    Firmware,
    GroupAccount,
    InstallerProblem,
    InstallPlan,
    NetworkDevice,
    Password,
    RefusedKickstartError,
    Script,
    ScriptSection,
    SystemSettings,
    UserAccount,
)
from .reader import ParsedCommand, ParsedKickstart, parse_kickstart, parse_pre_scripts
from .release import Release

_GRUB_HASH = re.compile(r"grub\.pbkdf2\.sha512\.[0-9]+\.[0-9A-Fa-f]+\.[0-9A-Fa-f]+")
_CRYPT = re.compile(r"\$[0-9a-z]+\$[^:\s]+")
_FINISH_BY_COMMAND = {
    "poweroff": "poweroff",
    "shutdown": "poweroff",
    "halt": "halt",
    "reboot": "reboot",
}
_PASSPHRASE = re.compile(r" --passphrase=(\"[^\"]*\"|\S+)")
_STRICT_REFUSAL = (
    "Please modify your kickstart file to fix the warnings or remove the `ksstrict` option."
)

ReportProblem = Callable[[int, str], None]


def make_pre_scripts(text: str, release: Release) -> tuple[Script, ...]:
    """The scripts that run before the kickstart is parsed.

    Raises:
        RefusedKickstartError: a section is not complete.
    """
    return _translate_scripts(parse_pre_scripts(text, release))


def make_plan(
    text: str, *, fips: bool, strict: bool, release: Release, firmware: Firmware
) -> InstallPlan:
    """The plan that a kickstart leads to. With ``strict`` warnings refuse it, too.

    Raises:
        RefusedKickstartError: with every reason found.
    """
    kickstart = parse_kickstart(text, release)
    problems = list(kickstart.problems)

    def report_problem(line: int, reason: str) -> None:
        problems.append(InstallerProblem(line=line, text=reason))

    plan = InstallPlan(
        storage=storage_commands.build_storage(
            kickstart.commands, fips=fips, firmware=firmware, report_problem=report_problem
        ),
        source=payload_commands.translate_source(kickstart.commands),
        repositories=payload_commands.translate_repositories(kickstart.commands),
        packages=payload_commands.translate_packages(kickstart.packages),
        system=_translate_system(kickstart, report_problem),
        bootloader=_translate_bootloader(kickstart.commands, report_problem),
        scripts=_translate_scripts(kickstart.scripts),
        finish=_translate_finish(kickstart.commands),
        warnings=kickstart.warnings,
        # Whoever reads the installed system's disk must not find its key there.
        text=_PASSPHRASE.sub("", kickstart.text),
    )
    if strict and kickstart.warnings and not problems:
        problems.append(InstallerProblem(line=0, text=_STRICT_REFUSAL))
    if problems:
        raise RefusedKickstartError(tuple(problems), kickstart.warnings)
    return plan


def _select_commands(commands: Iterable[ParsedCommand], *names: str) -> list[ParsedCommand]:
    return [c for c in commands if c.name in names]


def _translate_scripts(parsed_scripts: Iterable[Any]) -> tuple[Script, ...]:
    # pykickstart numbers its kinds: pre 0, post 1, traceback 2, pre-install 3, onerror 4.
    sections = (
        ScriptSection.PRE,
        ScriptSection.POST,
        ScriptSection.TRACEBACK,
        ScriptSection.PRE_INSTALL,
        ScriptSection.ON_ERROR,
    )
    return tuple(
        Script(
            section=sections[s.type],
            line=s.lineno,
            body=s.script,
            interpreter=s.interp,
            chroot=bool(s.inChroot),
            fatal=bool(s.errorOnFail),
            log=s.logfile,
        )
        for s in parsed_scripts
    )


def _translate_system(kickstart: ParsedKickstart, report_problem: ReportProblem) -> SystemSettings:
    commands = kickstart.commands
    command_by_name = {c.name: c for c in commands}
    servers, disabled = _translate_timesources(commands, report_problem)
    hostname, devices = _translate_network(commands, report_problem)
    services = _select_commands(commands, "services")
    return SystemSettings(
        lang=command_by_name["lang"].data.lang if "lang" in command_by_name else "C.UTF-8",
        keymap=_translate_keymap(command_by_name.get("keyboard")),
        timezone=_translate_timezone(command_by_name.get("timezone"), report_problem),
        utc=bool(command_by_name["timezone"].data.isUtc) if "timezone" in command_by_name else True,
        time_servers=servers,
        time_disabled=disabled,
        hostname=hostname,
        devices=devices,
        root=_translate_root(command_by_name.get("rootpw"), report_problem),
        users=tuple(_translate_user(c, report_problem) for c in _select_commands(commands, "user")),
        groups=tuple(
            GroupAccount(name=c.data.name, gid=c.data.gid)
            for c in _select_commands(commands, "group")
        ),
        ssh_keys=_translate_ssh_keys(commands, report_problem),
        firewall=_translate_firewall(command_by_name.get("firewall")),
        selinux=_translate_selinux(command_by_name.get("selinux")),
        enable=tuple(s for c in services for s in c.data.enabled or ()),
        disable=tuple(s for c in services for s in c.data.disabled or ()),
    )


def _translate_keymap(command: ParsedCommand | None) -> str:
    if command is None:
        return "us"
    data = command.data
    layout = data.x_layouts[0].split(" ")[0] if data.x_layouts else ""
    return str(data.vc_keymap or data._keyboard or layout or "us")


def _translate_timezone(command: ParsedCommand | None, report_problem: ReportProblem) -> str:
    if command is None:
        return "Etc/UTC"
    zone = command.data.timezone or "Etc/UTC"
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", zone):
        report_problem(command.line, f"timezone: not the name of a time zone: {zone!r}")
    return str(zone)


def _translate_timesources(
    commands: Iterable[ParsedCommand], report_problem: ReportProblem
) -> tuple[tuple[str, ...], bool]:
    lines: list[str] = []
    disabled = False
    for c in _select_commands(commands, "timesource"):
        if c.data.ntp_disable:
            disabled = True
        elif c.data.ntp_pool:
            lines.append(f"pool {c.data.ntp_pool} iburst")
        else:
            lines.append(f"server {c.data.ntp_server} iburst")
        if any(re.search(r"\s.*\s.*\s", x) for x in lines[-1:]):
            report_problem(c.line, "timesource: a server's name has no blanks")
    return tuple(lines), disabled


def _translate_network(
    commands: Iterable[ParsedCommand], report_problem: ReportProblem
) -> tuple[str | None, tuple[NetworkDevice, ...]]:
    hostname: str | None = None
    devices: list[NetworkDevice] = []
    for c in _select_commands(commands, "network"):
        if c.data.bootProto != "dhcp":
            report_problem(c.line, f"network: --bootproto={c.data.bootProto} is not implemented")
        if c.data.hostname:
            hostname = c.data.hostname
            if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?", hostname):
                report_problem(c.line, f"network: not a host name: {hostname!r}")
        device = c.data.device or "link"
        if not re.fullmatch(r"[A-Za-z0-9:._-]+", device):
            report_problem(c.line, f"network: not the name of an interface: {device!r}")
        devices.append(NetworkDevice(name=device, onboot=c.data.onboot is not False))
    return hostname, tuple(devices)


def _translate_password(
    command: ParsedCommand, crypted: str, *, lock: bool, report_problem: ReportProblem
) -> Password:
    if crypted and not command.data.isCrypted:
        report_problem(
            command.line, f"{command.name}: a plaintext password is refused: --iscrypted"
        )
    elif crypted and not _CRYPT.fullmatch(crypted):
        report_problem(command.line, f"{command.name}: the password is not a crypt(3) hash")
    return Password(crypted=crypted or None, locked=lock)


def _translate_root(command: ParsedCommand | None, report_problem: ReportProblem) -> Password:
    if command is None:
        report_problem(0, "rootpw is missing; rootpw --lock locks the account")
        return Password(locked=True)
    data = command.data
    return _translate_password(
        command, data.password or "", lock=bool(data.lock), report_problem=report_problem
    )


def _translate_user(command: ParsedCommand, report_problem: ReportProblem) -> UserAccount:
    d = command.data
    for name in (d.name, *d.groups):
        if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", name.partition("(")[0]):
            report_problem(command.line, f"user: not the name of a user or group: {name!r}")
    if "(" in ",".join(d.groups):
        report_problem(command.line, "user: a group's number in --groups is not implemented")
    if ":" in (d.gecos or ""):
        report_problem(command.line, "user: --gecos must have no colon")
    return UserAccount(
        name=d.name,
        password=_translate_password(
            command, d.password or "", lock=bool(d.lock), report_problem=report_problem
        ),
        groups=tuple(d.groups),
        uid=d.uid,
        gid=d.gid,
        gecos=d.gecos or "",
        home=d.homedir or None,
        shell=d.shell or None,
    )


def _translate_ssh_keys(
    commands: Iterable[ParsedCommand], report_problem: ReportProblem
) -> tuple[tuple[str, str], ...]:
    users = {c.data.name for c in _select_commands(commands, "user")} | {"root"}
    keys: list[tuple[str, str]] = []
    for c in _select_commands(commands, "sshkey"):
        if c.data.username not in users:
            report_problem(c.line, f"sshkey: the kickstart has no user {c.data.username!r}")
        keys.append((c.data.username, c.data.key.strip()))
    return tuple(keys)


def _translate_firewall(command: ParsedCommand | None) -> FirewallSettings | None:
    if command is None:
        return None
    d = command.data
    return FirewallSettings(
        enabled=bool(d.enabled),
        services=tuple(s.strip() for s in d.services),
        ports=tuple(p.replace(":", "/") for p in d.ports),
    )


def _translate_selinux(command: ParsedCommand | None) -> str | None:
    if command is None:
        return None
    return {0: "disabled", 1: "enforcing", 2: "permissive"}[command.data.selinux]


def _translate_bootloader(
    commands: Iterable[ParsedCommand], report_problem: ReportProblem
) -> BootLoader:
    bootloaders = _select_commands(commands, "bootloader")
    if not bootloaders:
        report_problem(0, "bootloader is missing")
        return BootLoader()
    command = bootloaders[0]
    d = command.data
    if d.location not in ("mbr", "boot", None):
        report_problem(command.line, f"bootloader: --location={d.location} is not implemented")
    if d.password and not d.isCrypted:
        report_problem(command.line, "bootloader: a plaintext password is refused: --iscrypted")
    elif d.password and not _GRUB_HASH.fullmatch(d.password):
        report_problem(command.line, "bootloader: the password is not a grub.pbkdf2.sha512 hash")
    return BootLoader(
        append=tuple((d.appendLine or "").split()),
        password=d.password or None,
        timeout_s=d.timeout,
    )


def _translate_finish(commands: Iterable[ParsedCommand]) -> str:
    endings = _select_commands(commands, *_FINISH_BY_COMMAND)
    return _FINISH_BY_COMMAND[endings[-1].name] if endings else "halt"
