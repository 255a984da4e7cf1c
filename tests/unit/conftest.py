"""Unit tests start no process and open no socket: trying to is an error."""

import os
import socket
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import pytest

from hardpan.core.yaml_source import YamlNode
from hardpan.profiles.loader import profile_file
from hardpan.ssh import target


@pytest.fixture(autouse=True)
def _forbid_processes_and_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a unit test may start no process and open no socket")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)


@pytest.fixture(autouse=True)
def _empty_ssh_config(monkeypatch: pytest.MonkeyPatch) -> None:
    # 'ssh -G' is a process.
    monkeypatch.setattr(target, "read_ssh_settings", lambda *_: {})


@pytest.fixture(autouse=True)
def _skip_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    # Some thousand files are written and none has to survive a power cut.
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="session", autouse=True)
def _cached_profile_parser() -> Iterator[None]:
    parse = lru_cache(maxsize=64)(profile_file.read_yaml)

    def read(data: bytes, file: str) -> YamlNode:
        tree = parse(data, file)
        # The loader takes ``extends`` out of the map that it is given.
        value = dict(tree.value) if isinstance(tree.value, dict) else tree.value
        return YamlNode(value=value, location=tree.location)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile_file, "read_yaml", read)
        yield


@pytest.fixture(scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _temporary_xdg_folders(monkeypatch: pytest.MonkeyPatch, _home: Path) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(_home / name.lower()))
