"""What the kickstart says, and what it will not say."""

import re

import pytest

from hardpan.core.errors import Exit, InputError
from hardpan.kickstart import (
    KickstartError,
    boot_arguments,
    contains_secret,
    lint_kickstart,
    make_volume_label,
)
from hardpan.kickstart.quoting import ks_argument, ks_hash, ks_text, ks_word, require_single_line
from hardpan.kickstart.render import render_kickstart
from hardpan.kickstart.syntax import parse_kickstart
from hardpan.profiles.constraints.stig_requirements import REQUIRED_OPTIONS
from hardpan.profiles.schema.encryption import Encryption
from hardpan.profiles.schema.profile import Profile


def find_line(text: str, start: str) -> str:
    return next(x for x in text.splitlines() if x.startswith(start))


def test_tmp_is_mounted_noexec(text9: str) -> None:
    assert find_line(text9, "logvol /tmp ") == (
        "logvol /tmp --vgname=vg0 --name=tmp --fstype=xfs --size=4096"
        ' --fsoptions="nodev,nosuid,noexec"'
    )


def test_stig_mount_points_have_required_options(text9: str) -> None:
    mounts = {
        c.arguments[0]: set(c.options.get("fsoptions", "").split(","))
        for c in parse_kickstart(text9).commands_named("part", "logvol")
    }

    assert set(REQUIRED_OPTIONS) - set(mounts) == {"/dev/shm"}  # the one that is no partition
    mounts["/boot/efi"] = {"nosuid"}  # set by a %post: Anaconda replaces --fsoptions
    missing = {m: set(o) - mounts[m] for m, o in REQUIRED_OPTIONS.items() if m in mounts}
    assert {mount: options for mount, options in missing.items() if options} == {}


def test_efi_partition_gets_its_options_from_a_post_script(
    rocky9: Profile, text9: str, key: str
) -> None:
    assert find_line(text9, "part /boot/efi ") == (
        "part /boot/efi --fstype=efi --size=600 --ondisk=vda"
    )
    assert "for option in umask=0077 shortname=winnt nosuid; do\n" in text9

    partitions = tuple(
        p.model_copy(update={"options": ()}) if p.mount == "/boot/efi" else p
        for p in rocky9.storage.partitions
    )
    storage = rocky9.storage.model_copy(update={"partitions": partitions})
    text = render_kickstart(rocky9.model_copy(update={"storage": storage}), key)
    assert "for option in" not in text


def test_console_order_is_that_of_the_profile(rocky9: Profile, text9: str, key: str) -> None:
    assert '"${words}console=ttyS0,115200 console=tty0"' in text9

    boot = rocky9.boot.model_copy(update={"kernel_arguments": ("audit=1",)})
    text = render_kickstart(rocky9.model_copy(update={"boot": boot}), key)
    assert "reorder" not in text


def test_dev_shm_has_hardening_options(text9: str) -> None:
    assert "echo 'tmpfs /dev/shm tmpfs defaults,nodev,nosuid,noexec 0 0' >> /etc/fstab" in text9


def test_fips_is_set_on_installer_command_line_only(rocky9: Profile, text9: str) -> None:
    assert "fips=1" not in find_line(text9, "bootloader ")
    assert "fips=1" in boot_arguments(rocky9, "X")
    assert "fips=1" not in boot_arguments(rocky9.model_copy(update={"fips": False}), "X")


def test_kickstart_without_fips_has_no_fips_steps(rocky9: Profile, key: str) -> None:
    text = render_kickstart(rocky9.model_copy(update={"fips": False}), key)

    assert "fips_enabled" not in text
    assert "update-crypto-policies" not in text


def test_crypto_policy_depends_on_release(text9: str, text10: str, lab: Profile, key: str) -> None:
    assert "--set FIPS:STIG\n" in text9
    assert "--set FIPS\n" in text10
    assert "update-crypto-policies" not in render_kickstart(lab, key)


def test_grub_superuser_is_not_root(text9: str) -> None:
    assert 'set superusers="bootwarden"\n    export superusers\n' in text9
    assert "password_pbkdf2 bootwarden" in text9


def test_root_is_locked_and_build_user_has_only_a_key(text9: str, key: str) -> None:
    assert find_line(text9, "rootpw") == "rootpw --lock"
    assert find_line(text9, "user ") == (
        'user --name=steward --groups=wheel --gecos="hardpan build user" --lock'
    )
    assert find_line(text9, "sshkey ") == f'sshkey --username=steward "{key}"'


