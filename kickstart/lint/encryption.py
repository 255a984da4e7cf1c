"""Lint rules for encrypted partitions.

Sources: pykickstart, ``part``; Anaconda 34 and 40, ``modules/storage/kickstart.py``.
"""

from collections.abc import Iterator

from hardpan.kickstart.syntax import KickstartCommand, KickstartDocument, LintProblem

_READ_BY_FIRMWARE = ("/boot", "/boot/efi", "biosboot", "prepboot")
_LUKS_OPTIONS = ("luks-version", "pbkdf", "passphrase", "escrowcert", "cipher")


def encryption_problems(document: KickstartDocument) -> Iterator[LintProblem]:
    """Yield the problems of encrypted partitions and volumes."""
    for command in document.commands_named("part", "partition"):
        if "encrypted" in command.options:
            yield from _check_encrypted(command)
        elif options := [name for name in _LUKS_OPTIONS if name in command.options]:
            yield LintProblem(
                line=command.line, text=f"--{options[0]} without --encrypted: nothing is encrypted"
            )
    for command in document.commands_named("logvol", "raid"):
        if "encrypted" in command.options:
            yield LintProblem(
                line=command.line,
                text=f"{command.name} --encrypted; encrypt the physical volume, so that swap and"
                " every volume are on it",
            )


def _check_encrypted(command: KickstartCommand) -> Iterator[LintProblem]:
    options, mount = command.options, command.arguments[0] if command.arguments else ""
    if mount in _READ_BY_FIRMWARE:
        yield LintProblem(
            line=command.line, text=f"{mount} --encrypted: firmware and GRUB cannot read it"
        )
    if options.get("luks-version") != "luks2":
        yield LintProblem(line=command.line, text="--encrypted without --luks-version=luks2")
    if options.get("pbkdf") != "pbkdf2":
        yield LintProblem(
            line=command.line,
            text="--encrypted without --pbkdf=pbkdf2: argon2 does not work in FIPS mode",
        )
    if not options.get("passphrase"):
        yield LintProblem(
            line=command.line, text="--encrypted without --passphrase: Anaconda would ask for it"
        )
