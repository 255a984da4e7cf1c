"""The knowledge base: store documents and search their chunks.

Every authenticated user can search and read all documents; only the owner of a document can
delete it. New chunks are embedded in the background, also after a restart.
"""

import hmac
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Protocol

from .chunking import split_into_chunks
from .document_store import CapacityError, DocumentStore, UserQuota
from .http_server import (
    Admission,
    HttpRequest,
    HttpResponse,
    WorkerPool,
    error_response,
    json_response,
)
from .json_object import Scalar, min_text_bytes, parse_object

_MAX_TITLE_CHARS, _MAX_QUERY_CHARS, _MAX_HITS = 200, 2000, 20
_JSON_OVERHEAD_BYTES = 2 * 1024
"""Size of the JSON around a document."""

_HEALTH_POOL = WorkerPool(name="health", threads=1, slots=4, slots_per_user=4, max_body_bytes=0)
_LIST_POOL = WorkerPool(name="list", threads=2, slots=16, slots_per_user=4, max_body_bytes=0)
_SEARCH_POOL = WorkerPool(
    name="search",
    threads=2,
    slots=16,
    slots_per_user=4,
    max_body_bytes=6 * _MAX_QUERY_CHARS + _JSON_OVERHEAD_BYTES,
)
_ADD_SLOTS = 4
_MIN_SECRET_CHARS = 32
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
"""Control characters and surrogates, which UTF-8 cannot encode."""

Hit = tuple[int, float]
"""Chunk id and cosine similarity."""


class VectorIndex(Protocol):
    """Embeds texts and finds the nearest vectors."""

    def embed(self, text: str) -> bytes:
        """Return the embedding of ``text`` as it is stored."""

    def add(self, chunk: int, vector: bytes) -> None:
        """Add or replace the vector of a chunk."""

    def remove(self, chunks: Iterable[int]) -> None:
        """Remove chunks; unknown ids are ignored."""

    def search(self, vector: bytes, limit: int) -> list[Hit]:
        """Return the nearest chunks, best first."""


