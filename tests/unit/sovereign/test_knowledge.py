"""The knowledge base without its model: documents, pieces, whose they are, bad requests."""

import json
import threading
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from hardpan.builder.layers.sovereign import store as stores
from hardpan.builder.layers.sovereign.json_object import read_object
from hardpan.builder.layers.sovereign.knowledge import Hit, Knowledge
from hardpan.builder.layers.sovereign.pieces import WORDS_MOST, cut
from hardpan.builder.layers.sovereign.store import Quota, Store
from hardpan.builder.layers.sovereign.web import Admission, Answer, Request

SECRET = "hp_" + "s" * 43
ROOMY = Quota(documents=100, text_bytes=100_000, pieces=1000)


class Letters:
    """An index that finds pieces by the letters they share with the question."""

    def __init__(self) -> None:
        self.kept: dict[int, bytes] = {}
        self.puts = 0

    def vector(self, text: str) -> bytes:
        return "".join(sorted(set(text.lower()))).encode()

    def put(self, piece: int, vector: bytes) -> None:
        self.kept[piece] = vector
        self.puts += 1

    def drop(self, pieces: Iterable[int]) -> None:
        for piece in pieces:
            self.kept.pop(piece, None)

    def nearest(self, vector: bytes, most: int) -> list[Hit]:
        asked = set(vector)
        scored = [(i, len(asked & set(v)) / len(asked | set(v))) for i, v in self.kept.items()]
        return sorted(scored, key=lambda hit: -hit[1])[:most]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "documents.sqlite")


@pytest.fixture
def index() -> Letters:
    return Letters()


def knowledge(
    store: Store, index: Letters, quota: Quota = ROOMY, document_most: int = 1000
) -> Knowledge:
    return Knowledge(store, index, document_most=document_most, quota=quota, proxy_secret=SECRET)


@pytest.fixture
def base(store: Store, index: Letters) -> Knowledge:
    return knowledge(store, index)


def ask(
    base: Knowledge,
    method: str,
    path: str,
    value: object = None,
    *,
    who: str = "ada",
    **headers: str,
) -> Answer:
    told = {
        "x-remote-user": who,
        "x-proxy-secret": SECRET,
        "content-type": "application/json",
        **{name.replace("_", "-"): sent for name, sent in headers.items()},
    }
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base.handle(Request(method=method, path=path, headers=told, body=body))


def add(base: Knowledge, title: str, text: str, *, who: str = "ada") -> str:
    answer = ask(base, "POST", "/kb/documents", {"title": title, "text": text}, who=who)
    assert answer.status == 201, answer.body
    return str(json.loads(answer.body)["id"])


def listed(base: Knowledge) -> list[dict[str, object]]:
    held = json.loads(ask(base, "GET", "/kb/documents").body)["documents"]
    assert isinstance(held, list)
    return held


