"""What the kickstart says, and what it will not say."""

import re

import pytest

from hardpan.errors import Exit, InputError
from hardpan.kickstart import KickstartError, boot_arguments, holds_secret, volume_label
from hardpan.kickstart.render import render
from hardpan.kickstart.syntax import parse
from hardpan.kickstart.words import ks_argument, ks_hash, ks_text, ks_word, one_line
from hardpan.profiles.machine import Encryption
from hardpan.profiles.model import Profile
from hardpan.profiles.stig import REQUIRED_OPTIONS


def line(text: str, start: str) -> str:
    return next(x for x in text.splitlines() if x.startswith(start))


def test_tmp_is_mounted_without_exec(text9: str) -> None:
    assert line(text9, "logvol /tmp ") == (
        "logvol /tmp --vgname=vg0 --name=tmp --fstype=xfs --size=4096"
        ' --fsoptions="nodev,nosuid,noexec"'
    )


def test_every_stig_mount_has_its_options(text9: str) -> None:
    mounts = {
        c.words[0]: set(c.options.get("fsoptions", "").split(","))
        for c in parse(text9).named("part", "logvol")
    }

    assert set(REQUIRED_OPTIONS) - set(mounts) == {"/dev/shm"}  # the one that is no partition
    lacking = {m: set(o) - mounts[m] for m, o in REQUIRED_OPTIONS.items() if m in mounts}
    assert {mount: options for mount, options in lacking.items() if options} == {}


def test_the_efi_partition_is_closed_to_others(text9: str) -> None:
    assert line(text9, "part /boot/efi ").endswith(
        '--fsoptions="umask=0077,shortname=winnt,nosuid"'
    )


def test_shared_memory_has_plain_options(text9: str) -> None:
    assert "echo 'tmpfs /dev/shm tmpfs defaults,nodev,nosuid,noexec 0 0' >> /etc/fstab" in text9


def test_fips_comes_from_the_installers_command_line_alone(rocky9: Profile, text9: str) -> None:
    assert "fips=1" not in line(text9, "bootloader ")
    assert "fips=1" in boot_arguments(rocky9, "X")
    assert "fips=1" not in boot_arguments(rocky9.model_copy(update={"fips": False}), "X")


def test_without_fips_nothing_is_said_about_it(rocky9: Profile, key: str) -> None:
    text = render(rocky9.model_copy(update={"fips": False}), key)

    assert "fips_enabled" not in text
    assert "update-crypto-policies" not in text


def test_each_release_gets_its_own_crypto_policy(
    text9: str, text10: str, lab: Profile, key: str
) -> None:
    assert "--set FIPS:STIG\n" in text9
    assert "--set FIPS\n" in text10
    assert "update-crypto-policies" not in render(lab, key)


def test_the_superuser_is_not_root(text9: str) -> None:
    assert 'set superusers="bootwarden"\n    export superusers\n' in text9
    assert "password_pbkdf2 bootwarden" in text9


def test_root_is_locked_and_the_build_user_has_only_a_key(text9: str, key: str) -> None:
    assert line(text9, "rootpw") == "rootpw --lock"
    assert line(text9, "user ") == (
        'user --name=steward --groups=wheel --gecos="hardpan build user" --lock'
    )
    assert line(text9, "sshkey ") == f'sshkey --username=steward "{key}"'


def test_a_password_hash_is_given_as_one(rocky9: Profile, key: str) -> None:
    crypt = "$6$saltsaltsalt$" + "a" * 86
    user = rocky9.users[0].model_copy(update={"password_hash": crypt, "sudo": "password"})
    text = render(rocky9.model_copy(update={"users": (user,)}), key)

    assert line(text, "user ").endswith(f"--iscrypted --password={crypt}")
    assert "steward ALL=(ALL) ALL\n" in text


def test_kdump_is_off_by_its_addon(text9: str, text10: str) -> None:
    assert "%addon com_redhat_kdump --disable\n%end" in text9
    assert "%addon com_redhat_kdump --disable\n%end" in text10


def test_the_marker_is_the_last_thing_a_good_install_says(text9: str) -> None:
    posts = parse(text9).scripts("%post")

    assert "HARDPAN-INSTALL: complete" in posts[-1].body
    assert all("HARDPAN-INSTALL: complete" not in p.body for p in posts[:-1])
    assert "/dev/virtio-ports/dev.hardpan.install.0" in posts[-1].body


def test_an_error_says_so_with_the_logs_and_switches_off(text9: str) -> None:
    (onerror,) = parse(text9).scripts("%onerror")

    assert "HARDPAN-INSTALL: failed" in onerror.body
    assert "program.log" in onerror.body
    assert onerror.body.rstrip().endswith("poweroff -f")


def test_all_disks_are_taken_only_where_none_is_named(rocky9: Profile, key: str) -> None:
    storage = rocky9.storage.model_copy(update={"disk": ""})
    text = render(rocky9.model_copy(update={"storage": storage}), key)

    assert "vda" not in text
    assert "# THIS ERASES EVERY DISK without asking." in text
    assert line(text, "clearpart") == "clearpart --all --initlabel --disklabel=gpt"


def encrypted(profile: Profile) -> Profile:
    storage = profile.storage.model_copy(update={"encryption": Encryption(mode="luks2")})
    return profile.model_copy(update={"storage": storage})


