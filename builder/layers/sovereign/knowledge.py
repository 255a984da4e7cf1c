"""The knowledge base: put documents in, find the pieces that fit a question.

Whoever is logged in can search and read all of it; only who added a document can
delete it. The model reads new pieces in the background, and goes on after a restart.
"""

import json
import threading
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from .pieces import cut
from .store import FullError, Store
from .web import Answer, Request, refused, told

_TITLE_MOST, _QUESTION_MOST, _HITS_MOST = 200, 2000, 20
_ROOM = 2 * 1024
"""What the JSON around a document takes."""

Vectors = Callable[[], list[tuple[int, bytes]]]
Hit = tuple[int, float]
"""A piece and its cosine."""


class Index(Protocol):
    """Turns texts to vectors and finds the nearest."""

    def vector(self, text: str) -> bytes:
        """A text's vector as it is kept."""

    def nearest(self, text: str, vectors: Vectors, most: int, stamp: int) -> list[Hit]:
        """The nearest of ``vectors``, best first; they are asked for when ``stamp`` is new."""


class Knowledge:
    """Answers under ``/kb/``."""

    def __init__(self, store: Store, index: Index, *, document_most: int) -> None:
        self._store = store
        self._index = index
        self._document_most = document_most
        self._new = threading.Event()
        self._model = threading.Lock()

    @property
    def body_most(self) -> int:
        """Bytes that a request may have: JSON writes a character in up to 6."""
        return 6 * self._document_most + _ROOM

    def handle(self, asked: Request) -> Answer:
        """The answer to one request."""
        path = urlsplit(asked.path).path
        if path == "/health":
            self._store.unread()
            return told(200, {})
        who = asked.headers.get("x-remote-user", "")
        if not who:
            return refused(401, "log in or send a key")
        match asked.method, path.strip("/").split("/"):
            case "GET", ["kb", "documents"]:
                return told(200, {"documents": [d.told() for d in self._store.documents()]})
            case "POST", ["kb", "documents"]:
                return self._add(asked, who)
            case "DELETE", ["kb", "documents", document]:
                return self._remove(document, who)
            case "POST", ["kb", "search"]:
                return self._search(asked)
        return refused(404, "there is no such path")

    def read_new(self) -> None:
        """Let the model read what is new, for ever; runs in a thread of its own."""
        while True:
            self._new.clear()
            while (found := self._store.unread()) is not None:
                with self._model:
                    vector = self._index.vector(found[1])
                self._store.keep_vector(found[0], vector)
            self._new.wait()

    def _add(self, asked: Request, who: str) -> Answer:
        try:
            title, text = _texts(asked, "title", "text")
        except ValueError as e:
            return refused(400, str(e))
        size = len(text.encode())
        if size > self._document_most:
            return refused(413, f"expected at most {self._document_most} bytes, found {size}")
        if not 0 < len(title.strip()) <= _TITLE_MOST:
            return refused(400, f"expected a title of 1 to {_TITLE_MOST} characters")
        pieces = list(cut(text))
        if not pieces:
            return refused(400, "expected a text, found none")
        try:
            made = self._store.add(" ".join(title.split()), who, size, pieces)
        except FullError:
            return refused(507, "the knowledge base is full; delete documents first")
        self._new.set()
        return told(201, {"id": made, "pieces": len(pieces)})

    def _remove(self, document: str, who: str) -> Answer:
        owner = self._store.owner(document)
        if owner is None:
            return refused(404, "there is no such document")
        if owner != who:
            return refused(403, "only who added a document can delete it")
        self._store.remove(document)
        return Answer(status=204)

    def _search(self, asked: Request) -> Answer:
        try:
            (question,) = _texts(asked, "query")
            most = json.loads(asked.body).get("limit", 4)
            if type(most) is not int or not 1 <= most <= _HITS_MOST:
                raise ValueError(f"expected a limit of 1 to {_HITS_MOST}")
        except ValueError as e:
            return refused(400, str(e))
        if not 0 < len(question.strip()) <= _QUESTION_MOST:
            return refused(400, f"expected a query of 1 to {_QUESTION_MOST} characters")
        stamp = self._store.changes
        with self._model:
            near = self._index.nearest(question, self._store.vectors, most, stamp)
        hits = []
        for piece, score in near:
            if (found := self._store.piece(piece)) is not None:
                document, title, text = found
                hits.append(
                    {"document": document, "title": title, "text": text, "score": round(score, 4)}
                )
        return told(200, {"hits": hits})


def _texts(asked: Request, *names: str) -> list[str]:
    """These texts of the request's JSON.

    Raises:
        ValueError: it is no such JSON, or holds control characters.
    """
    if asked.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise ValueError("expected application/json")
    try:
        given = json.loads(asked.body)
    except (ValueError, RecursionError) as e:
        raise ValueError("expected JSON in UTF-8") from e
    if not isinstance(given, dict) or not all(isinstance(given.get(n), str) for n in names):
        raise ValueError(f"expected an object with the texts {', '.join(names)}")
    texts = [given[n] for n in names]
    for text in texts:
        if any(c < " " and c not in "\n\r\t" for c in text) or _lone(text):
            raise ValueError("expected plain text, found control characters")
    return texts


def _lone(text: str) -> bool:
    """Whether half a character is in it, which no UTF-8 can hold."""
    return any("\ud800" <= c <= "\udfff" for c in text)
