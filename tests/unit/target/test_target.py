from pathlib import Path

import pytest

from hardpan.errors import InputError
from hardpan.scanners import target
from hardpan.scanners.model import HostKeyTrust
from hardpan.scanners.target import Target, of_guest, parse

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
def test_every_form_of_a_target_is_understood(text: str, user: str, host: str, port: int) -> None:
    found = parse(text)

    assert (found.user, found.host, found.port) == (user, host, port)


def test_the_present_user_is_taken_when_none_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "somebody")

    assert str(parse("host")) == "somebody@host:22"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a target"),
        ("-oProxyCommand=x", "not a host name"),
        ("me@-host", "not a host name"),
        ("-l@host", "not a user name"),
        ("@host", "nothing in front of the @"),
        ("me@host:", "no port after the colon"),
        ("me@host:0", "expected a port of 1 to 65535, found '0'"),
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
def test_an_odd_target_is_refused_with_its_reason(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse(text)


def test_a_password_in_a_target_is_refused_with_a_hint() -> None:
    with pytest.raises(InputError) as caught:
        parse("me:secret@host")

    assert "password" in caught.value.hint


def test_a_pinned_key_loses_its_comment() -> None:
    assert parse("me@host", host_keys=[KEY + " root@host\n"]).host_keys == (KEY,)


def test_a_pinned_key_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="not a public host key"):
        parse("me@host", host_keys=["ssh-ed25519 !!"])


def test_a_missing_identity_or_known_hosts_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such private key file"):
        parse("me@host", identity=tmp_path / "key")
    with pytest.raises(InputError, match="no such known_hosts file"):
        parse("me@host", known_hosts=tmp_path / "known")


def test_what_ssh_makes_of_its_config_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.touch(mode=0o600)
    said = f"user deploy\nhostname 10.1.2.3\nport 2200\nidentityfile {key}\nproxycommand none\n"
    monkeypatch.setattr(target, "_settings", lambda *_: target.settings(said))

    found = parse("web", ssh_config=tmp_path / "config")

    assert str(found) == "deploy@10.1.2.3:2200"
    assert found.identity == key


def test_what_is_typed_wins_over_the_config(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(target, "_settings", lambda *_: target.settings("user a\nport 2200\n"))

    assert str(parse("b@web:22", ssh_config=tmp_path / "config")) == "b@web:22"


def test_a_jump_host_is_refused_not_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(target, "_settings", lambda *_: target.settings("proxyjump bastion\n"))

    with pytest.raises(InputError, match="proxyjump 'bastion', which hardpan does not do"):
        parse("web", ssh_config=tmp_path / "config")


class Built:
    address = "127.0.0.1"
    port = 2222
    user = "steward"
    private_key = Path("key")
    host_keys: tuple[str, ...] = (KEY,)


def test_a_guest_of_the_builder_is_pinned() -> None:
    found = of_guest(Built())

    assert found == Target(
        host="127.0.0.1",
        port=2222,
        user="steward",
        identity=Path("key"),
        host_keys=(KEY,),
        pinned_by=HostKeyTrust.BUILT_IMAGE,
    )


def test_typed_host_key_is_pinned_by_a_person() -> None:
    assert parse("me@host", host_keys=[KEY]).pinned_by is HostKeyTrust.PINNED


def test_a_guest_without_a_host_key_is_refused() -> None:
    guest = Built()
    guest.host_keys = ()

    with pytest.raises(InputError, match="announced no host key"):
        of_guest(guest)
