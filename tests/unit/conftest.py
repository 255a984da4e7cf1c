"""Unit tests start no process and open no socket: trying to is an error."""

import os
import socket
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import pytest

from hardpan.profiles import load
from hardpan.profiles.tree import Tree


@pytest.fixture(autouse=True)
def _sealed_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a unit test may start no process and open no socket")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    # Some thousand files are written and none has to survive a power cut.
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="session", autouse=True)
def _profiles_are_parsed_once() -> Iterator[None]:
    parse = lru_cache(maxsize=64)(load.read)

    def read(data: bytes, file: str) -> Tree:
        tree = parse(data, file)
        # The loader takes ``extends`` out of the map that it is given.
        value = dict(tree.value) if isinstance(tree.value, dict) else tree.value
        return Tree(value=value, place=tree.place)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "read", read)
        yield


@pytest.fixture(scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _no_folders_of_the_user(monkeypatch: pytest.MonkeyPatch, _home: Path) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(_home / name.lower()))
