"""Every way to write a profile wrongly has its message, with the place."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.core.errors import Exit, InputError
from hardpan.profiles.loader.profile_file import load_profile

Write = Callable[[str | bytes], Path]

NO_LUKS = "mode: none\n    reason: A test."

INVALID_VALUES = [
    # Sizes and their units.
    ("disk_size: 60 GiB", "disk_size: 60 GB", "8:14: storage.disk_size: expected e.g. '20 GiB'"),
    ("disk_size: 60 GiB", "disk_size: 0 GiB", "8:14: storage.disk_size: must be more than 0"),
    ("disk_size: 60 GiB", "disk_size: 60", "8:14: storage.disk_size: expected e.g. '20 GiB'"),
    ("disk_size: 60 GiB", "disk_size: ٦٠ GiB", r"got '\u0666\u0660 GiB'"),
    ("disk_size: 60 GiB", "disk_size: 60\N{NO-BREAK SPACE}GiB", r"got '60\xa0GiB'"),
    ("disk_size: 60 GiB", 'disk_size: "60 GiB\\n"', r"got '60 GiB\n'"),
    ("disk_size: 60 GiB", "disk_size: -60 GiB", "got '-60 GiB'"),
    ("disk_size: 60 GiB", "disk_size: 10 GiB", "expected 43672 MiB or more"),
    # Names.
    ("name: good", "nmae: good", "1:7: nmae: unknown setting"),
    ("name: good", "nmae: good", "1:1: name: is missing"),
    ("name: good", 'name: "x\\n%post"', r"1:7: name: expected a name of a-z, 0-9"),
    ("hostname: host1", "hostname: -host", "6:13: system.hostname: expected a host name"),
    ("hostname: host1", "hostname: host1;reboot", "got 'host1;reboot'"),
    ("hostname: host1", "hostname: ho\u0455t", r"got 'ho\u0455t'"),
    ("{name: steward, g", "{name: root, g", "never root, got 'root'"),
    ("{name: steward, g", "{name: -steward, g", "got '-steward'"),
    ("{name: steward, g", "{name: operator, g", "is a system account"),
    ("gecos: The steward", 'gecos: "x\\" --uid=0"', "users[0].gecos: expected a full name"),
    ("build_user: steward", "build_user: nobody2", "expected one of users (steward), got"),
    ("sudo: nopasswd", "sudo: none", "expected a user with sudo, 'steward' has 'sudo: none'"),
    ("build_key: keep", "build_key: remove", "build_key: expected a user with sudo and ssh_keys"),
    ("build_key: keep\n", "", "nobody could administer the image without the operator's key"),
    ("build_key: keep", "build_key: maybe", "build_key: expected keep or remove, got 'maybe'"),
    ("sudo: nopasswd", "sudo: password", "expected a password_hash with 'sudo: password'"),
    # The boot loader.
    ("superuser: bootwarden", "superuser: admin", "never root, admin, administrator"),
    ("superuser: bootwarden", "superuser: root", "boot.superuser: never root, admin"),
    ("superuser: bootwarden", "superuser: steward", "expected a name that is not among users"),
    ("superuser: bootwarden", "superuser: daemon", "no account of the system, got 'daemon'"),
    ("[audit=1", "[fips=1", "boot.kernel_arguments[0]: fips= is set by the installer"),
    ("[audit=1", "[mitigations=off", "switches off the processor's mitigations"),
    ("[audit=1", "[inst.sshd", "is for the installer, not for the installed system"),
    ("[audit=1", '["audit=1 init=/bin/sh"', "expected one kernel argument"),
    ("pti=on, ", "", "boot.kernel_arguments: expected pti=on (STIG) or a waiver for grub2"),
    # Storage.
    ("    reason: A test.\n", "", "expected a reason for 'mode: none'"),
    (
        "    reason: A test.\n",
        "    reason: A test.\n    unlock: tpm2\n",
        "storage.encryption.unlock: expected 'mode: luks2': there is nothing to unlock",
    ),
    (NO_LUKS, "mode: luks2\n    unlock: tang", "encryption.tang: expected a server with 'unlock"),
    (
        NO_LUKS,
        f"mode: luks2\n    tang: {{url: 'http://t', thumbprint: {'x' * 43}}}",
        "encryption.tang: expected a server with 'unlock: tang', and only with it",
    ),
    (
        NO_LUKS,
        "mode: luks2\n    unlock: tang\n    tang: {url: 'https://t', thumbprint: x}",
        "tang.url: expected the address of a Tang server",
    ),
    (
        NO_LUKS,
        "mode: luks2\n    unlock: tang\n    tang: {url: 'http://t', thumbprint: x}",
        "tang.thumbprint: expected the SHA-256 thumbprint",
    ),
    (
        NO_LUKS,
        "mode: luks2\n    unlock: tpm2\n    tpm2_pcrs: []",
        "tpm2_pcrs: expected a register, e.g. 7: any system could unlock the disk",
    ),
    (NO_LUKS, "mode: luks2\n    unlock: tpm2\n    tpm2_pcrs: [24]", "tpm2_pcrs[0]: "),
    ("mount: /tmp", "mount: tmp", "storage.partitions[4].mount: expected an absolute mount point"),
    ("mount: /tmp", "mount: /../tmp", "got '/../tmp'"),
    ("mount: /tmp", "mount: /home", "storage.partitions[4].mount: /home is listed twice"),
    ("mount: /, ", "mount: /srv, ", "expected a partition for /: an image has a root partition"),
    ("mount: /tmp", "mount: /opt", "expected a partition for /tmp or a waiver for partition"),
    ("fstype: efi", "fstype: xfs", "expected efi for /boot/efi only"),
    ("fstype: efi", "fstype: btrfs", "expected xfs, ext4, efi or swap, got 'btrfs'"),
    ("[umask=0077, nosuid]", "[umask=0077]", "expected /boot/efi with nosuid (STIG)"),
    ("options: [nodev]}", "options: [no dev]}", "expected one mount option, e.g. nodev"),
    # Types.
    ("fips: true", "fips: yes", "fips: expected true or false, got 'yes'"),
    ("fips: true", "fips: 1", "fips: expected true or false, got 1"),
    ("vcpus: 2", "vcpus: two", "machine.vcpus: expected a whole number, got 'two'"),
    ("vcpus: 2", "vcpus: 0", "machine.vcpus: expected 1 or more, got 0"),
    ("vcpus: 2", "vcpus: 02", "a number with a leading 0 is ambiguous, got 02"),
    ("vcpus: 2", "vcpus: 2.0", "machine.vcpus: expected a whole number, got 2.0"),
    ("title: A good profile", "title: 3", "title: expected text (quote it), got 3"),
    ("layers: [stig]", "layers: stig", "layers: expected a list, got 'stig'"),
    ("media: {catalog: rocky9}", "media: rocky9", "media: expected settings as 'name: value'"),
    ("users:\n  - {name", "users: []\nx:\n  - {name", "users: expected at least one entry"),
    # Release, hardware, layers.
    ("release: rocky9", "release: rocky8", "expected rocky9, rocky10, lab9 or lab10, got 'rocky8'"),
    ("release: rocky9", "release: rocky10", "expected rhel10 for rocky10, got 'rhel9'"),
    ("memory: 4 GiB", "memory: 1 GiB", "required by the installer of rocky9, got 1024 MiB"),
    ("accelerator: none", "accelerator: nvidia", "expected a section 'nvidia:', got none"),
    ("layers: [stig]", "layers: [stgi]", "layers[0]: expected nvidia_driver, cuda, amd_driver"),
    ("layers: [stig]", "layers: [stig, stig]", "layers[1]: stig is listed twice"),
    ("layers: [stig]", "layers: [ml_cpu, stig]", "ml_cpu needs 'accelerator: cpu', got 'none'"),
    ("remove: [vsftpd]", "remove: [aide]", "packages.remove[0]: aide is also installed by p"),
    # Waivers.
    ("owner: me, ", "", "stig.waivers[0].owner: is missing"),
    ("expires: 2027-11-30", "expires: 30.11.2027", "expected a day as 2027-11-30"),
    ("expires: 2027-11-30", "expires: 2027-11-31", "expected a day that exists"),
    ("expires: 2027-11-30", "expires: soon", "stig.waivers[0].expires: expected a day"),
    ("reason: A test., owner", 'reason: "", owner', "expected printable text, not empty"),
    ("reason: A test., owner", 'reason: "a\u202eb", owner', "expected printable text, not empty"),
]


@pytest.mark.parametrize(("was", "now", "problem"), INVALID_VALUES)
def test_invalid_value_reports_location_and_expectation(
    profile_file: Write, good: str, was: str, now: str, problem: str
) -> None:
    assert was in good
    path = profile_file(good.replace(was, now))

    with pytest.raises(InputError) as caught:
        load_profile(path)

    assert problem in str(caught.value)
    assert all(line.startswith(f"{path}:") for line in str(caught.value).splitlines())
    assert caught.value.exit_code == Exit.INPUT


INVALID_FILES: list[tuple[bytes, str]] = [
    (b"", "1:1: expected settings as 'name: value', got none"),
    (b"- a\n", "1:1: expected settings as 'name: value', got none"),
    (b"just text\n", "1:1: expected settings as 'name: value', got none"),
    (b"\xef\xbb\xbfname: x\n", "1:1: expected plain UTF-8, got a byte-order mark"),
    ("name: x\n".encode("utf-16"), "1:1: expected plain UTF-8, got a byte-order mark"),
    (b"name: \xff\n", "1:7: expected UTF-8, got byte 0xff"),
    (b"name:\n\t- x\n", "2:1: not YAML: found a tab where blanks are expected"),
    (b"name: a\x07b\n", r"1:8: not YAML: found the control character '\x07'"),
    (b"name: x\nname: y\n", "2:1: 'name' is set twice"),
    (b"name: [x\n", "not YAML: "),
    (b"a: &x [1]\nb: *x\n", "1:4: anchors and aliases (& and *) are not allowed"),
    (b"<<: {name: x}\n", "<<: unknown setting"),
    (b"name: !!python/name:os.system\n", "1:7: tags are not allowed"),
    (b"name: !!str x\n", "1:7: tags are not allowed"),
    (b"name: &a [*a]\n", "1:7: anchors and aliases (& and *) are not allowed"),
    (b"name: x\n? {a: b}\n: c\n", "2:3: expected a name before the ':'"),
    (b'name: "\\UFFFFFFFF"\n', "1:1: not YAML: an invalid number follows"),
    (b'name: x\ntitle: "\\udfff"\n', "2:8: expected text, got half a surrogate pair"),
    (b'"\\ud800": x\n', "1:1: expected a name, got half a surrogate pair"),
    (b"%YAML 1." + b"9" * 5000 + b"\n---\nname: x\n", "1:1: not YAML: an invalid number follows"),
    (b"name: [" + b"x, " * 10_000 + b"]\n", "expected at most 10000 values"),
    (b"name: x\n\0", r"2:1: not YAML: found the control character '\x00'"),
    (b"name: x\n---\nname: y\n", "2:1: expected one document, got a second"),
    (b"a: " + b"[" * 5000, "nested more than 12 deep"),
    (b"? [a]\n: b\n", "expected a name before the ':'"),
    (b"#" * 300_000, "1:1: expected at most 262144 bytes"),
]


@pytest.mark.parametrize(("data", "problem"), INVALID_FILES)
def test_invalid_yaml_file_is_rejected(profile_file: Write, data: bytes, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        load_profile(profile_file(data))

    assert problem in str(caught.value)


def test_all_problems_are_reported_in_file_order(profile_file: Write, good: str) -> None:
    invalid_text = (
        good.replace("60 GiB", "60 GB")
        .replace("fips: true", "fips: on")
        .replace("name: steward, g", "name: root, g")
        .replace("superuser: bootwarden", "superuser: admin")
        .replace("layers: [stig]", "layers: [ml_cpu, stig]\nlayres: []")
    )

    with pytest.raises(InputError) as caught:
        load_profile(profile_file(invalid_text))

    settings = [line.split(": ")[1] for line in str(caught.value).splitlines()]
    assert settings == [
        "storage.disk_size",
        "boot.superuser",
        "users[0].name",
        "fips",
        "layers[0]",
        "layres",
    ]


def test_long_invalid_value_is_truncated_in_message(profile_file: Write, good: str) -> None:
    with pytest.raises(InputError) as caught:
        load_profile(profile_file(good.replace("host1", "x" * 5000)))

    assert len(str(caught.value)) < 400


def test_unknown_profile_lists_shipped_profiles() -> None:
    with pytest.raises(InputError, match="no profile 'lab-stgi'") as caught:
        load_profile("lab-stgi")

    assert "lab-stig" in caught.value.hint