def read_all(base: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model read what is new, once."""

    class OnceError(Exception):
        """Ends the reader where it would wait."""

    def wait() -> None:
        raise OnceError

    monkeypatch.setattr(base._new, "wait", wait)
    with pytest.raises(OnceError):
        base.read_new()


def test_a_document_is_found_once_the_model_has_read_it(
    base: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(base, "one.md", "zzz")
    add(base, "two.md", "abc")
    search = {"query": "abc", "limit": 1}

    assert json.loads(ask(base, "POST", "/kb/search", search).body) == {"hits": []}
    assert [(d["ready"], d["pieces"]) for d in listed(base)] == [(0, 1), (0, 1)]
    read_all(base, monkeypatch)
    (hit,) = json.loads(ask(base, "POST", "/kb/search", search).body)["hits"]
    assert (hit["title"], hit["text"], hit["score"]) == ("two.md", "abc", 1.0)


def test_only_who_added_a_document_deletes_it_and_then_it_is_gone(
    base: Knowledge, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = add(base, "mine.md", "unforgettable words")
    read_all(base, monkeypatch)

    assert ask(base, "DELETE", f"/kb/documents/{made}", who="ben").status == 403
    assert ask(base, "DELETE", f"/kb/documents/{made}").status == 204
    assert ask(base, "DELETE", f"/kb/documents/{made}").status == 404
    assert listed(base) == []
    assert list(store.vectors()) == []
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"unforgettable" not in (tmp_path / "documents.sqlite").read_bytes()


def test_a_new_version_takes_the_place_of_its_owners_old_one(base: Knowledge) -> None:
    add(base, "a.md", "old")
    add(base, "a.md", "new")
    add(base, "a.md", "bens", who="ben")

    assert sorted((d["title"], d["owner"]) for d in listed(base)) == [
        ("a.md", "ada"),
        ("a.md", "ben"),
    ]


def test_documents_survive_a_restart(base: Knowledge, store: Store, tmp_path: Path) -> None:
    add(base, "kept.md", "kept")

    again = Store(tmp_path / "documents.sqlite")
    assert [d.title for d in again.documents()] == ["kept.md"]
    assert again.unread() is not None


def test_what_is_new_is_read_in_the_background(base: Knowledge, store: Store) -> None:
    threading.Thread(target=base.read_new, daemon=True).start()
    add(base, "late.md", "late")

    for _ in range(200):
        if listed(base)[0]["ready"] == 1:
            break
        threading.Event().wait(0.01)
    assert listed(base)[0]["ready"] == 1


WRONG: list[tuple[str, str, object, int, str]] = [
    ("POST", "/kb/documents", {"title": "x"}, 400, "expected an object with the texts title, text"),
    ("POST", "/kb/documents", [], 400, "expected JSON in UTF-8: one object, nothing nested"),
    ("POST", "/kb/documents", {"title": "x", "text": []}, 400, "one object, nothing nested"),
    ("POST", "/kb/documents", {"title": "x", "text": 1}, 400, "with the texts title, text"),
    ("POST", "/kb/documents", b'{"title":"x","title":"y","text":"z"}', 400, "one object"),
    ("POST", "/kb/search", {"query": "x", "limit": 1e400}, 400, "one object, nothing nested"),
    ("POST", "/kb/documents", b"{", 400, "expected JSON in UTF-8"),
    ("POST", "/kb/documents", b"[" * 3000, 400, "expected JSON in UTF-8"),
    ("POST", "/kb/documents", b"\xff", 400, "expected JSON in UTF-8"),
    ("POST", "/kb/documents", {"title": "", "text": "x"}, 400, "expected a title of 1 to 200"),
    ("POST", "/kb/documents", {"title": "x" * 201, "text": "x"}, 400, "expected a title of 1"),
    ("POST", "/kb/documents", {"title": "x", "text": " \n"}, 400, "expected a text, found none"),
    ("POST", "/kb/documents", {"title": "x", "text": "a\0b"}, 400, "found control characters"),
    ("POST", "/kb/documents", {"title": "x", "text": "\ud800"}, 400, "found control characters"),
    (
        "POST",
        "/kb/documents",
        {"title": "x", "text": "y" * 1001},
        413,
        "expected at most 1000 bytes",
    ),
    ("POST", "/kb/documents", {"title": "x", "text": "é" * 501}, 413, "found 1002"),
    ("POST", "/kb/documents", b'{"title": "x", "text": "' + b"y" * 9000, 413, "at most 1000"),
    ("POST", "/kb/search", {"query": ""}, 400, "expected a query of 1 to 2000 characters"),
    ("POST", "/kb/search", {"query": "x", "limit": 0}, 400, "expected a limit of 1 to 20"),
    ("POST", "/kb/search", {"query": "x", "limit": True}, 400, "expected a limit of 1 to 20"),
    ("GET", "/kb/nothing", None, 404, "there is no such path"),
    ("PUT", "/kb/documents", None, 404, "there is no such path"),
    ("DELETE", "/kb/documents/../x", None, 404, "there is no such path"),
    ("DELETE", "/kb/documents/' OR 1=1", None, 404, "there is no such document"),
]


@pytest.mark.parametrize(("method", "path", "value", "status", "why"), WRONG)
def test_a_wrong_request_is_refused_with_its_reason(
    base: Knowledge, method: str, path: str, value: object, status: int, why: str
) -> None:
    answer = ask(base, method, path, value)

    assert answer.status == status
    assert why in json.loads(answer.body)["error"]["message"]


def test_a_form_from_another_site_is_no_json(base: Knowledge) -> None:
    answer = ask(base, "POST", "/kb/search", {"query": "x"}, **{"content-type": "text/plain"})

    assert answer.status == 400


def test_without_a_user_nothing_is_told(base: Knowledge) -> None:
    assert ask(base, "GET", "/kb/documents", who="").status == 401


FORGED = [
    "",
    "x",
    SECRET[:-1],
    SECRET + "x",
    SECRET.upper(),
    f"{SECRET}, {SECRET}",
    "\xe9" * 46,
    "0" * 100_000,
]


@pytest.mark.parametrize("secret", FORGED)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/kb/documents"),
        ("POST", "/kb/search"),
        ("POST", "/kb/documents"),
        ("DELETE", "/kb/documents/{made}"),
    ],
)
def test_user_that_the_proxy_did_not_name_is_nobody(
    base: Knowledge, method: str, path: str, secret: str
) -> None:
    made = add(base, "mine.md", "mine")
    value = {"title": "planted", "text": "planted", "query": "mine"}
    headers = {"x-remote-user": "ada", "x-proxy-secret": secret}
    forged = Request(
        method=method,
        path=path.format(made=made),
        headers=headers | {"content-type": "application/json"},
        body=json.dumps(value).encode(),
    )

    answers = [base.handle(forged), base.admit(forged)]
    without = {k: v for k, v in forged.headers.items() if k != "x-proxy-secret"}
    answers.append(base.handle(Request(method=method, path=forged.path, headers=without)))

    assert [answer.status for answer in answers if isinstance(answer, Answer)] == [403] * 3
    assert [document["title"] for document in listed(base)] == ["mine.md"]


@pytest.mark.parametrize("secret", ["", "short", "hp_"])
def test_knowledge_base_without_a_secret_does_not_start(
    store: Store, index: Letters, secret: str
) -> None:
    with pytest.raises(ValueError, match="the proxy's secret is missing or short"):
        Knowledge(store, index, document_most=1, quota=ROOMY, proxy_secret=secret)


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
def test_each_kind_of_work_has_slots_of_its_own(
    base: Knowledge, method: str, path: str, pool: str
) -> None:
    headers = {"x-remote-user": "ada", "x-proxy-secret": SECRET}
    admitted = base.admit(Request(method=method, path=path, headers=headers))

    assert isinstance(admitted, Admission)
    assert admitted.pool.name == pool
    assert admitted.pool in base.pools


def test_bodies_take_a_bounded_part_of_the_memory(store: Store, index: Letters) -> None:
    base = knowledge(store, index, document_most=1 << 20)

    bodies = sum(pool.slots * pool.max_body for pool in base.pools)
    adding = next(pool for pool in base.pools if pool.name == "add")
    assert bodies < 32 << 20
    assert (adding.threads, adding.slots_per_user) == (1, 1)


MIB = 1 << 20
HEAVY = {
    "lists": b'{"title":"x","text":[' + b"[]," * (2 * MIB) + b"0]}",
    "depth": b'{"title":' * 500_000,
    "numbers": b'{"title":"x","text":"y","z":' + b"9" * (6 * MIB),
    "names": b"{" + b",".join(b'"%d":0' % n for n in range(500_000)) + b"}",
    "plain text": b'{"title":"x","text":"' + b"y " * (3 * MIB) + b'"}',
    "escapes": b'{"title":"x","text":"' + b"\\u0041" * MIB + b'"}',
    "wide escapes": b'{"title":"x\xf0\x9f\x98\x80","text":"' + b"\\u4e00" * 340_000 + b'"}',
    "words": b'{"title":"x","text":"' + b"ab " * (MIB // 3) + b'"}',
    "headings": b'{"title":"x","text":"' + b"# a\\nb\\n" * 100_000 + b'"}',
}


@pytest.mark.parametrize("body", HEAVY.values(), ids=HEAVY)
def test_worst_bodies_take_little_memory(store: Store, index: Letters, body: bytes) -> None:
    base = knowledge(store, index, document_most=MIB)
    tracemalloc.start()
    try:
        answer = ask(base, "POST", "/kb/documents", body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # With 4 bodies that wait, the model and 200,000 vectors this is a third of MemoryMax.
    assert peak < 48 * MIB
    assert answer.status in (400, 413, 507)


SCALARS = ['"é\\u00e9\\ud83d\\ude00"', "0", "-12", "true", "false", "null"]


@pytest.mark.parametrize("value", SCALARS)
@pytest.mark.parametrize("form", ['{"a":%s}', ' {\n"a" : %s , "b":"c"}\t', '{"\\u0061":%s}'])
def test_json_object_is_read_as_python_reads_it(form: str, value: str) -> None:
    text = form % value

    assert read_object(text.encode()) == json.loads(text)


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
def test_json_that_is_no_flat_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the caller says what was expected
        read_object(text.encode())


@pytest.mark.parametrize(
    ("quota", "text", "problem"),
    [
        (Quota(documents=2, text_bytes=1000, pieces=10), "w", "at most 2 documents, got 3"),
        (Quota(documents=9, text_bytes=3, pieces=10), "ww", "at most 3 bytes of text, got 4"),
        (Quota(documents=9, text_bytes=1000, pieces=3), "# a\nb\n# c\nd", "3 pieces, got 4"),
        (Quota(documents=9, text_bytes=9, pieces=10), "é" * 4, "at most 9 bytes of text, got 10"),
    ],
)
def test_each_user_has_a_share_of_the_base(
    store: Store, index: Letters, quota: Quota, text: str, problem: str
) -> None:
    base = knowledge(store, index, quota)
    add(base, "one.md", "x")
    add(base, "two.md", "y")
    answer = ask(base, "POST", "/kb/documents", {"title": "three.md", "text": text})

    assert answer.status == 507
    assert problem in json.loads(answer.body)["error"]["message"]
    assert add(base, "bens.md", text, who="ben")
    assert len(listed(base)) == 3


def test_new_version_needs_no_more_of_the_share_than_the_old_one(
    store: Store, index: Letters
) -> None:
    base = knowledge(store, index, Quota(documents=1, text_bytes=3, pieces=1))
    add(base, "a.md", "old")
    add(base, "a.md", "new")
    made = ask(base, "POST", "/kb/documents", {"title": "a.md", "text": "newer"})

    assert made.status == 507
    assert [document["size"] for document in listed(base)] == [3], "the old version stays"


def test_index_takes_each_vector_once(
    base: Knowledge, store: Store, index: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    vectors = store.vectors

    def count() -> object:
        nonlocal reads
        reads += 1
        return vectors()

    monkeypatch.setattr(store, "vectors", count)
    for n in range(30):
        add(base, f"{n}.md", f"w{n}")
        ask(base, "POST", "/kb/search", {"query": "w"})
        read_all(base, monkeypatch)

    assert index.puts == 30
    assert reads == 0


def test_index_is_the_same_after_a_restart(
    base: Knowledge, store: Store, index: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        add(base, f"{n}.md", f"w{n}")
    read_all(base, monkeypatch)
    add(base, "3.md", "again")
    read_all(base, monkeypatch)
    again = Letters()
    knowledge(store, again)

    assert again.kept == index.kept
    assert len(again.kept) == 5


def test_replaced_and_deleted_documents_leave_the_index(
    base: Knowledge, index: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(base, "a.md", "old")
    gone = add(base, "b.md", "gone")
    read_all(base, monkeypatch)
    add(base, "a.md", "new")
    ask(base, "DELETE", f"/kb/documents/{gone}")
    assert index.kept == {}
    read_all(base, monkeypatch)

    assert list(index.kept.values()) == [index.vector("new")]


def test_vector_of_a_piece_that_is_gone_is_not_given_to_its_successor(store: Store) -> None:
    first = store.add("a", "ada", 1, ["old"], ROOMY)
    found = store.unread()
    store.remove(first.document)
    store.add("b", "ada", 1, ["new"], ROOMY)

    assert found is not None
    assert store.unread() == (found[0], "new"), "SQLite gives the number again"
    assert not store.keep_vector(found[0], found[1], b"old")
    assert list(store.vectors()) == []


def test_next_piece_is_found_without_a_look_at_all(store: Store) -> None:
    plan = store._db.execute(
        "EXPLAIN QUERY PLAN SELECT id, text FROM pieces WHERE vector IS NULL ORDER BY id LIMIT 1"
    ).fetchall()

    assert "pieces_unread" in str(plan)


def test_list_reads_no_piece_that_the_model_has_read(base: Knowledge, store: Store) -> None:
    add(base, "one.md", "x")
    plan = [str(step[3]) for step in store._db.execute(f"EXPLAIN QUERY PLAN {stores._LIST}")]

    assert "SEARCH pieces USING COVERING INDEX pieces_of (document=?)" in plan
    assert any("INDEX pieces_unread_of (document=?)" in step for step in plan)
    assert [step for step in plan if "SCAN pieces" in step] == []


def test_text_is_cut_in_time_that_grows_with_it_alone() -> None:
    """Cutting from the front of a list, as before, took a second for this."""
    taken = 0
    for piece in cut("ab " * 400_000):
        taken += 1
        assert len(piece) <= 3 * WORDS_MOST

    assert taken == 400_000 // (WORDS_MOST - 15) + 1


def test_a_full_base_says_so(base: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "DOCUMENTS_MOST", 1)
    add(base, "one.md", "x")
    answer = ask(base, "POST", "/kb/documents", {"title": "two.md", "text": "x"})

    assert answer.status == 507


def test_pieces_carry_their_heading_overlap_and_lose_no_word() -> None:
    words = [f"w{n}" for n in range(300)]
    pieces = list(cut("# Title\n\n" + " ".join(words) + "\n\n## Next\nshort one\n\nand more"))

    assert all(p.startswith("Title: ") for p in pieces[:-1])
    assert pieces[-1] == "Next: short one and more"
    assert all(len(p.split()) <= WORDS_MOST + 1 for p in pieces)
    assert {w for p in pieces for w in p.split()} >= set(words)
    first, second = (p.split()[1:] for p in pieces[:2])
    assert first[-15:] == second[:15]


@pytest.mark.parametrize("text", ["", " \n\n ", "# only a heading"])
def test_a_text_without_words_has_no_pieces(text: str) -> None:
    assert list(cut(text)) == []


def test_a_word_without_end_is_cut() -> None:
    (piece,) = cut("x" * 10_000)

    assert len(piece) == 100
