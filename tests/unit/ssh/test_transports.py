"""The choice of a transport."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from hardpan.core.errors import InputError, TrustError
from hardpan.core.events import Event, StageMessage
from hardpan.ssh import transports
from hardpan.ssh.local_target import LocalTarget
from hardpan.ssh.target import Target
from hardpan.ssh.transport_kind import TransportKind
from hardpan.ssh.transports import open_connection
from hardpan.ssh.unsupported import UnsupportedByParamiko

TARGET = Target(host="h", user="admin")
LOCAL = LocalTarget(user="root", home=Path("/"), host_key_folder=Path("/nonexistent"))


@pytest.fixture
def reasons(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reasons with which the system's ssh was started; paramiko lacks security keys."""
    collected: list[str] = []

    @contextlib.contextmanager
    def connect(target: Target, **_: object) -> Iterator[NoReturn]:
        raise UnsupportedByParamiko(target, "a security key")
        yield

    @contextlib.contextmanager
    def connect_openssh(target: Target, *, reason: str, **_: object) -> Iterator[str]:
        collected.append(reason)
        yield "openssh"

    monkeypatch.setattr(transports, "connect", connect)
    monkeypatch.setattr(transports, "connect_openssh", connect_openssh)
    monkeypatch.setattr(transports, "find_program", lambda _: Path("/usr/bin/ssh"))
    return collected


def _open(**options: Any) -> Any:
    with open_connection(TARGET, timeout_s=1, **options) as connection:
        return connection


def test_auto_falls_back_to_ssh_and_names_the_reason(reasons: list[str]) -> None:
    events: list[Event] = []

    assert _open(emit=events.append) == "openssh"
    assert reasons == ["paramiko cannot open this connection: it needs a security key"]
    assert events == [StageMessage(stage="connect", text=f"{reasons[0]}; the system's ssh is used")]


def test_forced_paramiko_does_not_fall_back(reasons: list[str]) -> None:
    with pytest.raises(UnsupportedByParamiko, match="it needs a security key"):
        _open(transport=TransportKind.PARAMIKO)
    assert reasons == []


def test_missing_ssh_leaves_the_error_of_paramiko(
    reasons: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "find_program", lambda _: None)

    with pytest.raises(UnsupportedByParamiko):
        _open()
    assert reasons == []


def test_forced_ssh_is_recorded(reasons: list[str]) -> None:
    assert _open(transport=TransportKind.OPENSSH) == "openssh"
    assert reasons == ["--transport openssh"]


def test_other_errors_of_paramiko_do_not_fall_back(
    reasons: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def connect(target: Target, **_: object) -> Iterator[NoReturn]:
        raise TrustError(f"{target}: unknown host key")
        yield

    monkeypatch.setattr(transports, "connect", connect)
    with pytest.raises(TrustError):
        _open()
    assert reasons == []


def test_error_inside_the_block_does_not_fall_back(
    reasons: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def connect(_: Target, **__: object) -> Iterator[str]:
        yield "paramiko"

    monkeypatch.setattr(transports, "connect", connect)
    with pytest.raises(UnsupportedByParamiko), open_connection(TARGET, timeout_s=1):
        raise UnsupportedByParamiko(TARGET, "something later")
    assert reasons == []


def test_local_target_takes_no_ssh_transport() -> None:
    with (
        pytest.raises(InputError, match="local: transport openssh: expected auto"),
        open_connection(LOCAL, timeout_s=1, transport=TransportKind.OPENSSH),
    ):
        pass
    with open_connection(LOCAL, timeout_s=1) as connection:
        assert connection.transport.kind is TransportKind.LOCAL
        assert (connection.host_key.kind, connection.host_key.fingerprint) == ("", "")