class KnowledgeBase:
    """HTTP service of the paths under ``/kb/``."""

    def __init__(
        self,
        store: DocumentStore,
        index: VectorIndex,
        *,
        max_document_bytes: int,
        quota: UserQuota,
        proxy_secret: str,
    ) -> None:
        if len(proxy_secret) < _MIN_SECRET_CHARS:
            raise ValueError("the proxy's secret is missing or short")
        self._store = store
        self._index = index
        self._max_document_bytes = max_document_bytes
        self._quota = quota
        self._proxy_secret = proxy_secret.encode()
        self._chunks_added = threading.Event()
        self._model_lock = threading.Lock()
        # Locked while documents change, so that index and store agree.
        self._index_lock = threading.Lock()
        # One thread, so that one body at a time is decoded and chunked; JSON may write a
        # character in six bytes.
        self._add_pool = WorkerPool(
            name="add",
            threads=1,
            slots=_ADD_SLOTS,
            slots_per_user=1,
            max_body_bytes=6 * max_document_bytes + _JSON_OVERHEAD_BYTES,
        )
        for chunk, vector in store.iterate_vectors():
            index.add(chunk, vector)

    @property
    def pools(self) -> Sequence[WorkerPool]:
        """Separate pools for health checks, lists, searches and additions."""
        return _HEALTH_POOL, _LIST_POOL, _SEARCH_POOL, self._add_pool

    def admit(self, request: HttpRequest) -> Admission | HttpResponse:
        """Select the pool of a request by its head."""
        path = _request_path(request)
        if path == "/health":
            return Admission(_HEALTH_POOL, "")
        refusal = self._authorize(request)
        if refusal:
            return refusal
        pools = {"/kb/documents": self._add_pool, "/kb/search": _SEARCH_POOL}
        pool = pools.get(path, _LIST_POOL) if request.method == "POST" else _LIST_POOL
        return Admission(pool, request.headers["x-remote-user"])

    def _authorize(self, request: HttpRequest) -> HttpResponse | None:
        """Return an error response unless the proxy sent the request for an authenticated user.

        Only the proxy has the secret and knows the user: any other program that reaches this port
        could claim to be any user.
        """
        sent = request.headers.get("x-proxy-secret", "").encode()
        if not hmac.compare_digest(sent, self._proxy_secret):
            return error_response(403, "only the proxy may send requests")
        if not request.headers.get("x-remote-user"):
            return error_response(401, "log in or send a key")
        return None

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Respond to one request."""
        path = _request_path(request)
        if path == "/health":
            self._store.next_unembedded()
            return json_response(200, {})
        refusal = self._authorize(request)
        if refusal:
            return refusal
        user = request.headers["x-remote-user"]
        match request.method, path.strip("/").split("/"):
            case "GET", ["kb", "documents"]:
                return json_response(
                    200, {"documents": [d.to_json() for d in self._store.list_documents()]}
                )
            case "POST", ["kb", "documents"]:
                return self._add(request, user)
            case "DELETE", ["kb", "documents", document]:
                return self._remove(document, user)
            case "POST", ["kb", "search"]:
                return self._search(request)
        return error_response(404, "no such path")

    def embed_new_chunks(self) -> None:
        """Embed new chunks, forever; runs in its own thread."""
        while True:
            self._chunks_added.clear()
            while (unembedded := self._store.next_unembedded()) is not None:
                chunk, text = unembedded
                with self._model_lock:
                    vector = self._index.embed(text)
                with self._index_lock:
                    if self._store.store_vector(chunk, text, vector):
                        self._index.add(chunk, vector)
            self._chunks_added.wait()

    def _add(self, request: HttpRequest, user: str) -> HttpResponse:
        max_bytes = self._max_document_bytes
        if min_text_bytes(request.body) > max_bytes + _JSON_OVERHEAD_BYTES:
            return error_response(413, f"expected at most {max_bytes} bytes")
        try:
            title, text = _require_texts(_parse_body(request), "title", "text")
        except ValueError as e:
            return error_response(400, str(e))
        size_bytes = len(text.encode())
        if size_bytes > max_bytes:
            return error_response(413, f"expected at most {max_bytes} bytes, got {size_bytes}")
        if not 0 < len(title.strip()) <= _MAX_TITLE_CHARS:
            return error_response(400, f"expected a title of 1 to {_MAX_TITLE_CHARS} characters")
        # One chunk more than the quota is enough to reject it.
        chunks = list(islice(split_into_chunks(text), self._quota.chunks + 1))
        if not chunks:
            return error_response(400, "expected a text, got none")
        try:
            with self._index_lock:
                added = self._store.add(
                    " ".join(title.split()), user, size_bytes, chunks, self._quota
                )
                self._index.remove(added.replaced_chunks)
        except CapacityError as e:
            return error_response(507, str(e))
        self._chunks_added.set()
        return json_response(201, {"id": added.document_id, "chunks": len(chunks)})

    def _remove(self, document: str, user: str) -> HttpResponse:
        owner = self._store.find_owner(document)
        if owner is None:
            return error_response(404, "no such document")
        if owner != user:
            return error_response(403, "only the owner can delete a document")
        with self._index_lock:
            self._index.remove(self._store.remove(document))
        return HttpResponse(status=204)

    def _search(self, request: HttpRequest) -> HttpResponse:
        try:
            members = _parse_body(request)
            (question,) = _require_texts(members, "query")
            limit = members.get("limit", 4)
            if type(limit) is not int or not 1 <= limit <= _MAX_HITS:
                raise ValueError(f"expected a limit of 1 to {_MAX_HITS}")
        except ValueError as e:
            return error_response(400, str(e))
        if not 0 < len(question.strip()) <= _MAX_QUERY_CHARS:
            return error_response(400, f"expected a query of 1 to {_MAX_QUERY_CHARS} characters")
        with self._model_lock:
            vector = self._index.embed(question)
        with self._index_lock:
            nearest = self._index.search(vector, limit)
        hits = []
        for chunk, score in nearest:
            if (stored := self._store.find_chunk(chunk)) is not None:
                document, title, text = stored
                hits.append(
                    {"document": document, "title": title, "text": text, "score": round(score, 4)}
                )
        return json_response(200, {"hits": hits})


def _request_path(request: HttpRequest) -> str:
    return request.path.partition("?")[0]


def _parse_body(request: HttpRequest) -> Mapping[str, Scalar]:
    """Return the members of the request's JSON.

    Raises:
        ValueError: wrong content type or malformed JSON.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise ValueError("expected application/json")
    try:
        return parse_object(request.body)
    except ValueError as e:
        raise ValueError("expected JSON in UTF-8: one flat object") from e


def _require_texts(members: Mapping[str, Scalar], *names: str) -> list[str]:
    """Return the strings of these names.

    Raises:
        ValueError: a string is missing or contains control characters.
    """
    texts = [value for n in names if isinstance(value := members.get(n), str)]
    if len(texts) < len(names):
        raise ValueError(f"expected an object with the texts {', '.join(names)}")
    if any(_CONTROL_CHARACTER.search(text) for text in texts):
        raise ValueError("expected plain text, got control characters")
    return texts
