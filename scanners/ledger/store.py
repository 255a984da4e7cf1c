"""The ledger's SQLite file: the only importer of ``sqlite3``.

The file may be anyone's, and so may what is next to it: ``database_file`` examines both before
SQLite opens the file. Before a row is read, its header, application id, version
and whole schema are those that hardpan writes, so no foreign view, trigger or
expression ever runs; then every chain is verified. All results come from the
verified rows, never from a second read of the file; blobs are checked against
their digests when they are read.

One file and a rollback journal, not WAL: the ledger is copied and moved as one
file, is stored on network shares and read-only media, and has few writers.
"""

import functools
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path

from hardpan.core.errors import InputError, ResourceError, ToolError, TrustError
from hardpan.core.files import sha256_bytes
from hardpan.core.resources import resource_path
from hardpan.scanners.ledger import database_file
from hardpan.scanners.ledger.chain import (
    COLUMNS,
    ChainHeader,
    LedgerChain,
    LedgerRow,
    is_chain_name,
    parse_chain_header,
    require_chain_name,
    verify_rows,
)

_SCHEMA_FILE = resource_path("hardpan.scanners.ledger", "schema.sql")
_MAX_VALUE_BYTES = 32 << 20
_MAX_CHAINS = 1000
_MAX_SCHEMA_STEPS = 100_000
"""Instructions of SQLite's virtual machine for one statement; the schema takes some hundred."""

_LOCK_TIMEOUT_S = 60.0
_MIN_SQLITE_VERSION = (3, 37, 0)  # the first with STRICT tables; trusted_schema came with 3.31
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: _MAX_VALUE_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1 << 16,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 50,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 2,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 4,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_PRAGMAS = (
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "mmap_size = 0",
    "foreign_keys = ON",
    "recursive_triggers = ON",  # or REPLACE would delete without asking the triggers
    "synchronous = EXTRA",
    "temp_store = MEMORY",  # a reader makes no file
)


