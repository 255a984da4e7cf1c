"""The gate: who gets in, with what, for how long."""

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest

from hardpan.builder.layers.sovereign import accounts, machine
from hardpan.builder.layers.sovereign import login as gates
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


def write_users(path: Path, **hashes: str) -> None:
    """As ``hardpan`` writes accounts: a new file in the place of the old one."""
    users = [{"name": name, "hash": stored} for name, stored in hashes.items()]
    path.with_suffix(".new").write_text(json.dumps({"users": users, "keys": []}))
    path.with_suffix(".new").replace(path)


def stored_hash(path: Path) -> str:
    return str(json.loads(path.read_text())["users"][0]["hash"])


def change_password(path: Path) -> None:
    write_users(path, ada=accounts.password_hash("another horse"))


def change_password_and_put_time_back(path: Path) -> None:
    before = path.stat()
    changed = path.read_text().replace(stored_hash(path), accounts.password_hash("another horse"))
    path.write_text(changed)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def salt_anew(path: Path) -> None:
    write_users(path, ada=accounts.password_hash("right horse"))


def rename(path: Path) -> None:
    write_users(path, ben=stored_hash(path))


def override_on_machine(path: Path) -> None:
    write_users(path.with_name("machine.json"), ada=accounts.password_hash("another horse"))