def test_luks_encrypts_the_physical_volume_and_makes_a_secret(rocky9: Profile, key: str) -> None:
    text = render(encrypted(rocky9), key, passphrase="correct-horse-battery")

    assert line(text, "part pv.01 ") == (
        "part pv.01 --size=1 --grow --ondisk=vda --encrypted --luks-version=luks2"
        " --pbkdf=pbkdf2 --passphrase=correct-horse-battery"
    )
    assert holds_secret(text)
    assert not holds_secret(render(rocky9, key))
    assert "inst.nosave=all_ks" in boot_arguments(encrypted(rocky9), "X")


@pytest.mark.parametrize(
    ("passphrase", "problem"),
    [
        ("", "no passphrase was given"),
        ("short", "expected a passphrase of 12 to 128 characters"),
        ("with blank in it", "expected a passphrase"),
        ("x\n%post\nreboot\n%end", "expected a passphrase"),
    ],
)
def test_a_passphrase_that_cannot_be_used_is_refused_and_never_shown(
    rocky9: Profile, key: str, passphrase: str, problem: str
) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        render(encrypted(rocky9), key, passphrase=passphrase)

    assert not passphrase or passphrase not in str(caught.value)


def test_a_passphrase_without_luks_is_refused(rocky9: Profile, key: str) -> None:
    with pytest.raises(InputError, match="a passphrase was given"):
        render(rocky9, key, passphrase="correct-horse-battery")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("", "nobody could log in"),
        ("ssh-rsa AAAA", "the operator's public key: expected"),
        ('ssh-rsa AAAA" --x', "the operator's public key: expected one public key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "the operator's public key: expected"),
        (
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
            "sshd refuses in FIPS mode",
        ),
    ],
)
def test_a_key_that_lets_nobody_in_is_refused(rocky9: Profile, given: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        render(rocky9, given)


@pytest.mark.parametrize("update", [{"name": "x\n%post"}, {"name": "x y"}])
def test_a_profile_with_an_odd_name_gives_no_kickstart(
    rocky9: Profile, key: str, update: dict[str, str]
) -> None:
    with pytest.raises(KickstartError, match="expected a kickstart word") as caught:
        render(rocky9.model_copy(update=update), key)

    assert caught.value.exit_code == Exit.INPUT


ODD = [
    "",
    "-x",
    "x y",
    "x\ny",
    "x#y",
    "x'y",
    'x"y',
    "x;y",
    "x$y",
    "x`y",
    "%x",
    "x\\y",
    "x\u00a0y",
    "٢",
]


@pytest.mark.parametrize("value", ODD)
def test_an_odd_word_is_refused_and_never_mended(value: str) -> None:
    with pytest.raises(KickstartError, match="expected a kickstart word"):
        ks_word(value)


@pytest.mark.parametrize("value", ["nodev,exec", "a,b"])
def test_a_comma_cannot_slip_a_second_entry_into_a_list(value: str) -> None:
    with pytest.raises(KickstartError):
        ks_word(value)


@pytest.mark.parametrize("value", ["a=b c=d", 'a="b"', "a\nb", "-a", "=a"])
def test_an_odd_kernel_argument_is_refused(value: str) -> None:
    with pytest.raises(KickstartError, match="expected a kernel argument"):
        ks_argument(value)


@pytest.mark.parametrize("value", ['x" --uid=0', "x\ny", "", " x", "x%y", "x$y"])
def test_odd_text_is_refused(value: str) -> None:
    with pytest.raises(KickstartError, match="expected plain kickstart text"):
        ks_text(value)


def test_what_is_no_hash_is_refused_and_not_shown() -> None:
    with pytest.raises(KickstartError, match="expected a password hash, found something else") as e:
        ks_hash("hunter2")

    assert "hunter2" not in str(e.value)


@pytest.mark.parametrize("value", ["a\nb", "a\x1b[0m", "a\u2028b"])
def test_no_expression_can_break_a_line(value: str) -> None:
    with pytest.raises(KickstartError, match="a line break or control character"):
        one_line(value)


def test_boot_arguments_name_the_file_by_label(rocky9: Profile) -> None:
    assert boot_arguments(rocky9, "HARDPAN-X") == (
        "inst.ks=hd:LABEL=HARDPAN-X:/ks.cfg",
        "fips=1",
        "inst.text",
        "inst.cmdline",
        "inst.notmux",
        "inst.ksstrict",
        "inst.nosave=input_ks",
        "console=tty0",
        "console=ttyS0,115200",
    )


@pytest.mark.parametrize("label", ["TEST OS", "", "X" * 33, "x\ny"])
def test_a_label_that_boot_loaders_trip_over_is_refused(rocky9: Profile, label: str) -> None:
    with pytest.raises(KickstartError):
        boot_arguments(rocky9, label)


def test_a_volume_label_fits_iso_9660(rocky9: Profile) -> None:
    long = rocky9.model_copy(update={"name": "a-very-long-name-for-a-profile-indeed"})

    assert volume_label(rocky9) == "HARDPAN-ROCKY9-STIG"
    assert re.fullmatch(r"[A-Z0-9-]{1,32}", volume_label(long))
