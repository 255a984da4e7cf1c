"""A mark planted in every text of a ledger's row: a terminal only draws what is printed."""

import contextlib
import sqlite3
from dataclasses import fields, replace
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.errors import Exit
from hardpan.scanners.history import ledger
from hardpan.scanners.history.chain import COLUMNS
from hardpan.scanners.history.store import opened
from tests.tooling.screen import LINES, WORDS, forged_lines, odd_characters, on_terminal
from tests.unit.evidence import samples
from tests.unit.history import books

TEXTS = [f.name for f in fields(samples.HOST) if isinstance(getattr(samples.HOST, f.name), str)]


def commands(path: Path) -> list[list[str]]:
    where = ["--ledger", str(path)]
    return [
        ["ledger", "list", *where],
        ["ledger", "list", "--json", *where],
        ["ledger", "history", samples.HOST_KEY, *where],
        ["ledger", "diff", samples.HOST_KEY, *where],
        ["ledger", "check", samples.HOST_KEY, *where],
        ["ledger", "expiring", "--days", "3650", *where],
        ["ledger", "verify", *where],
        ["ledger", "head", *where],
    ]


def all_shown(path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return "\n".join(
        on_terminal(lambda argv=argv: cli.run(argv), monkeypatch)[1] for argv in commands(path)
    )


@pytest.mark.parametrize("field", TEXTS)
def test_text_of_a_host_in_the_ledger_is_only_drawn(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite"
    host = replace(samples.HOST, **{field: f"{getattr(samples.HOST, field)}{LINES}"})
    books.put(path, books.on_day(1), books.on_day(2, host=host))

    shown = all_shown(path, monkeypatch)

    assert "2026-11-02" in shown
    assert odd_characters(shown) == set()
    assert forged_lines(shown) == []


def test_name_of_a_key_in_the_ledger_is_only_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite"
    with opened(path, write=True) as store:
        ledger.add(store, replace(books.entry(books.on_day(1)), key_id=LINES), books.NOW)

    shown = all_shown(path, monkeypatch)

    assert WORDS in shown
    assert odd_characters(shown) == set()
    assert forged_lines(shown) == []


def test_text_that_was_put_into_a_ledger_behind_its_back_is_only_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = books.three(tmp_path).read_bytes()
    text = LINES.replace("\0", "").replace("'", "''")
    cells = [
        *(f"UPDATE entry SET {column} = '{text}' WHERE seq = 2" for column in COLUMNS[4::2]),
        *(f"UPDATE chain SET {column} = '{text}'" for column in ("id", "name", "created", "salt")),
        f"UPDATE blob SET bytes = '{text}'",
        f"UPDATE blob SET sha256 = '{text}' WHERE rowid = 1",
    ]
    refused = 0
    for n, statement in enumerate(cells):
        path = tmp_path / f"{n}.sqlite"
        path.write_bytes(good)
        with contextlib.suppress(sqlite3.Error):  # the schema refuses some of it
            books.tamper(path, statement)
        code, shown = on_terminal(
            lambda path=path: cli.run(["ledger", "verify", "--ledger", str(path)]), monkeypatch
        )
        refused += code in (Exit.INPUT, Exit.TRUST)
        assert (statement, odd_characters(shown), forged_lines(shown)) == (statement, set(), [])

    assert refused >= 10
