"""What ssh -G prints, as settings."""

from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.ssh.client_settings import (
    ClientSettings,
    build_settings,
    list_known_hosts_files,
    parse_ssh_settings,
)
from hardpan.ssh.tokens import TokenValues

TOKENS = TokenValues(original_host="web", host="10.0.0.1", port=2200, user="me", alias="", jumps="")
DEFAULT = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")


def settings(text: str) -> ClientSettings:
    return build_settings(parse_ssh_settings(text), TOKENS, lambda: DEFAULT)


def known_hosts(text: str) -> list[str]:
    return [str(path) for path in list_known_hosts_files(parse_ssh_settings(text), TOKENS)]


def test_existing_names_with_blanks_are_recognized(tmp_path: Path) -> None:
    first, second = tmp_path / "my hosts", tmp_path / "a  b c"
    first.touch()
    second.touch()

    names = known_hosts(f"userknownhostsfile {first} {second} {tmp_path}/none {tmp_path}/other")

    assert names == [str(first), str(second), f"{tmp_path}/none", f"{tmp_path}/other"]


@pytest.mark.parametrize("names", ["/no such/file /other", "/no such/file ~root/x", "/a ${HOME}/b"])
def test_missing_name_ends_before_the_next_path(names: str) -> None:
    assert len(known_hosts(f"userknownhostsfile {names}")) == 2


def test_none_is_no_file() -> None:
    assert known_hosts("userknownhostsfile none\nglobalknownhostsfile /g") == ["/g"]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("/k/%h-%p-%r-%n", "/k/10.0.0.1-2200-me-web"),
        ("/k/%k%%", "/k/web%"),
        ("~root/key", "/root/key"),
        ("${SSH_KEYS}/key", "/keys/key"),
    ],
)
def test_tokens_of_identity_files_are_expanded(
    monkeypatch: pytest.MonkeyPatch, value: str, path: str
) -> None:
    monkeypatch.setenv("SSH_KEYS", "/keys")

    assert settings(f"identityfile {value}").identity_files == (Path(path),)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("identityfile /k/%y", "unknown token '%y'"),
        ("identityfile ${NO_SUCH_VARIABLE}/k", "the variable NO_SUCH_VARIABLE is not set"),
        ("certificatefile ~no-such-user/k", "no such user: no-such-user"),
        ("knownhostscommand /bin/x 'a", "KnownHostsCommand .*: No closing quotation"),
    ],
)
def test_invalid_value_is_an_input_error(line: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        settings(line)


@pytest.mark.parametrize(
    ("line", "socket"),
    [
        ("", "/run/env"),
        ("identityagent SSH_AUTH_SOCK", "/run/env"),
        ("identityagent none", ""),
        ("identityagent $OTHER_AGENT", "/run/other"),
        ("identityagent /run/%r", "/run/me"),
        ("identityagent $NO_SUCH_VARIABLE", ""),
    ],
)
def test_agent_socket_is_resolved(monkeypatch: pytest.MonkeyPatch, line: str, socket: str) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/env")
    monkeypatch.setenv("OTHER_AGENT", "/run/other")

    assert settings(line).agent_socket == socket


def test_tokens_of_the_host_key_stay_in_a_known_hosts_command() -> None:
    command = settings('knownhostscommand /bin/x "%H %h" 100%% %t').known_hosts_command

    assert command == ("/bin/x", "%H 10.0.0.1", "100%%", "%t")


@pytest.mark.parametrize(
    ("algorithms", "is_chosen"),
    [
        (",".join(DEFAULT), False),
        (",".join([*DEFAULT, "ssh-rsa"]), False),  # +ssh-rsa
        (",".join(DEFAULT[1:]), False),  # -ssh-ed25519
        (",".join(reversed(DEFAULT)), True),
        ("rsa-sha2-256,ssh-ed25519", True),
        ("ssh-ed25519", True),
    ],
)
def test_order_of_host_key_algorithms_is_recognized(algorithms: str, is_chosen: bool) -> None:
    assert settings(f"hostkeyalgorithms {algorithms}").has_host_key_order is is_chosen


@pytest.mark.parametrize(
    ("lines", "methods"),
    [
        ("", ("publickey", "keyboard-interactive", "password")),
        ("pubkeyauthentication false", ("keyboard-interactive", "password")),
        ("preferredauthentications password,gssapi-with-mic,publickey", ("password", "publickey")),
    ],
)
def test_allowed_methods_keep_their_order(lines: str, methods: tuple[str, ...]) -> None:
    assert settings(lines).authentication_methods == methods


def test_option_that_paramiko_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5CCNAME", "FILE:/k")

    result = settings(
        "proxyusefdpass yes\ngssapiauthentication yes\nhostbasedauthentication yes\n"
        "pkcs11provider /lib/token.so\n"
    )

    assert result.unsupported == "ProxyUseFdpass"
    assert [method for method, _ in result.other_methods] == [
        "gssapi-with-mic",
        "hostbased",
        "publickey",
    ]
    assert settings("bindinterface eth7").unsupported == "BindInterface eth7"


@pytest.mark.parametrize(("text", "seconds"), [("none", None), ("0", None), ("7", 7)])
def test_connect_timeout_is_optional(text: str, seconds: int | None) -> None:
    assert settings(f"connecttimeout {text}").connect_timeout_s == seconds