class LedgerStore:
    """An open ledger inside one transaction, with verified chains."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self.path = path
        self.chains: dict[str, LedgerChain] = _load_verified_chains(db, path)

    def create_chain(self, name: str, header: ChainHeader) -> LedgerChain:
        """A new chain without rows.

        Raises:
            InputError: the name is taken.
        """
        if require_chain_name(name) in self.chains:
            raise InputError(f"a chain {name!r} is there already", hint="choose another name")
        values = (header.id, name, header.created, header.salt)
        self._db.execute("INSERT INTO chain (id, name, created, salt) VALUES (?, ?, ?, ?)", values)
        self.chains[name] = LedgerChain(name=name, header=header, rows=())
        return self.chains[name]

    def append_row(
        self, chain: LedgerChain, row: LedgerRow, blobs: tuple[bytes, ...]
    ) -> LedgerChain:
        """``chain`` with one more row, whose blobs are stored first."""
        for data in blobs:
            self._db.execute(
                "INSERT INTO blob (sha256, bytes) VALUES (?, ?)", (sha256_bytes(data), data)
            )
        values = row.model_dump()
        self._db.execute(_INSERT, [values[c] for c in COLUMNS])
        extended = LedgerChain(name=chain.name, header=chain.header, rows=(*chain.rows, row))
        self.chains[chain.name] = extended
        return extended

    def read_blob(self, sha256: str, *, label: str) -> bytes:
        """The bytes with this digest.

        Raises:
            TrustError: they are missing or are others.
        """
        row = self._db.execute("SELECT bytes FROM blob WHERE sha256 = ?", (sha256,)).fetchone()
        if row is None:
            raise TrustError(f"{label}: is missing")
        data = row[0]
        if not isinstance(data, bytes) or sha256_bytes(data) != sha256:
            raise TrustError(f"{label}: was changed: its digest does not match")
        return data

    def check_integrity(self) -> None:
        """Pass if SQLite finds the file whole, indexes included.

        Raises:
            TrustError: the first thing that is not.
        """
        (result,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
        if result != "ok":
            raise TrustError(f"{self.path}: damaged: {str(result)[:200]!a}")

    def list_blob_digests(self) -> frozenset[str]:
        """The digests under which blobs lie."""
        return frozenset(str(d) for (d,) in self._db.execute("SELECT sha256 FROM blob"))


_INSERT = (
    f"INSERT INTO entry ({', '.join(COLUMNS)}) "  # noqa: S608 - our own column names
    f"VALUES ({', '.join('?' * len(COLUMNS))})"
)
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM entry ORDER BY chain, seq"  # noqa: S608


@contextmanager
def open_ledger(path: Path, *, write: bool = False) -> Iterator[LedgerStore]:
    """The ledger in ``path``, verified; ``write`` makes it where there is none.

    One transaction: what the block appends is there whole, or not at all when it
    raises. A writer keeps every other one waiting until it is done.

    Raises:
        InputError: there is no ledger, or it is not one of this version.
        TrustError: it is damaged, was changed, or is not in the one form that is written.
        ResourceError: it is locked by another process, or the disk is full.
    """
    if sqlite3.sqlite_version_info < _MIN_SQLITE_VERSION:
        raise ToolError(
            ["sqlite"], f"is version {sqlite3.sqlite_version}, the ledger needs 3.37 or newer"
        )
    file = database_file.resolve_path(path, write=write)
    with (
        _translate_errors(path),
        _open_for_writing(file) if write else _open_for_reading(file) as db,
    ):
        try:
            yield LedgerStore(db, path)
        except BaseException:
            if db.in_transaction:  # SQLite ends it by itself when the disk is full
                db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


@contextmanager
def _open_for_reading(file: Path) -> Iterator[sqlite3.Connection]:
    """The ledger in a transaction that reads. Nothing is changed, whatever is in the folder."""
    database_file.check_for_reader(file)
    with closing(_connect(file, mode="ro")) as db:
        _configure(db, file, write=False)
        db.execute("BEGIN")
        _check_schema(db, file)
        _check_mode(db, file)
        db.set_progress_handler(None, 0)
        yield db


@contextmanager
def _open_for_writing(file: Path) -> Iterator[sqlite3.Connection]:
    """Open the ledger in a write transaction; create its tables if the file is empty.

    SQLite takes its SHARED lock while this process has RESERVED, so that it rolls back no journal.
    Then SQLite takes RESERVED itself. If another writer takes it first, all steps are repeated.
    """
    deadline_s = time.monotonic() + _LOCK_TIMEOUT_S
    with database_file.open_file(file, os.O_RDWR) as descriptor:
        while True:
            is_empty = database_file.acquire_reserved_lock(file, descriptor, deadline_s)
            descriptor_count = database_file.count_descriptors(descriptor)
            with closing(_connect(file, mode="rw")) as db:
                if database_file.count_descriptors(descriptor) == descriptor_count:
                    raise TrustError(f"{file}: was replaced while it was opened")
                _configure(db, file, write=True)
                db.execute("BEGIN")
                if is_empty:
                    db.execute("SELECT 1 FROM sqlite_master").fetchone()
                else:
                    _check_schema(db, file)
                _check_mode(db, file)
                db.set_progress_handler(None, 0)
                database_file.release_reserved_lock(descriptor)
                if _begin_write(db, is_empty=is_empty):
                    yield db
                    return
            if time.monotonic() > deadline_s:
                raise ResourceError(f"{file}: is locked by another process")


def _begin_write(db: sqlite3.Connection, *, is_empty: bool) -> bool:
    """Take SQLite's RESERVED lock; False where another writer has it."""
    try:
        if is_empty:
            _create(db)
        else:
            db.execute("DELETE FROM chain WHERE FALSE")
    except sqlite3.OperationalError as e:
        if e.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _connect(file: Path, *, mode: str) -> sqlite3.Connection:
    """The open ``file``. SQLite looks next to it with the first statement, not before."""
    uri = f"{file.as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_LOCK_TIMEOUT_S)


def _configure(db: sqlite3.Connection, path: Path, *, write: bool) -> None:
    for limit, value in _LIMITS.items():
        db.setlimit(limit, value)
    # Until the schema is compared: a page may be the child of many others, so that a small file can
    # have a schema without end, and SQLite reads all of it for the first statement.
    db.set_progress_handler(lambda: True, _MAX_SCHEMA_STEPS)
    for pragma in (*_PRAGMAS, f"query_only = {'OFF' if write else 'ON'}"):
        try:
            db.execute(f"PRAGMA {pragma}")
        except UnicodeDecodeError as e:  # SQLite's message quotes the schema, byte for byte
            raise TrustError(f"{path}: damaged, or not a ledger: its schema is not UTF-8") from e


