"""The knowledge base without its model: documents, chunks, owners, invalid requests."""

import json
import threading
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from hardpan.builder.ai_service.payload import document_store as stores
from hardpan.builder.ai_service.payload.chunking import MAX_CHUNK_LENGTH, split_into_chunks
from hardpan.builder.ai_service.payload.document_store import DocumentStore, UserQuota
from hardpan.builder.ai_service.payload.http_server import Admission, HttpRequest, HttpResponse
from hardpan.builder.ai_service.payload.json_object import parse_object
from hardpan.builder.ai_service.payload.knowledge_base import Hit, KnowledgeBase

SECRET = "hp_" + "s" * 43
LARGE_QUOTA = UserQuota(documents=100, text_bytes=100_000, chunks=1000)


class LetterIndex:
    """An index that finds chunks by the letters they share with the question."""

    def __init__(self) -> None:
        self.vectors: dict[int, bytes] = {}
        self.add_count = 0

    def embed(self, text: str) -> bytes:
        return "".join(sorted(set(text.lower()))).encode()

    def add(self, chunk: int, vector: bytes) -> None:
        self.vectors[chunk] = vector
        self.add_count += 1

    def remove(self, chunks: Iterable[int]) -> None:
        for chunk in chunks:
            self.vectors.pop(chunk, None)

    def search(self, vector: bytes, limit: int) -> list[Hit]:
        query = set(vector)
        scored = [(i, len(query & set(v)) / len(query | set(v))) for i, v in self.vectors.items()]
        return sorted(scored, key=lambda hit: -hit[1])[:limit]


@pytest.fixture
def store(tmp_path: Path) -> DocumentStore:
    return DocumentStore(tmp_path / "documents.sqlite")


@pytest.fixture
def index() -> LetterIndex:
    return LetterIndex()


def make_knowledge_base(
    store: DocumentStore,
    index: LetterIndex,
    quota: UserQuota = LARGE_QUOTA,
    max_document_bytes: int = 1000,
) -> KnowledgeBase:
    return KnowledgeBase(
        store, index, max_document_bytes=max_document_bytes, quota=quota, proxy_secret=SECRET
    )


@pytest.fixture
def base(store: DocumentStore, index: LetterIndex) -> KnowledgeBase:
    return make_knowledge_base(store, index)


def send_request(
    base: KnowledgeBase,
    method: str,
    path: str,
    value: object = None,
    *,
    user: str = "ada",
    **headers: str,
) -> HttpResponse:
    all_headers = {
        "x-remote-user": user,
        "x-proxy-secret": SECRET,
        "content-type": "application/json",
        **{name.replace("_", "-"): sent for name, sent in headers.items()},
    }
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base.handle(HttpRequest(method=method, path=path, headers=all_headers, body=body))


def add_document(base: KnowledgeBase, title: str, text: str, *, user: str = "ada") -> str:
    answer = send_request(base, "POST", "/kb/documents", {"title": title, "text": text}, user=user)
    assert answer.status == 201, answer.body
    return str(json.loads(answer.body)["id"])


def list_documents(base: KnowledgeBase) -> list[dict[str, object]]:
    documents = json.loads(send_request(base, "GET", "/kb/documents").body)["documents"]
    assert isinstance(documents, list)
    return documents


