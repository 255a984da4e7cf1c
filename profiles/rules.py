"""What the sections of a profile demand of each other."""

from collections.abc import Iterator, Mapping
from typing import Any

from hardpan.files import MiB
from hardpan.profiles import (
    rules_frameworks,
    rules_hardware,
    rules_host,
    rules_repositories,
    rules_sovereign,
)
from hardpan.profiles.hardware import Hardware
from hardpan.profiles.machine import Boot, Machine, Packages, Storage, User
from hardpan.profiles.model import Layer, Stig
from hardpan.profiles.needs import NEEDED_BY
from hardpan.profiles.rule import Broken, Path, Rules
from hardpan.profiles.stig import (
    DANGEROUS_ARGUMENTS,
    EL_ACCOUNTS,
    KERNEL_ARGUMENTS,
    OWN_FILE_SYSTEM,
    REQUIRED_OPTIONS,
    SUPERUSER_NEVER,
)
from hardpan.profiles.tuning import Tuning

_RULES = Rules()
_OVERHEAD_MIB = 64
"""Partition tables, the BIOS boot partition, LVM and LUKS headers."""

_MEMORY_LEAST_MIB = {"rocky9": 2560, "rocky10": 3072, "lab9": 1024}


def broken(parts: Mapping[str, Any]) -> Iterator[Broken]:
    """Every rule that does not hold among the sections in ``parts``; others are not asked."""
    yield from _RULES.broken(parts)
    yield from rules_hardware.RULES.broken(parts)
    yield from rules_frameworks.RULES.broken(parts)
    yield from rules_host.RULES.broken(parts)
    yield from rules_sovereign.RULES.broken(parts)
    yield from rules_repositories.RULES.broken(parts)


@_RULES.reads("packages", "layers", "tuning")
def _packages(
    packages: Packages, layers: tuple[Layer, ...], tuning: Tuning | None
) -> Iterator[Broken]:
    named = dict.fromkeys(packages.install, "packages.install")
    asking = [x for x in layers if x != "tuning" or (tuning or Tuning()).manager == "tuned"]
    named |= {name: layer for layer in asking for name in NEEDED_BY.get(layer, ())}
    for i, name in enumerate(packages.remove):
        if name in named:
            yield Broken(
                ("packages", "remove", i), f"{name} is to be installed too, by {named[name]}"
            )


@_RULES.reads("storage")
def _storage(storage: Storage) -> Iterator[Broken]:
    if storage.encryption.mode == "none" and storage.encryption.reason is None:
        yield Broken(
            ("storage", "encryption"),
            "expected a reason for 'mode: none' (the STIG wants encryption), found none",
        )
    mounts: set[str] = set()
    for i, part in enumerate(storage.partitions):
        here: Path = ("storage", "partitions", i)
        if part.mount in mounts:
            yield Broken((*here, "mount"), f"{part.mount} is there twice")
        mounts.add(part.mount)
        if (part.mount == "/boot/efi") != (part.fstype == "efi"):
            yield Broken((*here, "fstype"), "expected efi for /boot/efi and for nothing else")
        if (part.mount == "swap") != (part.fstype == "swap"):
            yield Broken((*here, "fstype"), "expected swap for mount: swap and for nothing else")
        if part.grow and part.mount in ("/boot", "/boot/efi"):
            yield Broken((*here, "grow"), "expected a fixed size, only logical volumes grow")
    for mount, why in (
        ("/", "an image has a root partition"),
        ("/boot", "the boot loader reads it, and LUKS and LVM lie beside it"),
        ("/boot/efi", "UEFI machines boot from it"),
    ):
        if mount not in mounts:
            yield Broken(("storage", "partitions"), f"expected a partition for {mount}: {why}")
    if sum(part.grow for part in storage.partitions) > 1:
        yield Broken(("storage", "partitions"), "expected at most one partition with grow: true")


@_RULES.reads("storage")
def _fits(storage: Storage) -> Iterator[Broken]:
    need_mib = sum(part.size_mib for part in storage.partitions) + _OVERHEAD_MIB
    if need_mib > storage.disk_size_mib:
        yield Broken(
            ("storage", "disk_size"),
            f"expected {need_mib} MiB or more (the partitions and {_OVERHEAD_MIB} MiB for"
            f" tables and headers), found {storage.disk_size_mib} MiB",
        )


@_RULES.reads("boot")
def _superuser_name(boot: Boot) -> Iterator[Broken]:
    if boot.superuser in SUPERUSER_NEVER:
        yield Broken(
            ("boot", "superuser"),
            f"never {', '.join(SUPERUSER_NEVER)}: a name nobody guesses, found {boot.superuser!a}",
        )
    elif boot.superuser in EL_ACCOUNTS:
        yield Broken(
            ("boot", "superuser"),
            f"expected a name that is no account of the system, found {boot.superuser!a}",
        )


@_RULES.reads("boot", "users")
def _superuser_no_user(boot: Boot, users: tuple[User, ...]) -> Iterator[Broken]:
    if boot.superuser in {u.name for u in users}:
        yield Broken(
            ("boot", "superuser"),
            f"expected a name that is not among users, found {boot.superuser!a}",
        )


