"""Constraints on storage, boot loader, users, STIG content and memory, and all violations."""

from collections.abc import Iterator, Mapping
from typing import Any

from hardpan.core.files import MiB
from hardpan.profiles.constraint_set import ConstraintSet, ProfilePath, Violation
from hardpan.profiles.constraints import ai_service, frameworks, hardware, host_layers, repositories
from hardpan.profiles.constraints.stig_requirements import (
    DANGEROUS_ARGUMENTS,
    FORBIDDEN_SUPERUSERS,
    KERNEL_ARGUMENTS,
    REQUIRED_OPTIONS,
    SEPARATE_FILE_SYSTEMS,
    SYSTEM_ACCOUNTS,
)
from hardpan.profiles.schema.encryption import Encryption
from hardpan.profiles.schema.hardware import Hardware
from hardpan.profiles.schema.layer_packages import OS_PACKAGES
from hardpan.profiles.schema.machine import Boot, Machine, Packages, Storage, User
from hardpan.profiles.schema.profile import LAB_RELEASES, LayerName, StigSettings
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.profiles.schema.tuning import Tuning

_CONSTRAINTS = ConstraintSet()
_OVERHEAD_MIB = 64
"""Partition tables, the BIOS boot partition, LVM and LUKS headers."""

_MIN_MEMORY_MIB = {"rocky9": 2560, "rocky10": 3072, "lab9": 1024, "lab10": 1024}