def test_password_hash_is_marked_encrypted(rocky9: Profile, key: str) -> None:
    crypt = "$6$saltsaltsalt$" + "a" * 86
    user = rocky9.users[0].model_copy(update={"password_hash": crypt, "sudo": "password"})
    text = render_kickstart(rocky9.model_copy(update={"users": (user,)}), key)

    assert find_line(text, "user ").endswith(f"--iscrypted --password={crypt}")
    assert "steward ALL=(ALL) ALL\n" in text


def test_kdump_addon_is_disabled(text9: str, text10: str) -> None:
    assert "%addon com_redhat_kdump --disable\n%end" in text9
    assert "%addon com_redhat_kdump --disable\n%end" in text10


def test_success_marker_is_written_by_last_script(text9: str) -> None:
    posts = parse_kickstart(text9).scripts("%post")

    assert "HARDPAN-INSTALL: complete" in posts[-1].body
    assert all("HARDPAN-INSTALL: complete" not in p.body for p in posts[:-1])
    assert "/dev/virtio-ports/dev.hardpan.install.0" in posts[-1].body


def test_onerror_reports_logs_and_powers_off(text9: str) -> None:
    (onerror,) = parse_kickstart(text9).scripts("%onerror")

    assert "HARDPAN-INSTALL: failed" in onerror.body
    assert "program.log" in onerror.body
    assert onerror.body.rstrip().endswith("poweroff -f")


def test_all_disks_are_used_only_without_disk_name(rocky9: Profile, key: str) -> None:
    storage = rocky9.storage.model_copy(update={"disk": ""})
    text = render_kickstart(rocky9.model_copy(update={"storage": storage}), key)

    assert "vda" not in text
    assert "# THIS ERASES EVERY DISK without asking." in text
    assert find_line(text, "clearpart") == "clearpart --all --initlabel --disklabel=gpt"


def with_encryption(profile: Profile) -> Profile:
    storage = profile.storage.model_copy(update={"encryption": Encryption(mode="luks2")})
    return profile.model_copy(update={"storage": storage})


def test_luks_encrypts_physical_volume_and_marks_secret(rocky9: Profile, key: str) -> None:
    text = render_kickstart(with_encryption(rocky9), key, passphrase="correct-horse-battery")

    assert find_line(text, "part pv.01 ") == (
        "part pv.01 --size=1 --grow --ondisk=vda --encrypted --luks-version=luks2"
        " --pbkdf=pbkdf2 --passphrase=correct-horse-battery"
    )
    assert contains_secret(text)
    assert not contains_secret(render_kickstart(rocky9, key))
    assert "inst.nosave=all_ks" in boot_arguments(with_encryption(rocky9), "X")


def with_unlock(profile: Profile, **settings: object) -> Profile:
    encryption = Encryption.model_validate({"mode": "luks2", **settings})
    storage = profile.storage.model_copy(update={"encryption": encryption})
    return profile.model_copy(update={"storage": storage})


TANG = {"url": "http://tang.example:7500", "thumbprint": "T" * 43}


@pytest.mark.parametrize(
    ("settings", "pin_settings"),
    [
        ({"unlock": "tpm2"}, '{"pcr_bank":"sha256","pcr_ids":"7"}'),
        ({"unlock": "tpm2", "tpm2_pcrs": [4, 7]}, '{"pcr_bank":"sha256","pcr_ids":"4,7"}'),
        (
            {"unlock": "tang", "tang": TANG},
            '{"url":"http://tang.example:7500","thp":"' + "T" * 43 + '"}',
        ),
    ],
)
def test_bound_disk_replaces_the_passphrase_at_first_boot(
    rocky9: Profile, key: str, settings: dict[str, object], pin_settings: str
) -> None:
    profile = with_unlock(rocky9, **settings)
    text = render_kickstart(profile, key, passphrase="correct-horse-battery")

    assert lint_kickstart(text, "rocky9") == ()
    (script,) = [s for s in parse_kickstart(text).scripts("%post") if "disk-unlock" in s.body]
    assert "printf %s 'correct-horse-battery' > /etc/hardpan/disk-unlock/passphrase" in script.body
    assert f"\n{pin_settings}\n" in script.body
    assert f"hardpan/disk-unlock.sh {settings['unlock']}\n" in script.body
    # The build machine would be bound, and every image with it.
    assert "ConditionPathExists=!/dev/virtio-ports/dev.hardpan.install.0" in script.body
    assert script.body.index("umask 077") < script.body.index("correct-horse")
    assert ("network-online" in script.body) == (settings["unlock"] == "tang")
    assert {"clevis-dracut", "cryptsetup"} <= set(profile.install_packages)
    assert ("tpm2-tools" in profile.install_packages) == (settings["unlock"] == "tpm2")
    assert ("rd.neednet=1" in profile.kernel_arguments) == (settings["unlock"] == "tang")


