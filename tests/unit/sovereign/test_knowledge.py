"""The knowledge base without its model: documents, pieces, whose they are, bad requests."""

import json
import threading
from pathlib import Path

import pytest

from hardpan.builder.layers.sovereign import store as stores
from hardpan.builder.layers.sovereign.knowledge import Hit, Knowledge, Vectors
from hardpan.builder.layers.sovereign.pieces import WORDS_MOST, cut
from hardpan.builder.layers.sovereign.store import Store
from hardpan.builder.layers.sovereign.web import Answer, Request


class Letters:
    """An index that finds pieces by the letters they share with the question."""

    def vector(self, text: str) -> bytes:
        return "".join(sorted(set(text.lower()))).encode()

    def nearest(self, text: str, vectors: Vectors, most: int, stamp: int) -> list[Hit]:
        asked = set(self.vector(text))
        scored = [(i, len(asked & set(v)) / len(asked | set(v))) for i, v in vectors()]
        return sorted(scored, key=lambda hit: -hit[1])[:most]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "documents.sqlite")


@pytest.fixture
def base(store: Store) -> Knowledge:
    return Knowledge(store, Letters(), document_most=1000)


def ask(
    base: Knowledge,
    method: str,
    path: str,
    value: object = None,
    *,
    who: str = "ada",
    **headers: str,
) -> Answer:
    told = {"x-remote-user": who, "content-type": "application/json", **headers}
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


def read_all(store: Store) -> None:
    while (found := store.unread()) is not None:
        store.keep_vector(found[0], Letters().vector(found[1]))


def test_a_document_is_found_once_the_model_has_read_it(base: Knowledge, store: Store) -> None:
    add(base, "one.md", "zzz")
    add(base, "two.md", "abc")
    search = {"query": "abc", "limit": 1}

    assert json.loads(ask(base, "POST", "/kb/search", search).body) == {"hits": []}
    assert [(d["ready"], d["pieces"]) for d in listed(base)] == [(0, 1), (0, 1)]
    read_all(store)
    (hit,) = json.loads(ask(base, "POST", "/kb/search", search).body)["hits"]
    assert (hit["title"], hit["text"], hit["score"]) == ("two.md", "abc", 1.0)


def test_only_who_added_a_document_deletes_it_and_then_it_is_gone(
    base: Knowledge, store: Store, tmp_path: Path
) -> None:
    made = add(base, "mine.md", "unforgettable words")
    read_all(store)

    assert ask(base, "DELETE", f"/kb/documents/{made}", who="ben").status == 403
    assert ask(base, "DELETE", f"/kb/documents/{made}").status == 204
    assert ask(base, "DELETE", f"/kb/documents/{made}").status == 404
    assert listed(base) == []
    assert store.vectors() == []
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
    ("POST", "/kb/documents", [], 400, "expected an object with the texts"),
    ("POST", "/kb/documents", b"{", 400, "expected JSON in UTF-8"),
    ("POST", "/kb/documents", b"[" * 100_000, 400, "expected JSON in UTF-8"),
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