CHANGES = [
    change_password,
    change_password_and_put_time_back,
    salt_anew,
    rename,
    override_on_machine,
]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_password_ends_its_sessions(
    gate: Gate, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    held = cookie(login(gate, "ada", "right horse"))
    assert check(gate, cookie=held).status == 204
    change(tmp_path / "login.json")

    assert check(gate, cookie=held).status == 401
    session = Request(method="GET", path="/session", headers={"cookie": held})
    assert gate.handle(session).status == 401


@pytest.mark.parametrize("path", ["/health", "/check", "/session"])
def test_session_does_not_come_back_with_its_account(gate: Gate, tmp_path: Path, path: str) -> None:
    file = tmp_path / "login.json"
    held, before = cookie(login(gate, "ada", "right horse")), stored_hash(file)
    write_users(file)
    gate.handle(Request(method="GET", path=path))
    write_users(file, ada=before)

    assert check(gate, cookie=held).status == 401
    assert login(gate, "ada", "right horse").status == 303


def test_another_users_change_ends_no_session(gate: Gate, tmp_path: Path) -> None:
    file = tmp_path / "login.json"
    held = cookie(login(gate, "ada", "right horse"))
    write_users(file, ada=stored_hash(file), eve=accounts.password_hash("of another"))

    assert check(gate, cookie=held).status == 204


def test_password_that_changes_while_it_is_checked_opens_no_session(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matches = accounts.matches

    def change_meanwhile(password: str, stored: str) -> bool:
        change_password(tmp_path / "login.json")
        return matches(password, stored)

    monkeypatch.setattr(accounts, "matches", change_meanwhile)
    held = cookie(login(gate, "ada", "right horse"))

    assert check(gate, cookie=held).status == 401


SITE = {
    "quick": accounts.password_hash("right horse", rounds=10),
    "slow": accounts.password_hash("right horse", rounds=300),
    "middle": accounts.password_hash("right horse", rounds=100),
    "damaged": "$pbkdf2-sha512$many$x$y",
    "endless": f"$pbkdf2-sha512${10**9}$c2FsdHNhbHRzYWx0c2FsdA$aGFzaA",
    "plain": "right horse",
}


@pytest.mark.parametrize("password", ["right horse", "wrong"])
@pytest.mark.parametrize("name", [*SITE, "nobody", "", "slow ", "x" * 64])
def test_each_name_takes_the_rounds_of_the_slowest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, password: str
) -> None:
    write_users(tmp_path / "login.json", **SITE)
    gate = Gate([tmp_path / "login.json"], session_s=60)
    gate.handle(Request(method="GET", path="/health"))
    spent: list[int] = []
    derive = hashlib.pbkdf2_hmac

    def count(kind: str, secret: bytes, salt: bytes, rounds: int, length: int) -> bytes:
        spent.append(rounds * -(-length // 64))
        return derive(kind, secret, salt, rounds, length)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", count)
    status = login(gate, name or "none", password).status

    is_right = password == "right horse" and name in ("quick", "slow", "middle")
    assert sum(spent) == 300
    assert status == (303 if is_right else 401)


def test_slowest_hash_of_either_file_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_users(tmp_path / "login.json", ada=SITE["quick"])
    write_users(tmp_path / "machine.json", ben=SITE["slow"])
    gate = Gate([tmp_path / "login.json", tmp_path / "machine.json"], session_s=60)
    spent: list[int] = []
    monkeypatch.setattr(accounts, "spend", lambda _password, rounds: spent.append(rounds))
    checked: list[int] = []

    def matches(_password: str, stored: str) -> bool:
        checked.append(accounts.cost(stored))
        return False

    monkeypatch.setattr(accounts, "matches", matches)
    for name in ("ada", "ben", "nobody"):
        login(gate, name, "wrong")

    assert checked == [10, 300, 300]
    assert spent == [290]


@pytest.fixture
def slow_hash(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hashes end when the event is set, and no password is right."""
    end = threading.Event()
    monkeypatch.setattr(accounts, "matches", lambda _password, _stored: not end.wait(30))
    yield end
    end.set()


def take_every_slot(gate: Gate) -> list[threading.Thread]:
    """Logins of strangers that are under way, each from an address of its own."""
    threads = []
    for n in range(gates.MAX_WAITING):
        headers = OURS | {"x-real-ip": f"10.0.0.{n}"}
        threads.append(threading.Thread(target=login, args=(gate, "eve", "guess", headers)))
        threads[-1].start()
    ends = time.monotonic() + 10
    while login(gate, "eve", "guess", OURS | {"x-real-ip": "10.1.1.1"}).status != 503:
        assert time.monotonic() < ends
    return threads


def test_login_is_refused_at_once_when_its_slots_are_taken(
    gate: Gate, slow_hash: threading.Event
) -> None:
    threads = take_every_slot(gate)
    started = time.monotonic()
    answers = [
        login(gate, "ada", "right horse", OURS | {"x-real-ip": f"10.2.0.{n}"}) for n in range(100)
    ]
    took = time.monotonic() - started
    health = gate.handle(Request(method="GET", path="/health"))
    slow_hash.set()
    for thread in threads:
        thread.join(10)

    assert {answer.status for answer in answers} == {503}
    assert all(int(dict(answer.headers)["Retry-After"]) > 0 for answer in answers)
    assert took < 1
    assert health.status == 200


def test_who_logged_in_before_gets_in_during_a_flood(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = OURS | {"x-real-ip": "192.0.2.7"}
    assert login(gate, "ada", "right horse", home).status == 303
    go, matches = threading.Event(), accounts.matches

    def wait(password: str, stored: str) -> bool:
        go.wait(30)
        return matches(password, stored)

    monkeypatch.setattr(accounts, "matches", wait)
    threads = take_every_slot(gate)
    threading.Timer(0.1, go.set).start()
    at_home = login(gate, "ada", "right horse", home)
    for thread in threads:
        thread.join(10)

    assert at_home.status == 303


def test_one_address_does_not_take_every_slot(gate: Gate, slow_hash: threading.Event) -> None:
    one = OURS | {"x-real-ip": "10.0.0.1"}
    threads = [threading.Thread(target=login, args=(gate, "eve", "x", one)) for _ in range(20)]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + 10
    while sum(thread.is_alive() for thread in threads) > 2:
        assert time.monotonic() < ends
    threading.Timer(0.1, slow_hash.set).start()
    other = login(gate, "eve", "guess", OURS | {"x-real-ip": "10.0.0.2"})
    for thread in threads:
        thread.join(10)

    assert other.status == 401


def test_other_name_from_a_known_address_has_no_slots_of_its_own(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = OURS | {"x-real-ip": "192.0.2.7"}
    assert login(gate, "ada", "right horse", home).status == 303
    end = threading.Event()
    monkeypatch.setattr(accounts, "matches", lambda _password, _stored: not end.wait(30))
    threads = take_every_slot(gate)
    other = login(gate, "eve", "guess", home)
    end.set()
    for thread in threads:
        thread.join(10)

    assert other.status == 503


def test_one_user_ends_nobody_elses_session(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "login.json"
    write_users(file, ada=stored_hash(file), eve=accounts.password_hash("of eve"))
    monkeypatch.setattr(gates, "_MAX_SESSIONS", 60)
    held = cookie(login(gate, "ada", "right horse"))
    of_eve = [cookie(login(gate, "eve", "of eve")) for _ in range(70)]

    assert check(gate, cookie=held).status == 204
    assert [check(gate, cookie=each).status for each in of_eve] == [401] * 20 + [204] * 50


@pytest.mark.parametrize("length", [1000, 30_000])
def test_odd_cookies_cost_no_time(gate: Gate, length: int) -> None:
    started = time.monotonic()
    statuses = {
        check(gate, cookie=sent).status
        for sent in (f'{COOKIE}="' + "\\" * length, "a=b; " * length, f"{COOKIE}=" + "=" * length)
    }

    assert statuses == {401}
    assert time.monotonic() - started < 1


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


def test_proxy_secret_is_new_at_each_start_and_roots_alone(tmp_path: Path) -> None:
    secrets = []
    for _ in range(2):
        machine.make_proxy_secret(tmp_path)
        secrets.append((tmp_path / "proxy-secret").read_text().strip())
    header = (tmp_path / "proxy-secret.conf").read_text()

    assert len(set(secrets)) == 2
    assert min(len(secret) for secret in secrets) >= 43  # 256 bits
    assert header == f"proxy_set_header X-Proxy-Secret {secrets[1]};\n"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


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