def test_passphrase_stays_without_binding(rocky9: Profile, key: str) -> None:
    profile = with_encryption(rocky9)
    text = render_kickstart(profile, key, passphrase="correct-horse-battery")

    assert "disk-unlock" not in text
    assert text.count("correct-horse-battery") == 1
    assert not any("clevis" in name for name in profile.install_packages)


@pytest.mark.parametrize(
    ("passphrase", "problem"),
    [
        ("", "no passphrase was given"),
        ("short", "expected a passphrase of 12 to 128 characters"),
        ("with blank in it", "expected a passphrase"),
        ("x\n%post\nreboot\n%end", "expected a passphrase"),
    ],
)
def test_unusable_passphrase_is_rejected_and_not_in_message(
    rocky9: Profile, key: str, passphrase: str, problem: str
) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        render_kickstart(with_encryption(rocky9), key, passphrase=passphrase)

    assert not passphrase or passphrase not in str(caught.value)


def test_passphrase_without_luks_is_rejected(rocky9: Profile, key: str) -> None:
    with pytest.raises(InputError, match="a passphrase was given"):
        render_kickstart(rocky9, key, passphrase="correct-horse-battery")


@pytest.mark.parametrize(
    ("public_key", "problem"),
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
def test_unusable_operator_key_is_rejected(rocky9: Profile, public_key: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        render_kickstart(rocky9, public_key)


@pytest.mark.parametrize("update", [{"name": "x\n%post"}, {"name": "x y"}])
def test_profile_with_unsafe_name_is_rejected(
    rocky9: Profile, key: str, update: dict[str, str]
) -> None:
    with pytest.raises(KickstartError, match="expected a kickstart word") as caught:
        render_kickstart(rocky9.model_copy(update=update), key)

    assert caught.value.exit_code == Exit.INPUT


UNSAFE_VALUES = [
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


@pytest.mark.parametrize("value", UNSAFE_VALUES)
def test_unsafe_word_is_rejected(value: str) -> None:
    with pytest.raises(KickstartError, match="expected a kickstart word"):
        ks_word(value)


@pytest.mark.parametrize("value", ["nodev,exec", "a,b"])
def test_comma_in_word_is_rejected(value: str) -> None:
    with pytest.raises(KickstartError):
        ks_word(value)


@pytest.mark.parametrize("value", ["a=b c=d", 'a="b"', "a\nb", "-a", "=a"])
def test_unsafe_kernel_argument_is_rejected(value: str) -> None:
    with pytest.raises(KickstartError, match="expected a kernel argument"):
        ks_argument(value)


@pytest.mark.parametrize("value", ['x" --uid=0', "x\ny", "", " x", "x%y", "x$y"])
def test_unsafe_text_is_rejected(value: str) -> None:
    with pytest.raises(KickstartError, match="expected plain kickstart text"):
        ks_text(value)


def test_invalid_hash_is_rejected_and_not_in_message() -> None:
    with pytest.raises(KickstartError, match="expected a password hash, got something else") as e:
        ks_hash("hunter2")

    assert "hunter2" not in str(e.value)


@pytest.mark.parametrize("value", ["a\nb", "a\x1b[0m", "a\u2028b"])
def test_line_break_in_expression_is_rejected(value: str) -> None:
    with pytest.raises(KickstartError, match="a line break or control character"):
        require_single_line(value)


def test_boot_arguments_name_kickstart_by_label(rocky9: Profile) -> None:
    assert boot_arguments(rocky9, "HARDPAN-X") == (
        "inst.ks=hd:LABEL=HARDPAN-X:/ks.cfg",
        "fips=1",
        "inst.text",
        "inst.cmdline",
        "inst.notmux",
        "inst.ksstrict",
        "inst.nosave=input_ks",
        "console=ttyS0,115200",
        "console=tty0",
    )


@pytest.mark.parametrize("label", ["TEST OS", "", "X" * 33, "x\ny"])
def test_unsafe_volume_label_is_rejected(rocky9: Profile, label: str) -> None:
    with pytest.raises(KickstartError):
        boot_arguments(rocky9, label)


def test_volume_label_fits_iso_9660(rocky9: Profile) -> None:
    long = rocky9.model_copy(update={"name": "a-very-long-name-for-a-profile-indeed"})

    assert make_volume_label(rocky9) == "HARDPAN-ROCKY9-STIG"
    assert re.fullmatch(r"[A-Z0-9-]{1,32}", make_volume_label(long))
    assert make_volume_label(long) != make_volume_label(
        long.model_copy(update={"name": f"{long.name}-b"})
    )
