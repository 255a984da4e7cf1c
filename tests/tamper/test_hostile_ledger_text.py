"""A mark planted in every text of a ledger's row: a terminal only draws what is printed."""

import contextlib
import sqlite3
from dataclasses import fields, replace
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.core import clock
from hardpan.core.errors import Exit
from hardpan.scanners.ledger import entries
from hardpan.scanners.ledger.chain import COLUMNS
from hardpan.scanners.ledger.store import open_ledger
from tests.tools.terminal_capture import (
    HOSTILE_LINES,
    PLANTED_TEXT,
    find_control_characters,
    find_forged_lines,
    run_on_terminal,
)
from tests.unit.evidence import samples
from tests.unit.ledger import fixtures


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: fixtures.NOW)


TEXTS = [f.name for f in fields(samples.HOST) if isinstance(getattr(samples.HOST, f.name), str)]


def ledger_commands(path: Path) -> list[list[str]]:
    ledger_option = ["--ledger", str(path)]
    return [
        ["ledger", "list", *ledger_option],
        ["ledger", "list", "--json", *ledger_option],
        ["ledger", "history", samples.HOST_KEY, *ledger_option],
        ["ledger", "diff", samples.HOST_KEY, *ledger_option],
        ["ledger", "check", samples.HOST_KEY, *ledger_option],
        ["ledger", "expiring", "--days", "3650", *ledger_option],
        ["ledger", "verify", *ledger_option],
        ["ledger", "checkpoint", *ledger_option],
    ]


def run_all_commands(path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return "\n".join(
        run_on_terminal(lambda argv=argv: cli.run(argv), monkeypatch)[1]
        for argv in ledger_commands(path)
    )


@pytest.mark.parametrize("field", TEXTS)
def test_hostile_host_text_is_sanitized(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite"
    host = replace(samples.HOST, **{field: f"{getattr(samples.HOST, field)}{HOSTILE_LINES}"})
    fixtures.add_scans(path, fixtures.scan_on_day(1), fixtures.scan_on_day(2, host=host))

    output = run_all_commands(path, monkeypatch)

    assert "2026-11-02" in output
    assert find_control_characters(output) == set()
    assert find_forged_lines(output) == []


def test_hostile_key_name_is_sanitized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path, write=True) as store:
        entries.add_scan(
            store,
            replace(fixtures.verified_scan(fixtures.scan_on_day(1)), key_id=HOSTILE_LINES),
            fixtures.NOW,
        )

    output = run_all_commands(path, monkeypatch)

    assert PLANTED_TEXT in output
    assert find_control_characters(output) == set()
    assert find_forged_lines(output) == []


def test_text_in_tampered_ledger_is_sanitized(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = fixtures.create_ledger(tmp_path).read_bytes()
    text = HOSTILE_LINES.replace("\0", "").replace("'", "''")
    cells = [
        *(f"UPDATE entry SET {column} = '{text}' WHERE seq = 2" for column in COLUMNS[4::2]),
        *(f"UPDATE chain SET {column} = '{text}'" for column in ("id", "name", "created", "salt")),
        f"UPDATE blob SET bytes = '{text}'",
        f"UPDATE blob SET sha256 = '{text}' WHERE rowid = 1",
    ]
    refused = 0
    for n, statement in enumerate(cells):
        path = tmp_path / f"{n}.sqlite"
        path.write_bytes(original)
        with contextlib.suppress(sqlite3.Error):  # the schema refuses some of it
            fixtures.tamper(path, statement)
        code, output = run_on_terminal(
            lambda path=path: cli.run(["ledger", "verify", "--ledger", str(path)]), monkeypatch
        )
        refused += code in (Exit.INPUT, Exit.TRUST)
        assert (statement, find_control_characters(output), find_forged_lines(output)) == (
            statement,
            set(),
            [],
        )

    assert refused >= 10
