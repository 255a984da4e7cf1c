"""Replace the scan of ``hardpan scan``: no connection is opened."""

import contextlib
from collections.abc import Callable, Iterator
from importlib import import_module
from types import SimpleNamespace

import pytest

from hardpan.core.events import Emit
from hardpan.scanners import pipeline
from hardpan.scanners.model.scan import Scan
from hardpan.scanners.scan_request import ScanRequest


def replace_scan(
    monkeypatch: pytest.MonkeyPatch, scan: Callable[[ScanRequest, Emit], Scan]
) -> None:
    """Let ``hardpan scan`` call ``scan`` instead of connecting to its target."""

    @contextlib.contextmanager
    def open_connection(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace()

    monkeypatch.setattr(import_module("hardpan.cli.scan"), "open_connection", open_connection)
    monkeypatch.setattr(pipeline, "scan", lambda request, _connection, emit: scan(request, emit))
    monkeypatch.setattr(pipeline, "let_host_sign", lambda result, *_, **__: result)