def violations(sections: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of all constraints whose sections are given."""
    yield from _CONSTRAINTS.violations(sections)
    yield from hardware.CONSTRAINTS.violations(sections)
    yield from frameworks.CONSTRAINTS.violations(sections)
    yield from host_layers.CONSTRAINTS.violations(sections)
    yield from ai_service.CONSTRAINTS.violations(sections)
    yield from repositories.CONSTRAINTS.violations(sections)


@_CONSTRAINTS.depends_on("packages", "layers", "tuning")
def _check_packages(
    packages: Packages, layers: tuple[LayerName, ...], tuning: Tuning | None
) -> Iterator[Violation]:
    installed_by = dict.fromkeys(packages.install, "packages.install")
    active_layers = [x for x in layers if x != "tuning" or (tuning or Tuning()).manager == "tuned"]
    installed_by |= {name: layer for layer in active_layers for name in OS_PACKAGES.get(layer, ())}
    for i, name in enumerate(packages.remove):
        if name in installed_by:
            yield Violation(
                ("packages", "remove", i), f"{name} is also installed by {installed_by[name]}"
            )


@_CONSTRAINTS.depends_on("storage")
def _check_storage(storage: Storage) -> Iterator[Violation]:
    if storage.encryption.mode == "none" and storage.encryption.reason is None:
        yield Violation(
            ("storage", "encryption"),
            "expected a reason for 'mode: none' (the STIG requires encryption), got none",
        )
    yield from _check_unlock(storage.encryption)
    mounts: set[str] = set()
    for i, part in enumerate(storage.partitions):
        path: ProfilePath = ("storage", "partitions", i)
        if part.mount in mounts:
            yield Violation((*path, "mount"), f"{part.mount} is listed twice")
        mounts.add(part.mount)
        if (part.mount == "/boot/efi") != (part.fstype == "efi"):
            yield Violation((*path, "fstype"), "expected efi for /boot/efi only")
        if (part.mount == "swap") != (part.fstype == "swap"):
            yield Violation((*path, "fstype"), "expected swap for 'mount: swap' only")
        if part.grow and part.mount in ("/boot", "/boot/efi"):
            yield Violation((*path, "grow"), "expected a fixed size, only logical volumes grow")
    for mount, reason in (
        ("/", "an image has a root partition"),
        ("/boot", "the boot loader cannot read LUKS and LVM"),
        ("/boot/efi", "UEFI machines boot from it"),
    ):
        if mount not in mounts:
            yield Violation(
                ("storage", "partitions"), f"expected a partition for {mount}: {reason}"
            )
    if sum(part.grow for part in storage.partitions) > 1:
        yield Violation(("storage", "partitions"), "expected at most one partition with grow: true")


def _check_unlock(encryption: Encryption) -> Iterator[Violation]:
    path: ProfilePath = ("storage", "encryption")
    if encryption.mode == "none" and encryption.unlock != "passphrase":
        yield Violation((*path, "unlock"), "expected 'mode: luks2': there is nothing to unlock")
    if (encryption.unlock == "tang") != (encryption.tang is not None):
        yield Violation((*path, "tang"), "expected a server with 'unlock: tang', and only with it")
    if encryption.unlock == "tpm2" and not encryption.tpm2_pcrs:
        yield Violation(
            (*path, "tpm2_pcrs"), "expected a register, e.g. 7: any system could unlock the disk"
        )


@_CONSTRAINTS.depends_on("storage")
def _check_disk_size(storage: Storage) -> Iterator[Violation]:
    required_mib = sum(part.size_mib for part in storage.partitions) + _OVERHEAD_MIB
    if required_mib > storage.disk_size_mib:
        yield Violation(
            ("storage", "disk_size"),
            f"expected {required_mib} MiB or more (the partitions and {_OVERHEAD_MIB} MiB for"
            f" tables and headers), got {storage.disk_size_mib} MiB",
        )


@_CONSTRAINTS.depends_on("boot")
def _check_superuser_name(boot: Boot) -> Iterator[Violation]:
    if boot.superuser in FORBIDDEN_SUPERUSERS:
        yield Violation(
            ("boot", "superuser"),
            f"never {', '.join(FORBIDDEN_SUPERUSERS)}: easily guessed, got {boot.superuser!a}",
        )
    elif boot.superuser in SYSTEM_ACCOUNTS:
        yield Violation(
            ("boot", "superuser"),
            f"expected a name that is no account of the system, got {boot.superuser!a}",
        )


@_CONSTRAINTS.depends_on("boot", "users")
def _check_superuser_is_no_user(boot: Boot, users: tuple[User, ...]) -> Iterator[Violation]:
    if boot.superuser in {u.name for u in users}:
        yield Violation(
            ("boot", "superuser"),
            f"expected a name that is not among users, got {boot.superuser!a}",
        )


@_CONSTRAINTS.depends_on("boot", "hardware")
def _check_kernel_arguments(boot: Boot, hardware: Hardware) -> Iterator[Violation]:
    for section, arguments in (
        ("boot", boot.kernel_arguments),
        ("hardware", hardware.kernel_arguments),
    ):
        for i, argument in enumerate(arguments):
            path: ProfilePath = (section, "kernel_arguments", i)
            name = argument.partition("=")[0]
            if name in ("fips", "boot"):
                yield Violation(
                    path, f"{name}= is set by the installer (use 'fips: true'); remove it here"
                )
            elif name.startswith("inst."):
                yield Violation(path, f"{name} is for the installer, not for the installed system")
            elif argument in DANGEROUS_ARGUMENTS:
                yield Violation(path, f"{argument} {DANGEROUS_ARGUMENTS[argument]}")


@_CONSTRAINTS.depends_on("users", "build_user")
def _check_users(users: tuple[User, ...], build_user: str) -> Iterator[Violation]:
    names: set[str] = set()
    for i, user in enumerate(users):
        path: ProfilePath = ("users", i, "name")
        if user.name in SYSTEM_ACCOUNTS:
            yield Violation(path, f"{user.name!a} is a system account; choose another name")
        if user.name in names:
            yield Violation(path, f"{user.name!a} is listed twice")
        names.add(user.name)
        if user.sudo == "password" and user.password_hash is None:
            yield Violation(
                ("users", i, "sudo"),
                "expected a password_hash with 'sudo: password': the password is locked without it",
            )
    if build_user not in names:
        yield Violation(
            ("build_user",), f"expected one of users ({', '.join(names)}), got {build_user!a}"
        )
    elif all(u.name != build_user or u.sudo == "none" for u in users):
        yield Violation(
            ("build_user",), f"expected a user with sudo, {build_user!a} has 'sudo: none'"
        )


@_CONSTRAINTS.depends_on("users", "build_key")
def _check_login(users: tuple[User, ...], build_key: str) -> Iterator[Violation]:
    if build_key == "remove" and not any(u.can_log_in and u.sudo != "none" for u in users):
        yield Violation(
            ("build_key",),
            "expected a user with sudo and ssh_keys or a password_hash, or 'build_key: keep':"
            " nobody could administer the image without the operator's key",
        )


@_CONSTRAINTS.depends_on("users", "fips", "release")
def _check_ssh_keys(users: tuple[User, ...], fips: bool, release: str) -> Iterator[Violation]:
    for i, user in enumerate(users):
        for k, line in enumerate(user.ssh_keys):
            if not is_key_accepted(line, fips=fips, release=release):
                yield Violation(
                    ("users", i, "ssh_keys", k),
                    "expected a key other than ssh-ed25519: sshd refuses those in FIPS mode",
                )


def is_key_accepted(line: str, *, fips: bool, release: str) -> bool:
    """Return whether sshd accepts a public key on such a system.

    The lab's OpenSSH is Debian's and has no FIPS provider, so it accepts every key type.
    """
    return not (fips and release not in LAB_RELEASES and line.startswith("ssh-ed25519 "))


@_CONSTRAINTS.depends_on("stig", "release")
def _check_content(stig: StigSettings, release: str) -> Iterator[Violation]:
    expected = "rhel10" if release in ("rocky10", "lab10") else "rhel9"
    if stig.content != expected:
        yield Violation(
            ("stig", "content"), f"expected {expected} for {release}, got {stig.content!a}"
        )
    waived_rules: set[str] = set()
    for i, w in enumerate(stig.waivers):
        for selector in w.selectors:
            if selector in waived_rules:
                yield Violation(("stig", "waivers", i, "rule"), f"{selector} is listed twice")
            waived_rules.add(selector)


@_CONSTRAINTS.depends_on("stig", "layers", "boot")
def _check_stig_arguments(
    stig: StigSettings, layers: tuple[str, ...], boot: Boot
) -> Iterator[Violation]:
    if "stig" not in layers:
        return
    for argument, rule in KERNEL_ARGUMENTS.items():
        if argument not in boot.kernel_arguments and not any(w.matches(rule) for w in stig.waivers):
            yield Violation(
                ("boot", "kernel_arguments"),
                f"expected {argument} (STIG) or a waiver for {shorten_id(rule.rule_id)}, got none",
            )


@_CONSTRAINTS.depends_on("stig", "layers", "storage")
def _check_stig_storage(
    stig: StigSettings, layers: tuple[str, ...], storage: Storage
) -> Iterator[Violation]:
    if "stig" not in layers:
        return
    mounts = {part.mount for part in storage.partitions}
    for mount, rule in SEPARATE_FILE_SYSTEMS.items():
        if mount not in mounts and not any(w.matches(rule) for w in stig.waivers):
            yield Violation(
                ("storage", "partitions"),
                f"expected a partition for {mount} or a waiver for {shorten_id(rule.rule_id)}",
            )
    for i, part in enumerate(storage.partitions):
        missing = [o for o in REQUIRED_OPTIONS.get(part.mount, ()) if o not in part.options]
        if missing:
            yield Violation(
                ("storage", "partitions", i),
                f"expected {part.mount} with {','.join(missing)} (STIG), got"
                f" {','.join(part.options) or 'no options'}",
            )


@_CONSTRAINTS.depends_on("machine", "release")
def _check_memory(machine: Machine, release: str) -> Iterator[Violation]:
    min_mib = MiB(_MIN_MEMORY_MIB[release])
    if machine.memory_mib < min_mib:
        yield Violation(
            ("machine", "memory"),
            f"expected {min_mib} MiB or more, required by the installer of {release},"
            f" got {machine.memory_mib} MiB",
        )