@_RULES.reads("boot", "hardware")
def _arguments(boot: Boot, hardware: Hardware) -> Iterator[Broken]:
    for section, arguments in (
        ("boot", boot.kernel_arguments),
        ("hardware", hardware.kernel_arguments),
    ):
        for i, argument in enumerate(arguments):
            here: Path = (section, "kernel_arguments", i)
            name = argument.partition("=")[0]
            if name in ("fips", "boot"):
                yield Broken(
                    here, f"{name}= is the installer's to set (fips: true does it), found here"
                )
            elif name.startswith("inst."):
                yield Broken(here, f"{name} is for the installer, not for the installed system")
            elif argument in DANGEROUS_ARGUMENTS:
                yield Broken(here, f"{argument} {DANGEROUS_ARGUMENTS[argument]}")


@_RULES.reads("users", "build_user")
def _users(users: tuple[User, ...], build_user: str) -> Iterator[Broken]:
    names: set[str] = set()
    for i, user in enumerate(users):
        here: Path = ("users", i, "name")
        if user.name in EL_ACCOUNTS:
            yield Broken(
                here, f"{user.name!a} is an account that the system itself has; take another name"
            )
        if user.name in names:
            yield Broken(here, f"{user.name!a} is there twice")
        names.add(user.name)
        if user.sudo == "password" and user.password_hash is None:
            yield Broken(
                ("users", i, "sudo"),
                "expected a password_hash with 'sudo: password', a locked password opens nothing",
            )
    if build_user not in names:
        yield Broken(
            ("build_user",), f"expected one of users ({', '.join(names)}), found {build_user!a}"
        )
    elif all(u.name != build_user or u.sudo == "none" for u in users):
        yield Broken(("build_user",), f"expected a user with sudo, {build_user!a} has 'sudo: none'")


@_RULES.reads("users", "fips", "release")
def _keys(users: tuple[User, ...], fips: bool, release: str) -> Iterator[Broken]:
    for i, user in enumerate(users):
        for k, line in enumerate(user.ssh_keys):
            if not key_works(line, fips=fips, release=release):
                yield Broken(
                    ("users", i, "ssh_keys", k),
                    "expected a key other than ssh-ed25519: sshd refuses those in FIPS mode",
                )


def key_works(line: str, *, fips: bool, release: str) -> bool:
    """False for a public key that sshd turns away on such a system.

    The lab's OpenSSH is Debian's and has no FIPS provider, so it takes them all.
    """
    return not (fips and release != "lab9" and line.startswith("ssh-ed25519 "))


@_RULES.reads("stig", "release")
def _content(stig: Stig, release: str) -> Iterator[Broken]:
    fits = "rhel10" if release == "rocky10" else "rhel9"
    if stig.content != fits:
        yield Broken(("stig", "content"), f"expected {fits} for {release}, found {stig.content!a}")
    seen: set[str] = set()
    for i, w in enumerate(stig.waivers):
        if w.rule in seen:
            yield Broken(("stig", "waivers", i, "rule"), f"{w.rule} is there twice")
        seen.add(w.rule)


@_RULES.reads("stig", "layers", "boot")
def _stig_arguments(stig: Stig, layers: tuple[str, ...], boot: Boot) -> Iterator[Broken]:
    if "stig" not in layers:
        return
    for argument, rule in KERNEL_ARGUMENTS.items():
        if argument not in boot.kernel_arguments and not any(w.covers(rule) for w in stig.waivers):
            yield Broken(
                ("boot", "kernel_arguments"),
                f"expected {argument} (STIG) or a waiver for {rule}, found none",
            )


@_RULES.reads("stig", "layers", "storage")
def _stig_storage(stig: Stig, layers: tuple[str, ...], storage: Storage) -> Iterator[Broken]:
    if "stig" not in layers:
        return
    mounts = {part.mount for part in storage.partitions}
    for mount, rule in OWN_FILE_SYSTEM.items():
        if mount not in mounts and not any(w.covers(rule) for w in stig.waivers):
            yield Broken(
                ("storage", "partitions"),
                f"expected a partition for {mount} or a waiver for {rule}",
            )
    for i, part in enumerate(storage.partitions):
        lacks = [o for o in REQUIRED_OPTIONS.get(part.mount, ()) if o not in part.options]
        if lacks:
            yield Broken(
                ("storage", "partitions", i),
                f"expected {part.mount} with {','.join(lacks)} (STIG), found"
                f" {','.join(part.options) or 'no options'}",
            )


@_RULES.reads("machine", "release")
def _memory(machine: Machine, release: str) -> Iterator[Broken]:
    least = MiB(_MEMORY_LEAST_MIB[release])
    if machine.memory_mib < least:
        yield Broken(
            ("machine", "memory"),
            f"expected {least} MiB or more, which the installer of {release} needs,"
            f" found {machine.memory_mib} MiB",
        )
