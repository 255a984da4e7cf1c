"""The knowledge base: put documents in, find the pieces that fit a question.

Whoever is logged in can search and read all of it; only who added a document can
delete it. The model reads new pieces in the background, and goes on after a restart.
"""

import hmac
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Protocol

from .json_object import Scalar, least_bytes, read_object
from .pieces import cut
from .store import FullError, Quota, Store
from .web import Admission, Answer, Pool, Request, refused, told

_TITLE_MOST, _QUESTION_MOST, _HITS_MOST = 200, 2000, 20
_ROOM = 2 * 1024
"""What the JSON around a document takes."""

_HEALTH = Pool(name="health", threads=1, slots=4, slots_per_user=4, max_body=0)
_LIST = Pool(name="list", threads=2, slots=16, slots_per_user=4, max_body=0)
_SEARCH = Pool(
    name="search",
    threads=2,
    slots=16,
    slots_per_user=4,
    max_body=6 * _QUESTION_MOST + _ROOM,
)
_ADD_SLOTS = 4
_SECRET_LEAST = 32
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
"""Control characters, and halves of characters, which no UTF-8 can hold."""

Hit = tuple[int, float]
"""A piece and its cosine."""


class Index(Protocol):
    """Turns texts to vectors and finds the nearest."""

    def vector(self, text: str) -> bytes:
        """A text's vector as it is kept."""

    def put(self, piece: int, vector: bytes) -> None:
        """Make a piece findable."""

    def drop(self, pieces: Iterable[int]) -> None:
        """Forget pieces; one that is unknown does not matter."""

    def nearest(self, vector: bytes, most: int) -> list[Hit]:
        """The pieces whose vectors are nearest to this one, best first."""


class Knowledge:
    """Answers under ``/kb/``."""

    def __init__(
        self,
        store: Store,
        index: Index,
        *,
        document_most: int,
        quota: Quota,
        proxy_secret: str,
    ) -> None:
        if len(proxy_secret) < _SECRET_LEAST:
            raise ValueError("the proxy's secret is missing or short")
        self._store = store
        self._index = index
        self._document_most = document_most
        self._quota = quota
        self._proxy_secret = proxy_secret.encode()
        self._new = threading.Event()
        self._model = threading.Lock()
        # Held while documents change, so that the index has what the store has.
        self._indexing = threading.Lock()
        # One thread, so that one body at a time is decoded and cut; JSON writes a character in
        # up to 6 bytes.
        self._add_pool = Pool(
            name="add",
            threads=1,
            slots=_ADD_SLOTS,
            slots_per_user=1,
            max_body=6 * document_most + _ROOM,
        )
        for piece, vector in store.vectors():
            index.put(piece, vector)

    @property
    def pools(self) -> Sequence[Pool]:
        """Adding, searching, listing and the question whether all is well, apart."""
        return _HEALTH, _LIST, _SEARCH, self._add_pool

    def admit(self, request: Request) -> Admission | Answer:
        """Decide by the head whose slots a request takes."""
        path = _path(request)
        if path == "/health":
            return Admission(_HEALTH, "")
        refusal = self._refusal(request)
        if refusal:
            return refusal
        pools = {"/kb/documents": self._add_pool, "/kb/search": _SEARCH}
        pool = pools.get(path, _LIST) if request.method == "POST" else _LIST
        return Admission(pool, request.headers["x-remote-user"])

    def _refusal(self, request: Request) -> Answer | None:
        """Why a request is refused whatever it asks for.

        Only the proxy has the secret, and only it knows who is logged in: another program that
        reaches this port could name itself any user.
        """
        sent = request.headers.get("x-proxy-secret", "").encode()
        if not hmac.compare_digest(sent, self._proxy_secret):
            return refused(403, "only the proxy may ask")
        if not request.headers.get("x-remote-user"):
            return refused(401, "log in or send a key")
        return None

    def handle(self, asked: Request) -> Answer:
        """The answer to one request."""
        path = _path(asked)
        if path == "/health":
            self._store.unread()
            return told(200, {})
        refusal = self._refusal(asked)
        if refusal:
            return refusal
        who = asked.headers["x-remote-user"]
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
                piece, text = found
                with self._model:
                    vector = self._index.vector(text)
                with self._indexing:
                    if self._store.keep_vector(piece, text, vector):
                        self._index.put(piece, vector)
            self._new.wait()

    def _add(self, asked: Request, who: str) -> Answer:
        most = self._document_most
        if least_bytes(asked.body) > most + _ROOM:
            return refused(413, f"expected at most {most} bytes")
        try:
            title, text = _texts(_members(asked), "title", "text")
        except ValueError as e:
            return refused(400, str(e))
        size = len(text.encode())
        if size > most:
            return refused(413, f"expected at most {most} bytes, found {size}")
        if not 0 < len(title.strip()) <= _TITLE_MOST:
            return refused(400, f"expected a title of 1 to {_TITLE_MOST} characters")
        # One more than the share has room for is enough to refuse it.
        pieces = list(islice(cut(text), self._quota.pieces + 1))
        if not pieces:
            return refused(400, "expected a text, found none")
        try:
            with self._indexing:
                added = self._store.add(" ".join(title.split()), who, size, pieces, self._quota)
                self._index.drop(added.replaced)
        except FullError as e:
            return refused(507, str(e))
        self._new.set()
        return told(201, {"id": added.document, "pieces": len(pieces)})

    def _remove(self, document: str, who: str) -> Answer:
        owner = self._store.owner(document)
        if owner is None:
            return refused(404, "there is no such document")
        if owner != who:
            return refused(403, "only who added a document can delete it")
        with self._indexing:
            self._index.drop(self._store.remove(document))
        return Answer(status=204)

    def _search(self, asked: Request) -> Answer:
        try:
            members = _members(asked)
            (question,) = _texts(members, "query")
            most = members.get("limit", 4)
            if type(most) is not int or not 1 <= most <= _HITS_MOST:
                raise ValueError(f"expected a limit of 1 to {_HITS_MOST}")
        except ValueError as e:
            return refused(400, str(e))
        if not 0 < len(question.strip()) <= _QUESTION_MOST:
            return refused(400, f"expected a query of 1 to {_QUESTION_MOST} characters")
        with self._model:
            vector = self._index.vector(question)
        with self._indexing:
            near = self._index.nearest(vector, most)
        hits = []
        for piece, score in near:
            if (found := self._store.piece(piece)) is not None:
                document, title, text = found
                hits.append(
                    {"document": document, "title": title, "text": text, "score": round(score, 4)}
                )
        return told(200, {"hits": hits})


def _path(request: Request) -> str:
    return request.path.partition("?")[0]


def _members(asked: Request) -> Mapping[str, Scalar]:
    """The members of the request's JSON.

    Raises:
        ValueError: it is no such JSON.
    """
    if asked.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise ValueError("expected application/json")
    try:
        return read_object(asked.body)
    except ValueError as e:
        raise ValueError("expected JSON in UTF-8: one object, nothing nested") from e


def _texts(members: Mapping[str, Scalar], *names: str) -> list[str]:
    """The texts of these names.

    Raises:
        ValueError: one is missing, or holds control characters.
    """
    texts = [value for n in names if isinstance(value := members.get(n), str)]
    if len(texts) < len(names):
        raise ValueError(f"expected an object with the texts {', '.join(names)}")
    if any(_NOT_TEXT.search(text) for text in texts):
        raise ValueError("expected plain text, found control characters")
    return texts
