"""The ledger's file: what is refused of it, and that nothing in it can be changed."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hardpan.core.errors import HardpanError, InputError, TrustError
from hardpan.core.files import canonical_json, sha256_bytes
from hardpan.scanners.ledger import entries
from hardpan.scanners.ledger import store as store_module
from hardpan.scanners.ledger.chain import (
    COLUMNS,
    HASHED_COLUMNS,
    LedgerRow,
    compute_row_hash,
    parse_checkpoint,
    verify_checkpoint,
)
from hardpan.scanners.ledger.entries import load_snapshot
from hardpan.scanners.ledger.store import open_ledger
from tests.unit.ledger.fixtures import (
    NOW,
    add_scans,
    create_ledger,
    scan_on_day,
    tamper,
    verified_scan,
)


def _open_error(path: Path) -> str:
    with pytest.raises(TrustError) as caught, open_ledger(path):
        pass
    return str(caught.value)


def test_row_hash_is_digest_of_canonical_json(tmp_path: Path) -> None:
    with open_ledger(create_ledger(tmp_path)) as store:
        row = store.chains["local"].rows[1]
    values = row.model_dump()

    assert row.hash == sha256_bytes(canonical_json({c: values[c] for c in HASHED_COLUMNS}))
    assert set(COLUMNS) - set(HASHED_COLUMNS) == {"hash"}


def test_table_columns_match_row_model(tmp_path: Path) -> None:
    with closing(sqlite3.connect(create_ledger(tmp_path))) as db:
        columns = tuple(r[1] for r in db.execute("PRAGMA table_info(entry)"))

    assert columns == COLUMNS


_OTHER = {
    "seq": "7",
    "verdict": "'thresholds exceeded'",
    "score": "'99.99'",
    "evidence_sha256": "'ab'",
}


@pytest.mark.parametrize("column", [c for c in COLUMNS if c != "chain"])
def test_changed_column_is_detected(tmp_path: Path, column: str) -> None:
    path = create_ledger(tmp_path)
    other = _OTHER.get(column)
    if other is None and column in ("added", "started", "finished"):
        other = "'2020-01-01T00:00:00Z'"
    elif other is None and column not in ("counts", "hostname", "key_id", "content"):
        other = "'" + "e" * 64 + "'"
    tamper(path, f"UPDATE entry SET {column} = {other or repr('other')} WHERE seq = 2")

    assert "row 2" in _open_error(path)


# Rows are read in the order of their chains: the foreign chain sorts first, or last.
@pytest.mark.parametrize(
    ("digit", "problem"),
    [("0", "rows of a chain that is not in the ledger"), ("f", "row 2: is miss")],
)
def test_row_moved_to_other_chain_is_detected(tmp_path: Path, digit: str, problem: str) -> None:
    path = create_ledger(tmp_path)
    tamper(path, f"UPDATE entry SET chain = '{digit * 64}' WHERE seq = 2")

    assert problem in _open_error(path)


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["DELETE FROM entry WHERE seq = 2"], "row 2: is missing or out of order, got 3"),
        (["DELETE FROM entry WHERE seq = 1"], "row 1: is missing or out of order, got 2"),
        (
            [
                "DELETE FROM entry WHERE seq = 2",
                "UPDATE entry SET seq = 2 WHERE seq = 3",
            ],
            "row 2: does not follow the row before it",
        ),
        (
            [
                "UPDATE entry SET seq = 9 WHERE seq = 2",
                "UPDATE entry SET seq = 2 WHERE seq = 3",
                "UPDATE entry SET seq = 3 WHERE seq = 9",
            ],
            "row 2: does not follow the row before it",
        ),
        (["DELETE FROM chain"], "rows of a chain that is not in the ledger"),
        (["UPDATE chain SET created = '2020-01-01T00:00:00Z'"], "not the digest of the chain's"),
        (["UPDATE chain SET name = 'No Name'"], "not a chain's name"),
    ],
)
def test_removed_or_reordered_rows_are_detected(
    tmp_path: Path, statements: list[str], problem: str
) -> None:
    path = create_ledger(tmp_path)
    tamper(path, *statements)

    assert problem in _open_error(path)


@pytest.mark.parametrize("table", ["chain", "blob", "entry"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = 'x'", "DELETE FROM {}"])
def test_triggers_refuse_update_and_delete(tmp_path: Path, table: str, statement: str) -> None:
    column = {"chain": "name", "blob": "sha256", "entry": "hash"}[table]
    with (
        closing(sqlite3.connect(create_ledger(tmp_path))) as db,
        pytest.raises(sqlite3.IntegrityError, match="the ledger is append-only"),
    ):
        db.execute(statement.format(table, column))


def test_triggers_refuse_replace(tmp_path: Path) -> None:
    with closing(sqlite3.connect(create_ledger(tmp_path))) as db:
        columns = ", ".join(COLUMNS)
        with pytest.raises(sqlite3.IntegrityError, match="not the next row of its chain"):
            db.execute(f"REPLACE INTO entry ({columns}) SELECT {columns} FROM entry WHERE seq = 2")
        db.execute("REPLACE INTO blob SELECT sha256, x'00' FROM blob")
        assert db.execute("SELECT count(*) FROM blob WHERE bytes = x'00'").fetchone() == (0,)


_FOREVER = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n)"


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DROP TRIGGER entry_no_update", "'entry_no_update' is missing from its schema"),
        (
            f"CREATE VIEW v AS {_FOREVER} SELECT x FROM n",
            "holds 'v', which no ledger has",
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM chain; END",
            "holds 't', which no ledger has",
        ),
        ("CREATE TABLE more (x)", "holds 'more', which no ledger has"),
        ("ALTER TABLE entry ADD COLUMN more TEXT", "holds 'entry', which no ledger has as it is"),
    ],
)
def test_foreign_schema_is_refused(tmp_path: Path, statement: str, problem: str) -> None:
    path = create_ledger(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)

    assert problem in _open_error(path)


def test_view_instead_of_table_is_never_queried(tmp_path: Path) -> None:
    path = create_ledger(tmp_path)
    tamper(
        path,
        "DROP TABLE entry",
        f"CREATE VIEW entry AS {_FOREVER} SELECT x AS chain, x AS seq FROM n",
        triggers=True,
    )

    assert "holds 'entry', which no ledger has as it is" in _open_error(path)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ("seq = 2.5", "row 2: seq"),
        ("hostname = x'ff'", "damaged"),
        ("score = 61", "row 2: score"),
        ("hostname = 7", "row 2: hostname"),
        ("counts = printf('%05000d', 1)", "row 2: counts"),
        ("hash = NULL", "row 2"),
    ],
)
def test_wrong_column_types_are_refused(tmp_path: Path, values: str, problem: str) -> None:
    path = create_ledger(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        schema_rows = db.execute(
            "SELECT name, type, sql FROM sqlite_master WHERE sql NOTNULL"
        ).fetchall()
        # The table without STRICT and NOT NULL, filled, then named by the schema that we expect.
        for name, kind, _ in schema_rows:
            if kind == "trigger":
                db.execute(f"DROP TRIGGER {name}")
        sql = next(s for n, k, s in schema_rows if n == "entry")
        db.execute("PRAGMA writable_schema = ON")
        relaxed_sql = sql.replace("STRICT, ", "").replace(" NOT NULL", "").replace(" TEXT", "")
        relaxed_sql = relaxed_sql.replace(" INTEGER", "")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'entry'", (relaxed_sql,))
        db.commit()
    with closing(sqlite3.connect(path)) as db:
        value = values.replace("x'ff'", "CAST(x'ff' AS TEXT)")
        db.execute(f"UPDATE entry SET {value} WHERE seq = 2")
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'entry'", (sql,))
        for _, kind, trigger in schema_rows:
            if kind == "trigger":
                db.execute(trigger)
        db.commit()

    assert problem in _open_error(path)


@pytest.mark.parametrize(
    ("column", "change", "problem"),
    [
        ("record_sha256", "x'00'", "was changed: its digest does not match"),
        ("record_sha256", "zeroblob(40000000)", "damaged"),
        ("record_sha256", None, "is missing"),
    ],
)
def test_changed_blob_is_detected_on_read(
    tmp_path: Path, column: str, change: str | None, problem: str
) -> None:
    path = create_ledger(tmp_path)
    condition = f"sha256 = (SELECT {column} FROM entry WHERE seq = 2)"
    tamper(
        path,
        f"DELETE FROM blob WHERE {condition}"
        if change is None
        else f"UPDATE blob SET bytes = {change} WHERE {condition}",
    )

    with pytest.raises(TrustError, match=problem), open_ledger(path) as store:
        load_snapshot(store, store.chains["local"].rows[1])


def _overwrite(path: Path, offset: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("offset", "data", "error", "problem"),
    [
        (0, b"PK\3\4", InputError, "not a ledger of hardpan"),
        (68, b"\0\0\0\0", InputError, "not a ledger of hardpan"),
        (60, b"\0\0\0\2", InputError, "expected a ledger of version 1, got 2"),
        (18, b"\2\2", TrustError, "is in WAL mode"),
        (16, b"\0\3", TrustError, "damaged, or not a ledger"),
        (100, b"\xff" * 400, TrustError, "damaged, or not a ledger"),
    ],
)
def test_foreign_header_is_refused(
    tmp_path: Path, offset: int, data: bytes, error: type[HardpanError], problem: str
) -> None:
    path = create_ledger(tmp_path)
    _overwrite(path, offset, data)

    with pytest.raises(error, match=problem), open_ledger(path):
        pass


def test_flipped_bytes_never_crash_the_reader(tmp_path: Path) -> None:
    original = create_ledger(tmp_path).read_bytes()
    path = tmp_path / "bad.sqlite"
    refused = 0
    for offset in range(0, len(original), 499):
        path.write_bytes(
            original[:offset] + bytes([original[offset] ^ 0x55]) + original[offset + 1 :]
        )
        try:
            with open_ledger(path) as store:
                store.check_integrity()
                for chain in store.chains.values():
                    for row in chain.rows:
                        load_snapshot(store, row)
        except (InputError, TrustError):
            refused += 1
    for length in range(0, len(original), 4099):
        path.write_bytes(original[:length])
        with pytest.raises((InputError, TrustError)), open_ledger(path) as store:
            store.check_integrity()

    assert refused > 10


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda p: None, "cannot be read: No such file"),
        (lambda p: p.mkdir(), "not a file"),
        (lambda p: p.touch(), "is empty: nothing was added to it yet"),
        (os.mkfifo, "not a file"),
        (lambda p: p.write_text("SQLite format 3\0"), "not a ledger of hardpan"),
        (lambda p: sqlite3.connect(p).execute("CREATE TABLE t (x)"), "not a ledger of hardpan"),
    ],
)
def test_non_ledger_is_input_error(tmp_path: Path, make: object, problem: str) -> None:
    path = tmp_path / "x.sqlite"
    make(path)  # type: ignore[operator]

    with pytest.raises(InputError, match=problem), open_ledger(path):
        pass


def test_old_sqlite_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))

    with pytest.raises(HardpanError, match=r"the ledger needs 3\.37 or newer"):
        create_ledger(tmp_path)


def test_failed_transaction_leaves_no_changes(tmp_path: Path) -> None:
    path = create_ledger(tmp_path)
    before = path.read_bytes()

    def add_and_fail() -> None:
        with open_ledger(path, write=True) as store:
            entries.add_scan(store, verified_scan(scan_on_day(4)), NOW)
            raise KeyError

    with pytest.raises(KeyError):
        add_and_fail()
    with open_ledger(path) as store:
        assert len(store.chains["local"].rows) == 3
    assert path.read_bytes() == before


def test_second_writer_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = create_ledger(tmp_path)
    monkeypatch.setattr(store_module, "_LOCK_TIMEOUT_S", 0.01)

    with (
        open_ledger(path, write=True),
        pytest.raises(HardpanError, match="locked by another process"),
    ):
        add_scans(path, scan_on_day(4))


def test_ledger_file_is_private_and_alone(tmp_path: Path) -> None:
    path = create_ledger(tmp_path / "deep" / "er")

    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["ledger.sqlite"]


@pytest.mark.parametrize(
    ("count", "removed_rows", "problem"),
    [
        (3, 0, None),
        (2, 0, None),
        (0, 0, None),
        (3, 1, "expected at least 3 rows, got 2: the ledger was truncated"),
        (2, 2, "expected at least 2 rows, got 1"),
        (1, 2, None),
    ],
)
def test_checkpoint_detects_truncated_chain(
    tmp_path: Path, count: int, removed_rows: int, problem: str | None
) -> None:
    path = create_ledger(tmp_path)
    with open_ledger(path) as store:
        chain = store.chains["local"]
    checkpoint_hash = chain.rows[count - 1].hash if count else chain.header.id
    tamper(path, f"DELETE FROM entry WHERE seq > {3 - removed_rows}")

    with open_ledger(path) as store:
        assert len(store.chains["local"].rows) == 3 - removed_rows  # nothing shows without it
        if problem is None:
            verify_checkpoint(parse_checkpoint(f"{count}:{checkpoint_hash}"), store.chains["local"])
        else:
            with pytest.raises(TrustError, match=problem):
                verify_checkpoint(
                    parse_checkpoint(f"local={count}:{checkpoint_hash}"), store.chains["local"]
                )


def test_checkpoint_detects_recreated_chain(tmp_path: Path) -> None:
    path = create_ledger(tmp_path)
    with open_ledger(path) as store:
        checkpoint = store.chains["local"].checkpoint
    path.unlink()
    add_scans(path, scan_on_day(1), scan_on_day(2), scan_on_day(3))

    with (
        open_ledger(path) as store,
        pytest.raises(TrustError, match="row 3: does not match the checkpoint"),
    ):
        verify_checkpoint(parse_checkpoint(checkpoint), store.chains["local"])
    with pytest.raises(TrustError, match="chain 'local': is not in the ledger"):
        verify_checkpoint(parse_checkpoint(checkpoint), None)


@pytest.mark.parametrize(
    "text", ["", "3", "3:abc", "x:" + "0" * 64, "-1:" + "0" * 64, "٣:" + "0" * 64]
)
def test_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a checkpoint"):
        parse_checkpoint(text)


def test_row_with_recomputed_hash_breaks_chain(tmp_path: Path) -> None:
    path = create_ledger(tmp_path)
    with open_ledger(path) as store:
        row = store.chains["local"].rows[1]
    forged = {**row.model_dump(), "score": "99.99"}
    tamper(
        path,
        f"UPDATE entry SET score = '99.99', hash = '{compute_row_hash(forged)}' WHERE seq = 2",
    )

    assert "row 3: does not follow the row before it" in _open_error(path)
    assert LedgerRow.model_validate({**forged, "hash": compute_row_hash(forged)}).score == "99.99"
