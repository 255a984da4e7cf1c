"""Lint rules for passwords, boot loader, FIPS, SSH keys and the end of an install."""

import re
from collections.abc import Iterator

from hardpan.kickstart.render import REPORT_FILE
from hardpan.kickstart.syntax import KickstartCommand, KickstartDocument, LintProblem
from hardpan.profiles.constraints.stig_requirements import FORBIDDEN_SUPERUSERS
from hardpan.profiles.schema.profile import LAB_RELEASES

_COMPLETE_MARKER = "HARDPAN-INSTALL: complete"
_FAILED_MARKER = "HARDPAN-INSTALL: failed"
_CRYPT = re.compile(r"\$(?:6|y)\$.+")
_GRUB = re.compile(r"grub\.pbkdf2\.sha512\..+")
_SOURCED_REPORT = re.compile(rf"^\. (?:/mnt/sysroot)?{re.escape(REPORT_FILE)}$", re.MULTILINE)
_SUPERUSERS = re.compile(r"set superusers=\"?([^\"\s]+)")


def policy_problems(document: KickstartDocument, release: str) -> Iterator[LintProblem]:
    """Yield the problems of accounts, boot loader, end of install and SELinux."""
    yield from _check_passwords(document)
    yield from _check_boot_loader(document)
    yield from _check_superuser(document)
    yield from _check_ssh_keys(document)
    yield from _check_scripts_report(document)
    yield from _check_ending(document)
    if release not in LAB_RELEASES:
        yield from _check_selinux(document)


def _check_passwords(document: KickstartDocument) -> Iterator[LintProblem]:
    root = document.commands_named("rootpw")
    if not root or any("lock" not in c.options for c in root):
        yield LintProblem(
            line=root[0].line if root else 0, text="expected 'rootpw --lock': root has no password"
        )
    for command in document.commands_named("rootpw", "user", "bootloader"):
        value = _password_of(command)
        pattern, hash_name = _CRYPT, "sha512 or yescrypt"
        if command.name == "bootloader":
            pattern, hash_name = _GRUB, "grub.pbkdf2.sha512"
        if value is None:
            continue
        if "plaintext" in command.options or "iscrypted" not in command.options:
            yield LintProblem(
                line=command.line, text=f"{command.name} with a plaintext password, give a hash"
            )
        elif not pattern.fullmatch(value):
            # NOTE: the value may be a plaintext password, so it is not in the message.
            yield LintProblem(
                line=command.line,
                text=f"{command.name} --iscrypted with a value that is not a {hash_name} hash",
            )


def _password_of(command: KickstartCommand) -> str | None:
    if command.name == "rootpw":
        return command.arguments[0] if command.arguments else None
    return command.options.get("password")


def _check_boot_loader(document: KickstartDocument) -> Iterator[LintProblem]:
    loaders = document.commands_named("bootloader")
    if not loaders:
        yield LintProblem(line=0, text="expected a bootloader command, got none")
    for command in loaders:
        arguments = command.options.get("append", "").split()
        if any(a.partition("=")[0] == "fips" for a in arguments):
            yield LintProblem(
                line=command.line,
                text="fips=1 in bootloader --append does not boot without boot=; pass it to the"
                " installer",
            )
        if "password" not in command.options:
            yield LintProblem(line=command.line, text="the boot loader has no superuser password")


def _check_superuser(document: KickstartDocument) -> Iterator[LintProblem]:
    superusers = [
        (script.line, name)
        for script in document.scripts("%post")
        for name in _SUPERUSERS.findall(script.body)
    ]
    if not superusers:
        yield LintProblem(
            line=0, text="no %post sets the boot loader's superuser: it would be root"
        )
    for line, name in superusers:
        if name.lower() in FORBIDDEN_SUPERUSERS:
            yield LintProblem(line=line, text=f"the boot loader's superuser is named {name}")


def _check_ssh_keys(document: KickstartDocument) -> Iterator[LintProblem]:
    users = {c.options.get("name", "") for c in document.commands_named("user")}
    keys = document.commands_named("sshkey")
    if not keys:
        yield LintProblem(
            line=0, text="expected an sshkey: the STIG forbids root logins, nobody could log in"
        )
    for key in keys:
        if key.options.get("username", "") not in users:
            yield LintProblem(
                line=key.line,
                text=f"sshkey for {key.options.get('username', '')!a}, who is not a user",
            )


def _check_scripts_report(document: KickstartDocument) -> Iterator[LintProblem]:
    """A script that fails must report it: %onerror runs neither after %pre nor after %post.

    Anaconda 34 and 40 (``kickstart.py``, ``installation_tasks.py``) run %pre before they know
    %onerror and show nothing of its failure; after a %post they wait for a key.
    """
    posts = document.scripts("%post")
    for script in (*document.scripts("%pre"), *posts[:1]):
        parts = ("trap report EXIT", _FAILED_MARKER, "poweroff -f")
        missing = [part for part in parts if part not in script.body]
        if missing:
            yield LintProblem(
                line=script.line,
                text=f"%onerror does not run after a failing {script.name}; expected it to report"
                f" and power off, got no {', '.join(map(repr, missing))}",
            )
    for script in posts:
        if not _SOURCED_REPORT.search(script.body):
            yield LintProblem(
                line=script.line,
                text=f"a failing %post waits for a key; expected it to source {REPORT_FILE}",
            )


def _check_ending(document: KickstartDocument) -> Iterator[LintProblem]:
    posts = document.scripts("%post")
    if not any(_COMPLETE_MARKER in p.body for p in posts):
        yield LintProblem(
            line=0, text=f"no %post writes '{_COMPLETE_MARKER}': success could not be detected"
        )
    elif _COMPLETE_MARKER not in posts[-1].body:
        yield LintProblem(
            line=posts[-1].line, text=f"'{_COMPLETE_MARKER}' is not written by the last %post"
        )
    errors = document.scripts("%onerror")
    if not errors:
        yield LintProblem(line=0, text="expected an %onerror that writes the logs and powers off")
    elif not any(_FAILED_MARKER in e.body for e in errors):
        yield LintProblem(line=errors[0].line, text=f"%onerror does not write '{_FAILED_MARKER}'")
    if not document.commands_named("poweroff", "shutdown"):
        yield LintProblem(line=0, text="expected 'poweroff': a reboot would install again")


def _check_selinux(document: KickstartDocument) -> Iterator[LintProblem]:
    if not any("enforcing" in c.options for c in document.commands_named("selinux")):
        yield LintProblem(line=0, text="expected 'selinux --enforcing'")