def embed_all(base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model read what is new, once."""

    class OnceError(Exception):
        """Ends the reader where it would wait."""

    def wait() -> None:
        raise OnceError

    monkeypatch.setattr(base._chunks_added, "wait", wait)
    with pytest.raises(OnceError):
        base.embed_new_chunks()


def test_search_returns_document_after_embedding(
    base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_document(base, "one.md", "zzz")
    add_document(base, "two.md", "abc")
    search = {"query": "abc", "limit": 1}

    assert json.loads(send_request(base, "POST", "/kb/search", search).body) == {"hits": []}
    assert [(d["embedded"], d["chunks"]) for d in list_documents(base)] == [(0, 1), (0, 1)]
    embed_all(base, monkeypatch)
    (hit,) = json.loads(send_request(base, "POST", "/kb/search", search).body)["hits"]
    assert (hit["title"], hit["text"], hit["score"]) == ("two.md", "abc", 1.0)


def test_only_owner_can_delete_document(
    base: KnowledgeBase, store: DocumentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id = add_document(base, "mine.md", "unforgettable words")
    embed_all(base, monkeypatch)

    assert send_request(base, "DELETE", f"/kb/documents/{document_id}", user="ben").status == 403
    assert send_request(base, "DELETE", f"/kb/documents/{document_id}").status == 204
    assert send_request(base, "DELETE", f"/kb/documents/{document_id}").status == 404
    assert list_documents(base) == []
    assert list(store.iterate_vectors()) == []
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"unforgettable" not in (tmp_path / "documents.sqlite").read_bytes()


def test_new_version_replaces_owners_document(base: KnowledgeBase) -> None:
    add_document(base, "a.md", "old")
    add_document(base, "a.md", "new")
    add_document(base, "a.md", "bens", user="ben")

    assert sorted((d["title"], d["owner"]) for d in list_documents(base)) == [
        ("a.md", "ada"),
        ("a.md", "ben"),
    ]


def test_documents_survive_a_restart(
    base: KnowledgeBase, store: DocumentStore, tmp_path: Path
) -> None:
    add_document(base, "kept.md", "kept")

    reopened = DocumentStore(tmp_path / "documents.sqlite")
    assert [d.title for d in reopened.list_documents()] == ["kept.md"]
    assert reopened.next_unembedded() is not None


def test_new_chunks_are_embedded_in_background(base: KnowledgeBase, store: DocumentStore) -> None:
    threading.Thread(target=base.embed_new_chunks, daemon=True).start()
    add_document(base, "late.md", "late")

    for _ in range(200):
        if list_documents(base)[0]["embedded"] == 1:
            break
        threading.Event().wait(0.01)
    assert list_documents(base)[0]["embedded"] == 1


INVALID_REQUESTS: list[tuple[str, str, object, int, str]] = [
    ("POST", "/kb/documents", {"title": "x"}, 400, "expected an object with the texts title, text"),
    ("POST", "/kb/documents", [], 400, "expected JSON in UTF-8: one flat object"),
    ("POST", "/kb/documents", {"title": "x", "text": []}, 400, "one flat object"),
    ("POST", "/kb/documents", {"title": "x", "text": 1}, 400, "with the texts title, text"),
    ("POST", "/kb/documents", b'{"title":"x","title":"y","text":"z"}', 400, "one flat object"),
    ("POST", "/kb/search", {"query": "x", "limit": 1e400}, 400, "one flat object"),
    ("POST", "/kb/documents", b"{", 400, "expected JSON in UTF-8"),
    ("POST", "/kb/documents", b"[" * 3000, 400, "expected JSON in UTF-8"),
    ("POST", "/kb/documents", b"\xff", 400, "expected JSON in UTF-8"),
    ("POST", "/kb/documents", {"title": "", "text": "x"}, 400, "expected a title of 1 to 200"),
    ("POST", "/kb/documents", {"title": "x" * 201, "text": "x"}, 400, "expected a title of 1"),
    ("POST", "/kb/documents", {"title": "x", "text": " \n"}, 400, "expected a text, got none"),
    ("POST", "/kb/documents", {"title": "x", "text": "a\0b"}, 400, "got control characters"),
    ("POST", "/kb/documents", {"title": "x", "text": "\ud800"}, 400, "got control characters"),
    (
        "POST",
        "/kb/documents",
        {"title": "x", "text": "y" * 1001},
        413,
        "expected at most 1000 bytes",
    ),
    ("POST", "/kb/documents", {"title": "x", "text": "é" * 501}, 413, "got 1002"),
    ("POST", "/kb/documents", b'{"title": "x", "text": "' + b"y" * 9000, 413, "at most 1000"),
    ("POST", "/kb/search", {"query": ""}, 400, "expected a query of 1 to 2000 characters"),
    ("POST", "/kb/search", {"query": "x", "limit": 0}, 400, "expected a limit of 1 to 20"),
    ("POST", "/kb/search", {"query": "x", "limit": True}, 400, "expected a limit of 1 to 20"),
    ("GET", "/kb/nothing", None, 404, "no such path"),
    ("PUT", "/kb/documents", None, 404, "no such path"),
    ("DELETE", "/kb/documents/../x", None, 404, "no such path"),
    ("DELETE", "/kb/documents/' OR 1=1", None, 404, "no such document"),
]


@pytest.mark.parametrize(("method", "path", "value", "status", "message"), INVALID_REQUESTS)
def test_invalid_request_is_rejected_with_reason(
    base: KnowledgeBase, method: str, path: str, value: object, status: int, message: str
) -> None:
    answer = send_request(base, method, path, value)

    assert answer.status == status
    assert message in json.loads(answer.body)["error"]["message"]


def test_wrong_content_type_is_rejected(base: KnowledgeBase) -> None:
    answer = send_request(
        base, "POST", "/kb/search", {"query": "x"}, **{"content-type": "text/plain"}
    )

    assert answer.status == 400


def test_request_without_user_is_unauthorized(base: KnowledgeBase) -> None:
    assert send_request(base, "GET", "/kb/documents", user="").status == 401


FORGED_SECRETS = [
    "",
    "x",
    SECRET[:-1],
    SECRET + "x",
    SECRET.upper(),
    f"{SECRET}, {SECRET}",
    "\xe9" * 46,
    "0" * 100_000,
]


@pytest.mark.parametrize("secret", FORGED_SECRETS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/kb/documents"),
        ("POST", "/kb/search"),
        ("POST", "/kb/documents"),
        ("DELETE", "/kb/documents/{made}"),
    ],
)
def test_forged_proxy_secret_is_rejected(
    base: KnowledgeBase, method: str, path: str, secret: str
) -> None:
    document_id = add_document(base, "mine.md", "mine")
    value = {"title": "planted", "text": "planted", "query": "mine"}
    headers = {"x-remote-user": "ada", "x-proxy-secret": secret}
    forged = HttpRequest(
        method=method,
        path=path.format(made=document_id),
        headers=headers | {"content-type": "application/json"},
        body=json.dumps(value).encode(),
    )

    answers = [base.handle(forged), base.admit(forged)]
    headers_without_secret = {k: v for k, v in forged.headers.items() if k != "x-proxy-secret"}
    answers.append(
        base.handle(HttpRequest(method=method, path=forged.path, headers=headers_without_secret))
    )

    assert [answer.status for answer in answers if isinstance(answer, HttpResponse)] == [403] * 3
    assert [document["title"] for document in list_documents(base)] == ["mine.md"]


@pytest.mark.parametrize("secret", ["", "short", "hp_"])
def test_knowledge_base_requires_proxy_secret(
    store: DocumentStore, index: LetterIndex, secret: str
) -> None:
    with pytest.raises(ValueError, match="the proxy's secret is missing or short"):
        KnowledgeBase(store, index, max_document_bytes=1, quota=LARGE_QUOTA, proxy_secret=secret)


@pytest.mark.parametrize(
    ("method", "path", "pool"),
    [
        ("GET", "/health", "health"),
        ("GET", "/kb/documents", "list"),
        ("POST", "/kb/documents", "add"),
        ("POST", "/kb/search", "search"),
        ("POST", "/kb/elsewhere", "list"),
    ],
)
def test_request_kinds_use_separate_pools(
    base: KnowledgeBase, method: str, path: str, pool: str
) -> None:
    headers = {"x-remote-user": "ada", "x-proxy-secret": SECRET}
    admitted = base.admit(HttpRequest(method=method, path=path, headers=headers))

    assert isinstance(admitted, Admission)
    assert admitted.pool.name == pool
    assert admitted.pool in base.pools


def test_request_bodies_are_bounded_in_memory(store: DocumentStore, index: LetterIndex) -> None:
    base = make_knowledge_base(store, index, max_document_bytes=1 << 20)

    bodies = sum(pool.slots * pool.max_body_bytes for pool in base.pools)
    add_pool = next(pool for pool in base.pools if pool.name == "add")
    assert bodies < 32 << 20
    assert (add_pool.threads, add_pool.slots_per_user) == (1, 1)


MIB = 1 << 20
EXPENSIVE_BODIES = {
    "lists": lambda: b'{"title":"x","text":[' + b"[]," * (2 * MIB) + b"0]}",
    "depth": lambda: b'{"title":' * 500_000,
    "numbers": lambda: b'{"title":"x","text":"y","z":' + b"9" * (6 * MIB),
    "names": lambda: b"{" + b",".join(b'"%d":0' % n for n in range(500_000)) + b"}",
    "plain text": lambda: b'{"title":"x","text":"' + b"y " * (3 * MIB) + b'"}',
    "escapes": lambda: b'{"title":"x","text":"' + b"\\u0041" * MIB + b'"}',
    "wide escapes": lambda: b'{"title":"x\xf0\x9f\x98\x80","text":"' + b"\\u4e00" * 340_000 + b'"}',
    "words": lambda: b'{"title":"x","text":"' + b"ab " * (MIB // 3) + b'"}',
    "headings": lambda: b'{"title":"x","text":"' + b"# a\\nb\\n" * 100_000 + b'"}',
}


@pytest.mark.parametrize("kind", EXPENSIVE_BODIES)
def test_expensive_bodies_stay_within_memory_limit(
    store: DocumentStore, index: LetterIndex, kind: str
) -> None:
    body = EXPENSIVE_BODIES[kind]()
    base = make_knowledge_base(store, index, max_document_bytes=MIB)
    tracemalloc.start()
    try:
        answer = send_request(base, "POST", "/kb/documents", body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # With 4 bodies that wait, the model and 200,000 vectors this is a third of MemoryMax.
    assert peak < 48 * MIB
    assert answer.status in (400, 413, 507)


SCALARS = ['"é\\u00e9\\ud83d\\ude00"', "0", "-12", "true", "false", "null"]


@pytest.mark.parametrize("value", SCALARS)
@pytest.mark.parametrize("form", ['{"a":%s}', ' {\n"a" : %s , "b":"c"}\t', '{"\\u0061":%s}'])
def test_parse_object_agrees_with_json_module(form: str, value: str) -> None:
    text = form % value

    assert parse_object(text.encode()) == json.loads(text)


NO_OBJECT = [
    "",
    "{",
    "}",
    "[]",
    '"a"',
    "{}{}",
    '{"a":1,}',
    '{,"a":1}',
    '{"a" 1}',
    '{"a":1 "b":2}',
    '{"a":01}',
    '{"a":1.5}',
    '{"a":1e9}',
    '{"a":NaN}',
    '{"a":Infinity}',
    '{"a":tru}',
    '{"a":"\n"}',
    '{"a":"\\x"}',
    '{"a":"b}',
    '{"a":{"b":1}}',
    "{a:1}",
    '{"a":1}x',
    "\ufeff{}",
]


@pytest.mark.parametrize("text", NO_OBJECT)
def test_parse_object_rejects_other_json(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the caller says what was expected
        parse_object(text.encode())


@pytest.mark.parametrize(
    ("quota", "text", "problem"),
    [
        (UserQuota(documents=2, text_bytes=1000, chunks=10), "w", "at most 2 documents, got 3"),
        (UserQuota(documents=9, text_bytes=3, chunks=10), "ww", "at most 3 bytes of text, got 4"),
        (UserQuota(documents=9, text_bytes=1000, chunks=3), "# a\nb\n# c\nd", "3 chunks, got 4"),
        (
            UserQuota(documents=9, text_bytes=9, chunks=10),
            "é" * 4,
            "at most 9 bytes of text, got 10",
        ),
    ],
)
def test_user_quota_is_enforced(
    store: DocumentStore, index: LetterIndex, quota: UserQuota, text: str, problem: str
) -> None:
    base = make_knowledge_base(store, index, quota)
    add_document(base, "one.md", "x")
    add_document(base, "two.md", "y")
    answer = send_request(base, "POST", "/kb/documents", {"title": "three.md", "text": text})

    assert answer.status == 507
    assert problem in json.loads(answer.body)["error"]["message"]
    assert add_document(base, "bens.md", text, user="ben")
    assert len(list_documents(base)) == 3


def test_replacement_does_not_count_twice_in_quota(
    store: DocumentStore, index: LetterIndex
) -> None:
    base = make_knowledge_base(store, index, UserQuota(documents=1, text_bytes=3, chunks=1))
    add_document(base, "a.md", "old")
    add_document(base, "a.md", "new")
    response = send_request(base, "POST", "/kb/documents", {"title": "a.md", "text": "newer"})

    assert response.status == 507
    assert [document["size"] for document in list_documents(base)] == [3], "the old version stays"


def test_each_vector_is_indexed_once(
    base: KnowledgeBase, store: DocumentStore, index: LetterIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    vectors = store.iterate_vectors

    def count() -> object:
        nonlocal reads
        reads += 1
        return vectors()

    monkeypatch.setattr(store, "iterate_vectors", count)
    for n in range(30):
        add_document(base, f"{n}.md", f"w{n}")
        send_request(base, "POST", "/kb/search", {"query": "w"})
        embed_all(base, monkeypatch)

    assert index.add_count == 30
    assert reads == 0


def test_index_is_rebuilt_after_restart(
    base: KnowledgeBase, store: DocumentStore, index: LetterIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        add_document(base, f"{n}.md", f"w{n}")
    embed_all(base, monkeypatch)
    add_document(base, "3.md", "again")
    embed_all(base, monkeypatch)
    rebuilt = LetterIndex()
    make_knowledge_base(store, rebuilt)

    assert rebuilt.vectors == index.vectors
    assert len(rebuilt.vectors) == 5


def test_replaced_and_deleted_documents_leave_index(
    base: KnowledgeBase, index: LetterIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_document(base, "a.md", "old")
    deleted = add_document(base, "b.md", "gone")
    embed_all(base, monkeypatch)
    add_document(base, "a.md", "new")
    send_request(base, "DELETE", f"/kb/documents/{deleted}")
    assert index.vectors == {}
    embed_all(base, monkeypatch)

    assert list(index.vectors.values()) == [index.embed("new")]


def test_vector_of_deleted_chunk_is_not_stored(store: DocumentStore) -> None:
    added = store.add("a", "ada", 1, ["old"], LARGE_QUOTA)
    unembedded = store.next_unembedded()
    store.remove(added.document_id)
    store.add("b", "ada", 1, ["new"], LARGE_QUOTA)

    assert unembedded is not None
    assert store.next_unembedded() == (unembedded[0], "new"), "SQLite gives the number again"
    assert not store.store_vector(unembedded[0], unembedded[1], b"old")
    assert list(store.iterate_vectors()) == []


def test_next_chunk_query_uses_index(store: DocumentStore) -> None:
    plan = store._db.execute(
        "EXPLAIN QUERY PLAN SELECT id, text FROM chunks WHERE vector IS NULL ORDER BY id LIMIT 1"
    ).fetchall()

    assert "chunks_unembedded" in str(plan)


def test_list_query_reads_no_embedded_chunks(base: KnowledgeBase, store: DocumentStore) -> None:
    add_document(base, "one.md", "x")
    plan = [str(step[3]) for step in store._db.execute(f"EXPLAIN QUERY PLAN {stores._LIST_QUERY}")]

    assert "SEARCH chunks USING COVERING INDEX chunks_by_document (document=?)" in plan
    assert any("INDEX chunks_unembedded_of (document=?)" in step for step in plan)
    assert [step for step in plan if "SCAN chunks" in step] == []


def test_chunking_time_is_linear() -> None:
    """Cutting from the front of a list, as before, took a second for this."""
    count = 0
    for chunk in split_into_chunks("ab " * 400_000):
        count += 1
        assert len(chunk) <= 3 * MAX_CHUNK_LENGTH

    assert count == 400_000 // (MAX_CHUNK_LENGTH - 15) + 1


def test_full_knowledge_base_returns_507(
    base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "MAX_DOCUMENTS", 1)
    add_document(base, "one.md", "x")
    answer = send_request(base, "POST", "/kb/documents", {"title": "two.md", "text": "x"})

    assert answer.status == 507


def test_chunks_have_heading_overlap_and_complete_text() -> None:
    tokens = [f"w{n}" for n in range(300)]
    chunks = list(
        split_into_chunks("# Title\n\n" + " ".join(tokens) + "\n\n## Next\nshort one\n\nand more")
    )

    assert all(p.startswith("Title: ") for p in chunks[:-1])
    assert chunks[-1] == "Next: short one and more"
    assert all(len(p.split()) <= MAX_CHUNK_LENGTH + 1 for p in chunks)
    assert {w for p in chunks for w in p.split()} >= set(tokens)
    first, second = (p.split()[1:] for p in chunks[:2])
    assert first[-15:] == second[:15]


@pytest.mark.parametrize("text", ["", " \n\n ", "# only a heading"])
def test_empty_text_has_no_chunks(text: str) -> None:
    assert list(split_into_chunks(text)) == []


def test_overlong_word_is_truncated() -> None:
    (chunk,) = split_into_chunks("x" * 10_000)

    assert len(chunk) == 100
