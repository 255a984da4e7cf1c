from pathlib import Path

import pytest

from hardpan.core.errors import InputError, ToolError
from hardpan.ssh import target
from hardpan.ssh.client_settings import parse_ssh_settings
from hardpan.ssh.destination import Destination
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.openssh_config import NO_CONFIG
from hardpan.ssh.target import Target, from_guest, parse_target

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("root@host", "root", "host", 22),
        ("a.b@10.0.0.7:2222", "a.b", "10.0.0.7", 2222),
        ("ssh://me@host.example:22/", "me", "host.example", 22),
        ("me@[fe80::1]", "me", "fe80::1", 22),
        ("me@[fe80::1%eth0]", "me", "fe80::1%eth0", 22),
        ("me@corp.example@host", "me@corp.example", "host", 22),
        ("CORP\\me@host", "CORP\\me", "host", 22),
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


def configure(monkeypatch: pytest.MonkeyPatch, **output_by_host: str) -> None:
    """Make ``ssh -G`` print the given lines for each host."""
    monkeypatch.setattr(
        target,
        "read_ssh_settings",
        lambda host, *_: parse_ssh_settings(output_by_host.get(host, "")),
    )


def test_ssh_config_settings_are_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(
        monkeypatch,
        web="user deploy\nhostname 10.1.2.3\nport 2200\nidentityfile /k/%n-%r-%p\n"
        "identityfile none\nproxycommand none\nhostkeyalias web-1\n"
        "userknownhostsfile /k/hosts /k/%h\nglobalknownhostsfile none\n",
    )

    result = parse_target("web")

    assert str(result) == "deploy@10.1.2.3:2200"
    assert result.settings.identity_files == (Path("/k/web-deploy-2200"),)
    assert result.known_hosts == (Path("/k/hosts"), Path("/k/10.1.2.3"))
    assert result.host_key_alias == "web-1"
    assert result.typed == Destination(user="", host="web", port="")


def test_typed_values_override_ssh_config(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, web="user a\nport 2200\n")

    result = parse_target("b@web:22")

    assert str(result) == "b@web:22"
    assert result.typed == Destination(user="b", host="web", port="22")


def test_typed_user_and_port_are_passed_to_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(target, "read_ssh_settings", lambda *call: calls.append(call))

    parse_target("b@web:2022")
    parse_target("web", ssh_config=NO_CONFIG)

    assert calls == [("web", "b", "2022", None), ("web", "", "", NO_CONFIG)]


def test_machine_without_ssh_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "read_ssh_settings", lambda *_: None)

    result = parse_target("me@web")

    assert result.notes == ("this machine has no ssh program: the ssh configuration is not read",)
    assert result.settings.identity_files[0].name == "id_rsa"
    with pytest.raises(ToolError, match="ssh is not installed, and only it can read"):
        parse_target("me@web", ssh_config=Path("config"))


def test_jump_hosts_have_separate_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(
        monkeypatch,
        web="proxyjump a@first:2201,second\n",
        first="user ignored\nproxyjump gate\n",
        second="user b\nproxycommand ignored\nproxyjump ignored\n",
        gate="user g\nproxycommand connect %h %p\n",
    )

    result = parse_target("me@web")

    assert [str(jump) for jump in result.jumps] == ["g@gate:22", "a@first:2201", "b@second:22"]
    assert [jump.settings.proxy_command for jump in result.jumps] == ["connect gate 22", "", ""]


def test_endless_jumps_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, web="proxyjump gate\n", gate="proxyjump gate\n")

    with pytest.raises(InputError, match="ProxyJump gate: more than 8 hosts in a row"):
        parse_target("me@web")


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