def _create(db: sqlite3.Connection) -> None:
    for statement in _split_statements():
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {database_file.APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {database_file.SCHEMA_VERSION}")


def _check_mode(db: sqlite3.Connection, path: Path) -> None:
    """Pass if SQLite takes no pages from a ``-wal`` that came after the file was examined."""
    (mode,) = db.execute("PRAGMA journal_mode").fetchone()
    if mode != "delete":
        raise TrustError(f"{path}: expected journal mode 'delete', got {mode!a}")


def _check_schema(db: sqlite3.Connection, path: Path) -> None:
    expected = _expected_schema()
    present = set()
    for row in db.execute(f"{_SELECT_SCHEMA} LIMIT {len(expected) + 1}"):
        if row not in expected:
            raise TrustError(f"{path}: holds {str(row[1])[:60]!a}, which no ledger has as it is")
        present.add(row)
    missing = sorted(str(name) for _, name, _, _ in expected - present)
    if missing:
        raise TrustError(f"{path}: {missing[0]!r} is missing from its schema")


_SELECT_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master"


@functools.cache
def _expected_schema() -> frozenset[tuple[object, ...]]:
    """What ``sqlite_master`` holds in a ledger, by this SQLite."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        for statement in _split_statements():
            db.execute(statement)
        return frozenset(db.execute(_SELECT_SCHEMA))


def _split_statements() -> Iterator[str]:
    text = ""
    for line in _SCHEMA_FILE.read_text("utf-8").splitlines():
        text = f"{text}\n{line}".lstrip("\n")
        if sqlite3.complete_statement(text):
            yield text.removesuffix(";")
            text = ""


def _load_verified_chains(db: sqlite3.Connection, path: Path) -> dict[str, LedgerChain]:
    chain_by_id: dict[str, tuple[str, ChainHeader]] = {}
    for id_, name, created, salt in db.execute("SELECT id, name, created, salt FROM chain"):
        label = f"{path}: chain {str(name)[:64]!a}"
        header = parse_chain_header({"id": id_, "created": created, "salt": salt}, label=label)
        if not isinstance(name, str) or not is_chain_name(name):
            raise TrustError(f"{label}: not a chain's name")
        if header.id in chain_by_id or name in (n for n, _ in chain_by_id.values()):
            raise TrustError(f"{label}: is there twice")
        chain_by_id[header.id] = (name, header)
        if len(chain_by_id) > _MAX_CHAINS:
            raise TrustError(f"{path}: more than {_MAX_CHAINS} chains")
    rows: dict[str, tuple[LedgerRow, ...]] = {}
    for id_, group in groupby(_read_rows(db), key=lambda values: values["chain"]):
        if not isinstance(id_, str) or id_ not in chain_by_id or id_ in rows:
            raise TrustError(f"{path}: rows of a chain that is not in the ledger")
        name, header = chain_by_id[id_]
        rows[id_] = verify_rows(header, group, label=f"{path}: chain {name!r}")
    return {
        name: LedgerChain(name=name, header=header, rows=rows.get(header.id, ()))
        for name, header in chain_by_id.values()
    }


def _read_rows(db: sqlite3.Connection) -> Iterator[Mapping[str, object]]:
    for values in db.execute(_SELECT):
        yield dict(zip(COLUMNS, values, strict=True))


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as e:
        code = getattr(e, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if getattr(e, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_ROLLBACK:
            raise InputError(
                f"{path}: a killed writer left it half-written, with a journal next to it",
                hint="'hardpan ledger add' rolls it back and goes on, with the same evidence or "
                "other; where you may not write, copy the ledger and its journal together",
            ) from e
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise ResourceError(
                f"{path}: has been locked by another process for over {_LOCK_TIMEOUT_S:.0f} s"
            ) from e
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise ResourceError(f"{path}: {e}") from e
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            raise InputError(f"{path}: cannot be opened or written: {e}") from e
        raise TrustError(f"{path}: damaged, or not a ledger: {str(e)[:200]!a}") from e
