from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.ssh import target
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.target import Target, from_guest, parse_target

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("root@host", "root", "host", 22),
        ("a.b@10.0.0.7:2222", "a.b", "10.0.0.7", 2222),
        ("ssh://me@host.example:22/", "me", "host.example", 22),
        ("me@[fe80::1]", "me", "fe80::1", 22),
        ("ssh://me@[2001:db8::7]:2022", "me", "2001:db8::7", 2022),
    ],
)
def test_every_target_form_is_parsed(text: str, user: str, host: str, port: int) -> None:
    result = parse_target(text)

    assert (result.user, result.host, result.port) == (user, host, port)


def test_user_defaults_to_current_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "somebody")

    assert str(parse_target("host")) == "somebody@host:22"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a target"),
        ("-oProxyCommand=x", "not a host name"),
        ("me@-host", "not a host name"),
        ("-l@host", "not a user name"),
        ("@host", "no user before the @"),
        ("me@host:", "no port after the colon"),
        ("me@host:0", "expected a port of 1 to 65535, got '0'"),
        ("me@host:65536", "expected a port of 1 to 65535"),
        ("me@host:٢٢", "not a target"),
        ("me@ho\nst", "not a target"),
        ("me@ho\x1b[31mst", "not a target"),
        ("me@ho st", "not a host name"),
        ("me@host;reboot", "not a host name"),
        ("me:secret@host", "not a user name"),
        ("fe80::1", "not a target"),
        ("me@[::g]", "not an IPv6 address"),
        ("me@[::1", "not a target"),
        ("x" * 600, "not a target"),
    ],
)
def test_invalid_target_is_refused_with_reason(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_target(text)


def test_password_in_target_is_refused_with_hint() -> None:
    with pytest.raises(InputError) as caught:
        parse_target("me:secret@host")

    assert "password" in caught.value.hint


def test_comment_of_pinned_key_is_removed() -> None:
    assert parse_target("me@host", host_keys=[KEY + " root@host\n"]).host_keys == (KEY,)


def test_invalid_pinned_key_is_refused() -> None:
    with pytest.raises(InputError, match="not a public host key"):
        parse_target("me@host", host_keys=["ssh-ed25519 !!"])


def test_missing_identity_or_known_hosts_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such private key file"):
        parse_target("me@host", identity=tmp_path / "key")
    with pytest.raises(InputError, match="no such known_hosts file"):
        parse_target("me@host", known_hosts=tmp_path / "known")


def test_ssh_config_settings_are_applied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch(mode=0o600)
    output = f"user deploy\nhostname 10.1.2.3\nport 2200\nidentityfile {key}\nproxycommand none\n"
    monkeypatch.setattr(target, "_read_ssh_settings", lambda *_: target.parse_ssh_settings(output))

    result = parse_target("web", ssh_config=tmp_path / "config")

    assert str(result) == "deploy@10.1.2.3:2200"
    assert result.identity == key


def test_explicit_values_override_ssh_config(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        target, "_read_ssh_settings", lambda *_: target.parse_ssh_settings("user a\nport 2200\n")
    )

    assert str(parse_target("b@web:22", ssh_config=tmp_path / "config")) == "b@web:22"


def test_jump_host_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        target, "_read_ssh_settings", lambda *_: target.parse_ssh_settings("proxyjump bastion\n")
    )

    with pytest.raises(InputError, match="proxyjump 'bastion', which hardpan does not support"):
        parse_target("web", ssh_config=tmp_path / "config")


class FakeGuest:
    address = "127.0.0.1"
    port = 2222
    user = "steward"
    private_key = Path("key")
    host_keys: tuple[str, ...] = (KEY,)


def test_guest_target_pins_host_keys() -> None:
    result = from_guest(FakeGuest())

    assert result == Target(
        host="127.0.0.1",
        port=2222,
        user="steward",
        identity=Path("key"),
        host_keys=(KEY,),
        pinned_by=HostKeyTrust.BUILT_IMAGE,
    )


def test_host_key_option_is_pinned() -> None:
    assert parse_target("me@host", host_keys=[KEY]).pinned_by is HostKeyTrust.PINNED


def test_guest_without_host_key_is_refused() -> None:
    guest = FakeGuest()
    guest.host_keys = ()

    with pytest.raises(InputError, match="announced no host key"):
        from_guest(guest)
