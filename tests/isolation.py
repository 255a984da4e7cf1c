"""Fixtures of the tests without processes and sockets: unit, repository and tamper tests."""

import os
import socket
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from hardpan.ssh import target


@pytest.fixture(autouse=True)
def forbid_processes_and_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("this test may start no process and open no socket")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)


@pytest.fixture(autouse=True)
def empty_ssh_config(monkeypatch: pytest.MonkeyPatch) -> None:
    # 'ssh -G' is a process.
    monkeypatch.setattr(target, "read_ssh_settings", lambda *_: {})


@pytest.fixture(autouse=True)
def skip_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    # Some thousand files are written and none has to survive a power cut.
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="session")
def home_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def temporary_xdg_folders(monkeypatch: pytest.MonkeyPatch, home_folder: Path) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home_folder / name.lower()))
