"""Unit tests start no process and open no socket: trying to is an error."""

import socket
import subprocess
from typing import NoReturn

import pytest


@pytest.fixture(autouse=True)
def _sealed_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a unit test may start no process and open no socket")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)
