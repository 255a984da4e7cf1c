"""Who gets in, and how: sshd, accounts, the boot loader."""
# ruff: noqa: D103, S101

import pytest
from testinfra.host import Host  # type: ignore[import-untyped]

from hardpan.scanners.collect.base import ExpectedState
from hardpan.scanners.collect.checks import queries
from hardpan.scanners.collect.checks.answers import Observe, ask, read_output

SSHD = {
    "permitemptypasswords": ("no",),
    "permitrootlogin": ("no", "prohibit-password", "without-password"),
    "hostbasedauthentication": ("no",),
    "permituserenvironment": ("no",),
    "ignorerhosts": ("yes", "shosts-only"),
    "x11forwarding": ("no",),
    "pubkeyauthentication": ("yes",),
}
PARAMETERS = {"test_sshd_setting_is_effective": lambda _: list(SSHD)}


def read_sshd_settings(target: Host) -> dict[str, str]:
    lines = read_output(target, queries.SSHD).splitlines()
    return {key.lower(): value for key, _, value in (x.partition(" ") for x in lines)}


def test_sshd_setting_is_effective(target: Host, observe: Observe, setting: str) -> None:
    value = read_sshd_settings(target).get(setting, "unknown")
    observe(f"{setting} {value}")

    assert value in SSHD[setting], f"{setting} is {value}"


def test_sshd_offers_no_weak_cipher_or_mac(target: Host, observe: Observe) -> None:
    settings = read_sshd_settings(target)
    offered = f"{settings.get('ciphers', '')},{settings.get('macs', '')}".split(",")

    observe(",".join(offered))

    weak = [x for x in offered if "cbc" in x or "arcfour" in x or "md5" in x or "96" in x]
    assert not weak, f"weak: {', '.join(weak)}"


def test_host_keys_are_private_to_root(target: Host, observe: Observe) -> None:
    lines = read_output(target, queries.KEYS).splitlines()
    observe("; ".join(lines))

    assert lines
    assert not [x for x in lines if x.split()[0][-1] != "0" or x.split()[1] != "root"]


def test_no_account_has_an_empty_password(target: Host) -> None:
    empty = ask(target, queries.EMPTY_PASSWORDS).stdout.split()

    assert not empty, f"no password: {', '.join(empty)}"


def test_root_is_the_only_account_with_uid_zero(target: Host, observe: Observe) -> None:
    names = read_output(target, queries.UID_ZERO).split()
    observe(f"UID 0: {', '.join(names)}")

    assert names == ["root"], f"UID 0: {', '.join(names)}"


def test_umask_is_private(target: Host, observe: Observe) -> None:
    values = [x.split()[1] for x in ask(target, queries.UMASK).stdout.splitlines()]
    observe(f"UMASK {' '.join(values)}")

    assert values
    assert all(int(v, 8) & 0o077 == 0o077 for v in values), f"UMASK {' '.join(values)}"


def test_build_user_can_log_in(target: Host, expected: ExpectedState) -> None:
    user = expected.build_user
    if not user:
        pytest.skip("the profile names no build user")

    assert int(ask(target, queries.authorized_keys_query(user)).stdout.strip() or "0") > 0
    assert "password must be changed" not in ask(target, queries.expiry_query(user)).stdout


def test_build_user_may_use_sudo(target: Host, expected: ExpectedState) -> None:
    if not expected.build_user:
        pytest.skip("the profile names no build user")
    allowed = ask(target, queries.sudo_list_query(expected.build_user)).stdout

    assert "may run the following" in allowed
    assert not expected.sudo_nopasswd or "NOPASSWD" in allowed


def test_boot_loader_requires_superuser(target: Host, expected: ExpectedState) -> None:
    if not expected.boot_superuser:
        pytest.skip("the profile names no boot loader superuser")
    output = ask(target, queries.GRUB).stdout

    assert expected.boot_superuser in output, "the superuser is not set"
    assert "pbkdf2.sha512." in output, "it has no password"


def test_boot_loader_settings_are_private_to_root(target: Host, observe: Observe) -> None:
    mode, owner, group = read_output(target, queries.GRUB_MODES).split()
    observe(f"mode {mode}, owner {owner}:{group}")

    is_private = (int(mode, 8) & 0o077, owner, group) == (0, "root", "root")
    assert is_private, f"mode {mode}, owner {owner}:{group}"
