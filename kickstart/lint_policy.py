"""The linter's eye on passwords, the boot loader, FIPS and how an install ends."""

import re
from collections.abc import Iterator

from hardpan.kickstart.syntax import Command, Document, Problem
from hardpan.profiles.stig import SUPERUSER_NEVER

_MARKER = "HARDPAN-INSTALL: complete"
_FAILED = "HARDPAN-INSTALL: failed"
_CRYPT = re.compile(r"\$(?:6|y)\$.+")
_GRUB = re.compile(r"grub\.pbkdf2\.sha512\..+")
_SUPERUSERS = re.compile(r"set superusers=\"?([^\"\s]+)")


def problems(document: Document, release: str) -> Iterator[Problem]:
    """What is wrong with who may enter, what is booted and what is reported."""
    yield from _passwords(document)
    yield from _boot_loader(document)
    yield from _superuser(document)
    yield from _way_in(document)
    yield from _ending(document)
    if release != "lab9":
        yield from _selinux(document)


def _passwords(document: Document) -> Iterator[Problem]:
    root = document.named("rootpw")
    if not root or any("lock" not in c.options for c in root):
        yield Problem(
            line=root[0].line if root else 0, text="expected 'rootpw --lock': root has no password"
        )
    for command in document.named("rootpw", "user", "bootloader"):
        value = _password(command)
        shape = _GRUB if command.name == "bootloader" else _CRYPT
        if value is None:
            continue
        if "plaintext" in command.options or "iscrypted" not in command.options:
            yield Problem(
                line=command.line, text=f"{command.name} with a plaintext password, give a hash"
            )
        elif not shape.fullmatch(value):
            # NOTE: the value may be the password itself, so it is not shown.
            yield Problem(
                line=command.line,
                text=f"{command.name} --iscrypted with something that is no sha512 or yescrypt hash"
                if shape is _CRYPT
                else "bootloader --iscrypted with something that is no grub.pbkdf2.sha512 hash",
            )


def _password(command: Command) -> str | None:
    if command.name == "rootpw":
        return command.words[0] if command.words else None
    return command.options.get("password")


def _boot_loader(document: Document) -> Iterator[Problem]:
    loaders = document.named("bootloader")
    if not loaders:
        yield Problem(line=0, text="expected a bootloader command, found none")
    for command in loaders:
        arguments = command.options.get("append", "").split()
        if any(a.partition("=")[0] == "fips" for a in arguments):
            yield Problem(
                line=command.line,
                text="fips=1 in bootloader --append does not start without boot=; give it to the"
                " installer",
            )
        if "password" not in command.options:
            yield Problem(line=command.line, text="the boot loader has no superuser password")


def _superuser(document: Document) -> Iterator[Problem]:
    found = [
        (script.line, name)
        for script in document.scripts("%post")
        for name in _SUPERUSERS.findall(script.body)
    ]
    if not found:
        yield Problem(line=0, text="no %post names the boot loader's superuser: it would stay root")
    for line, name in found:
        if name.lower() in SUPERUSER_NEVER:
            yield Problem(line=line, text=f"the boot loader's superuser is named {name}")


def _way_in(document: Document) -> Iterator[Problem]:
    users = {c.options.get("name", "") for c in document.named("user")}
    keys = document.named("sshkey")
    if not keys:
        yield Problem(line=0, text="expected an sshkey: the STIG bars root, nobody could log in")
    for key in keys:
        if key.options.get("username", "") not in users:
            yield Problem(
                line=key.line,
                text=f"sshkey for {key.options.get('username', '')!a}, who is no user",
            )


def _ending(document: Document) -> Iterator[Problem]:
    posts = document.scripts("%post")
    if not any(_MARKER in p.body for p in posts):
        yield Problem(line=0, text=f"no %post says '{_MARKER}': success would be a guess")
    elif _MARKER not in posts[-1].body:
        yield Problem(line=posts[-1].line, text=f"'{_MARKER}' is not said by the last %post")
    errors = document.scripts("%onerror")
    if not errors:
        yield Problem(line=0, text="expected an %onerror that says why and switches off")
    elif not any(_FAILED in e.body for e in errors):
        yield Problem(line=errors[0].line, text=f"%onerror does not say '{_FAILED}'")
    if not document.named("poweroff", "shutdown"):
        yield Problem(line=0, text="expected 'poweroff': a restart would install again")


def _selinux(document: Document) -> Iterator[Problem]:
    if not any("enforcing" in c.options for c in document.named("selinux")):
        yield Problem(line=0, text="expected 'selinux --enforcing'")
