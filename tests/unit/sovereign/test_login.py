"""The gate: who gets in, with what, for how long."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest

from hardpan.builder.layers.sovereign import accounts, machine
from hardpan.builder.layers.sovereign.login import COOKIE, Gate
from hardpan.builder.layers.sovereign.web import Answer, Request
from hardpan.profiles.sovereign import Login

OURS = {"sec-fetch-site": "same-origin"}
KEY = "hp_" + "k" * 43


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "ROUNDS", 10)
    monkeypatch.setattr(accounts.password_hash, "__kwdefaults__", {"salt": None, "rounds": 10})


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def files(folder: Path, **more: object) -> list[Path]:
    held = {
        "users": [
            {"name": "ada", "hash": accounts.password_hash("right horse")},
            {"name": "ben", "hash": None},
        ],
        "keys": [{"name": "batch", "sha256": accounts.key_digest(KEY), "scopes": ["chat"]}],
        "machine_key": True,
        **more,
    }
    (folder / "login.json").write_text(json.dumps(held))
    return [folder / "login.json", folder / "machine.json"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(tmp_path: Path, clock: Clock) -> Gate:
    return Gate(files(tmp_path), session_s=3600, clock=clock)


def login(gate: Gate, name: str, password: str, headers: Mapping[str, str] = OURS) -> Answer:
    body = urlencode({"name": name, "password": password}).encode()
    return gate.handle(Request(method="POST", path="/login", headers=headers, body=body))


def cookie(answer: Answer) -> str:
    return dict(answer.headers)["Set-Cookie"].partition(";")[0]


def check(gate: Gate, method: str = "GET", scope: str = "pages", **headers: str) -> Answer:
    asked = {"x-original-method": method, "x-scope": scope, "x-original-host": "ai.example"}
    asked |= {k.replace("_", "-"): v for k, v in headers.items()}
    return gate.handle(Request(method="GET", path="/check", headers=asked))


def test_the_right_password_opens_a_session_until_it_ends(gate: Gate, clock: Clock) -> None:
    answer = login(gate, "ada", "right horse")
    told = dict(answer.headers)["Set-Cookie"]

    assert answer.status == 303
    assert told.endswith("; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=3600")
    assert check(gate, cookie=cookie(answer)).headers == (("X-User", "ada"),)
    clock.now += 3601
    assert check(gate, cookie=cookie(answer)).status == 401


@pytest.mark.parametrize(
    ("name", "password", "status"),
    [
        ("ada", "wrong", 401),
        ("eve", "right horse", 401),
        ("ben", "", 400),
        ("ben", "None", 401),
        ("ada", "", 400),
    ],
)
def test_anything_else_opens_none(gate: Gate, name: str, password: str, status: int) -> None:
    answer = login(gate, name, password)

    assert answer.status == status
    assert "Set-Cookie" not in dict(answer.headers)


@pytest.mark.parametrize(
    "path", ["/", "/login", "/logout", "/session", "/check", "/check?x=/health"]
)
def test_without_a_login_every_path_is_401(gate: Gate, path: str) -> None:
    assert gate.handle(Request(method="GET", path=path)).status == 401


BODIES = [
    b"",
    b"name=ada",
    b"\xff",
    b"name=ada&password=" + b"x" * 2000,
    b"a&b",
    b"name=&password=x",
]


@pytest.mark.parametrize("body", BODIES)
def test_a_form_that_is_none_is_refused(gate: Gate, body: bytes) -> None:
    asked = Request(method="POST", path="/login", headers=OURS, body=body)

    assert gate.handle(asked).status == 400


@pytest.mark.parametrize(
    ("cookies", "status"),
    [
        (f"{COOKIE}=", 401),
        (f"{COOKIE}=guess", 401),
        ("other=1", 401),
        ("\x00;=;;", 401),
        (f'{COOKIE}="unclosed', 401),
    ],
)
def test_a_made_up_cookie_opens_nothing(gate: Gate, cookies: str, status: int) -> None:
    login(gate, "ada", "right horse")

    assert check(gate, cookie=cookies).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec_fetch_site": "same-origin"}, 204),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "none"}, 403),
        ({"origin": "https://ai.example"}, 204),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_another_sites_page_changes_nothing(
    gate: Gate, headers: dict[str, str], status: int
) -> None:
    held = cookie(login(gate, "ada", "right horse"))

    assert check(gate, "POST", cookie=held, **headers).status == status
    assert check(gate, "GET", cookie=held, **headers).status == 204


def test_another_sites_page_cannot_log_anybody_in_or_out(gate: Gate) -> None:
    there = {"sec-fetch-site": "cross-site"}
    held = cookie(login(gate, "ada", "right horse"))
    out = Request(method="POST", path="/logout", headers=there | {"cookie": held})

    assert login(gate, "ada", "right horse", there).status == 403
    assert gate.handle(out).status == 403
    assert check(gate, cookie=held).status == 204


def test_logging_out_ends_the_session_on_the_server(gate: Gate) -> None:
    held = cookie(login(gate, "ada", "right horse"))
    answer = gate.handle(Request(method="POST", path="/logout", headers=OURS | {"cookie": held}))

    assert answer.status == 303
    assert "Max-Age=0" in dict(answer.headers)["Set-Cookie"]
    assert check(gate, cookie=held).status == 401


@pytest.mark.parametrize(
    ("key", "scope", "status"),
    [
        (KEY, "chat", 204),
        (KEY, "documents", 403),
        (KEY, "pages", 403),
        (KEY, "", 403),
        (KEY + "x", "chat", 401),
        ("", "chat", 401),
        (accounts.key_digest(KEY), "chat", 401),
    ],
)
def test_a_key_opens_its_scopes_alone(gate: Gate, key: str, scope: str, status: int) -> None:
    assert check(gate, "POST", scope, authorization=f"Bearer {key}").status == status


def test_a_login_that_is_taken_away_ends_its_sessions(gate: Gate, tmp_path: Path) -> None:
    held = cookie(login(gate, "ada", "right horse"))
    path = tmp_path / "login.json"
    path.write_text(json.dumps({"users": [], "keys": []}))
    os.utime(path, ns=(1, 1))

    assert check(gate, cookie=held).status == 401


def test_accounts_that_cannot_be_read_let_nobody_in(
    gate: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = cookie(login(gate, "ada", "right horse"))
    path = tmp_path / "login.json"
    path.write_text("{")
    os.utime(path, ns=(1, 1))

    assert check(gate, cookie=held).status == 401
    assert "accounts cannot be read, nobody gets in" in capsys.readouterr().err


def test_a_password_never_reaches_the_log(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    login(gate, "ada\nforged line", "s3cret word")

    said = capsys.readouterr().err
    assert "s3cret" not in said
    assert said.count("\n") == 1


def test_the_first_start_makes_what_is_missing_and_only_once(tmp_path: Path) -> None:
    (login_file, machine_file) = files(tmp_path)
    access = tmp_path / "access"
    machine.first_start(tmp_path, access, os.getgid())
    first = machine_file.read_bytes()
    machine.first_start(tmp_path, access, os.getgid())

    assert machine_file.read_bytes() == first
    assert sorted(p.name for p in access.iterdir()) == ["api-key", "password-ben"]
    assert {p.stat().st_mode & 0o777 for p in access.iterdir()} == {0o600}
    assert access.stat().st_mode & 0o777 == 0o700
    assert machine_file.stat().st_mode & 0o777 == 0o640
    key, password = ((access / n).read_text().strip() for n in ("api-key", "password-ben"))
    assert min(len(key), len(password)) >= 3 + 43  # 256 bits
    assert key.encode() not in first + login_file.read_bytes()
    gate = Gate([login_file, machine_file], session_s=60)
    assert login(gate, "ben", password).status == 303
    assert login(gate, "ada", "right horse").status == 303
    assert check(gate, "POST", "documents", authorization=f"Bearer {key}").status == 204


def test_what_hardpan_hashes_a_profile_takes_and_the_gate_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = accounts.password_hash("a long enough one", rounds=210_000)

    assert Login(name="ada", password_hash=kept).password_hash == kept
    assert accounts.matches("a long enough one", kept)
    assert not accounts.matches("a long enough two", kept)


@pytest.mark.parametrize("kept", ["", "$", "$6$x$y$z", "plain", "$pbkdf2-sha512$x$y$z"])
def test_a_damaged_hash_matches_nothing(kept: str) -> None:
    assert not accounts.matches("anything", kept)


def test_the_hash_is_the_one_that_openssl_makes() -> None:
    # openssl kdf -keylen 64 -kdfopt digest:SHA512 -kdfopt pass:password
    #     -kdfopt salt:saltsaltsaltsalt -kdfopt iter:1000 PBKDF2
    kept = accounts.password_hash("password", salt=b"saltsaltsaltsalt", rounds=1000)

    assert kept == (
        "$pbkdf2-sha512$1000$c2FsdHNhbHRzYWx0c2FsdA$715rqIr5dXOVPpBhqqsugl037zT5bWJTWYmZtIcK8hB"
        "nisKpwfY7kokvwjDrNHqHhF50Pb7MD6HvkJwiDQw4ww"
    )
