"""Store documents, their chunks and the chunks' vectors in one SQLite file."""

import contextlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

MAX_DOCUMENTS = 10_000
MAX_CHUNKS = 200_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, owner TEXT NOT NULL,
    added INTEGER NOT NULL, size INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS chunks (
    id INTEGER PRIMARY KEY, document TEXT NOT NULL REFERENCES documents ON DELETE CASCADE,
    text TEXT NOT NULL, vector BLOB
) STRICT;
CREATE INDEX IF NOT EXISTS chunks_by_document ON chunks (document);
CREATE INDEX IF NOT EXISTS chunks_unembedded ON chunks (id) WHERE vector IS NULL;
CREATE INDEX IF NOT EXISTS chunks_unembedded_of ON chunks (document) WHERE vector IS NULL;
"""
# Counted through indexes: rows with vectors are hundreds of MiB.
_LIST_QUERY = """
SELECT id, title, owner, added, size,
    (SELECT count(*) FROM chunks WHERE document = d.id),
    (SELECT count(*) FROM chunks WHERE document = d.id AND vector IS NULL)
FROM documents d ORDER BY added DESC, id
"""


class CapacityError(Exception):
    """A quota or limit is exhausted; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserQuota:
    """Limits per user."""

    documents: int
    text_bytes: int
    chunks: int
    """Each vector takes 1.5 KiB of memory."""


@dataclass(frozen=True, slots=True)
class AddedDocument:
    """A new document and the chunks of the document it replaced."""

    document_id: str
    replaced_chunks: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """Metadata of a stored document."""

    id: str
    title: str
    owner: str
    added: int
    """Seconds since 1970."""

    size: int
    """Bytes of its text."""

    chunks: int
    embedded: int
    """Chunks that have a vector and can be found."""

    def to_json(self) -> dict[str, object]:
        """Return the JSON representation."""
        return asdict(self)


class DocumentStore:
    """Document store on one SQLite connection, used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # secure_delete overwrites deleted documents.
        for setting in ("journal_mode = WAL", "foreign_keys = ON", "secure_delete = ON"):
            self._db.execute(f"PRAGMA {setting}")
        self._db.executescript(_SCHEMA)

    @contextlib.contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def add(
        self, title: str, owner: str, size_bytes: int, chunks: list[str], quota: UserQuota
    ) -> AddedDocument:
        """Add a document; it replaces its owner's document of the same title.

        Raises:
            CapacityError: the owner's quota or a global limit is exhausted.
        """
        document_id = secrets.token_hex(8)
        with self._change() as db:
            old = db.execute(
                "SELECT id FROM documents WHERE title = ? AND owner = ?", (title, owner)
            ).fetchall()
            replaced = [chunk for (name,) in old for chunk in _delete_document(db, name)]
            _require_capacity(db, owner, size_bytes, len(chunks), quota)
            now = int(time.time())
            db.execute(
                "INSERT INTO documents VALUES (?, ?, ?, ?, ?)",
                (document_id, title, owner, now, size_bytes),
            )
            db.executemany(
                "INSERT INTO chunks (document, text) VALUES (?, ?)",
                [(document_id, text) for text in chunks],
            )
        return AddedDocument(document_id, replaced)

    def list_documents(self) -> list[StoredDocument]:
        """Return all documents, newest first."""
        with self._lock:
            rows = self._db.execute(_LIST_QUERY).fetchall()
        return [
            StoredDocument(
                id=i, title=t, owner=o, added=a, size=s, chunks=n, embedded=n - unembedded
            )
            for i, t, o, a, s, n, unembedded in rows
        ]

    def find_owner(self, document: str) -> str | None:
        """Return the owner of a document; None if the document does not exist."""
        with self._lock:
            row = self._db.execute(
                "SELECT owner FROM documents WHERE id = ?", (document,)
            ).fetchone()
        return row[0] if row else None

    def remove(self, document: str) -> list[int]:
        """Remove a document and return the ids of its chunks."""
        with self._change() as db:
            return _delete_document(db, document)

    def next_unembedded(self) -> tuple[int, str] | None:
        """Return id and text of a chunk without a vector."""
        with self._lock:
            row = self._db.execute(
                "SELECT id, text FROM chunks WHERE vector IS NULL ORDER BY id LIMIT 1"
            ).fetchone()
        return (row[0], row[1]) if row else None

    def store_vector(self, chunk: int, text: str, vector: bytes) -> bool:
        """Store the vector of a chunk; return False if the chunk no longer exists.

        SQLite reuses the id of a deleted chunk, so the text must match as well.
        """
        with self._change() as db:
            cursor = db.execute(
                "UPDATE chunks SET vector = ? WHERE id = ? AND text = ?", (vector, chunk, text)
            )
            return cursor.rowcount == 1

    def iterate_vectors(self) -> Iterator[tuple[int, bytes]]:
        """Yield every chunk with its vector, in batches that limit memory."""
        rows = [(0, b"")]
        while rows:
            with self._lock:
                rows = self._db.execute(
                    "SELECT id, vector FROM chunks WHERE vector IS NOT NULL AND id > ?"
                    " ORDER BY id LIMIT 1000",
                    (rows[-1][0],),
                ).fetchall()
            yield from rows

    def find_chunk(self, chunk: int) -> tuple[str, str, str] | None:
        """Return document id, title and text of a chunk."""
        with self._lock:
            row = self._db.execute(
                "SELECT d.id, d.title, p.text FROM chunks p JOIN documents d ON d.id = p.document"
                " WHERE p.id = ?",
                (chunk,),
            ).fetchone()
        return (row[0], row[1], row[2]) if row else None


def _delete_document(db: sqlite3.Connection, document: str) -> list[int]:
    """Delete a document with its chunks and return their ids."""
    rows = db.execute("SELECT id FROM chunks WHERE document = ?", (document,)).fetchall()
    db.execute("DELETE FROM documents WHERE id = ?", (document,))
    return [chunk for (chunk,) in rows]


def _require_capacity(
    db: sqlite3.Connection, owner: str, size: int, chunks: int, quota: UserQuota
) -> None:
    """Check that another document fits the quota and the limits.

    Raises:
        CapacityError: it does not fit.
    """
    documents, text = db.execute(
        "SELECT count(*), coalesce(sum(size), 0) FROM documents WHERE owner = ?", (owner,)
    ).fetchone()
    ((stored_chunks,),) = db.execute(
        "SELECT count(*) FROM documents d JOIN chunks p ON p.document = d.id WHERE d.owner = ?",
        (owner,),
    )
    for label, used, limit in (
        ("documents", documents + 1, quota.documents),
        ("bytes of text", text + size, quota.text_bytes),
        ("chunks", stored_chunks + chunks, quota.chunks),
    ):
        if used > limit:
            raise CapacityError(
                f"your quota of the knowledge base is exhausted: expected at most {limit} {label},"
                f" got {used}; delete documents first"
            )
    ((documents,),) = db.execute("SELECT count(*) FROM documents")
    ((stored_chunks,),) = db.execute("SELECT count(*) FROM chunks")
    if documents >= MAX_DOCUMENTS or stored_chunks + chunks > MAX_CHUNKS:
        raise CapacityError("the knowledge base is full; delete documents first")
