"""Unit, repository and tamper tests start no process and open no socket: trying to is an error.

The conftest.py of each of these folders imports ``isolate``, and no other name of this module.
"""

import os
import socket
import subprocess
from typing import NoReturn

import pytest

from hardpan.ssh import target

_XDG_FOLDERS = ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")


@pytest.fixture(autouse=True)
def isolate(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Forbid processes and sockets, and replace the user's folders and ssh configuration."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("this test may start no process and open no socket")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)
    # 'ssh -G' is a process.
    monkeypatch.setattr(target, "read_ssh_settings", lambda *_: {})
    # Some thousand files are written and none has to survive a power cut.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    for name in _XDG_FOLDERS:
        monkeypatch.setenv(name, str(home / name.lower()))
