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

from hardpan.builder.ai_service.payload import accounts, cli
from hardpan.builder.ai_service.payload import auth_gateway as gates
from hardpan.builder.ai_service.payload.auth_gateway import COOKIE, AuthGateway
from hardpan.builder.ai_service.payload.http_server import HttpRequest, HttpResponse
from hardpan.profiles.schema.ai_service import UserLogin

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
KEY = "hp_" + "k" * 43


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "DEFAULT_ROUNDS", 10)
    monkeypatch.setattr(accounts.hash_password, "__kwdefaults__", {"salt": None, "rounds": 10})


class FakeClock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def write_account_files(folder: Path, **extra_fields: object) -> list[Path]:
    accounts_data = {
        "users": [
            {"name": "ada", "hash": accounts.hash_password("right horse")},
            {"name": "ben", "hash": None},
        ],
        "keys": [{"name": "batch", "sha256": accounts.digest_key(KEY), "scopes": ["chat"]}],
        "machine_key": True,
        **extra_fields,
    }
    (folder / "login.json").write_text(json.dumps(accounts_data))
    return [folder / "login.json", folder / "machine.json"]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def gateway(tmp_path: Path, clock: FakeClock) -> AuthGateway:
    return AuthGateway(write_account_files(tmp_path), session_s=3600, clock=clock)


def log_in(
    gateway: AuthGateway, name: str, password: str, headers: Mapping[str, str] = SAME_ORIGIN
) -> HttpResponse:
    body = urlencode({"name": name, "password": password}).encode()
    return gateway.handle(HttpRequest(method="POST", path="/login", headers=headers, body=body))


def cookie(answer: HttpResponse) -> str:
    return dict(answer.headers)["Set-Cookie"].partition(";")[0]


def check_request(
    gateway: AuthGateway, method: str = "GET", scope: str = "pages", **headers: str
) -> HttpResponse:
    request_headers = {
        "x-original-method": method,
        "x-scope": scope,
        "x-original-host": "ai.example",
    }
    request_headers |= {k.replace("_", "-"): v for k, v in headers.items()}
    return gateway.handle(HttpRequest(method="GET", path="/check", headers=request_headers))


def test_correct_password_opens_session_until_expiry(
    gateway: AuthGateway, clock: FakeClock
) -> None:
    answer = log_in(gateway, "ada", "right horse")
    set_cookie = dict(answer.headers)["Set-Cookie"]

    assert answer.status == 303
    assert set_cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=3600")
    assert check_request(gateway, cookie=cookie(answer)).headers == (("X-User", "ada"),)
    clock.now += 3601
    assert check_request(gateway, cookie=cookie(answer)).status == 401


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
def test_incorrect_login_opens_no_session(
    gateway: AuthGateway, name: str, password: str, status: int
) -> None:
    answer = log_in(gateway, name, password)

    assert answer.status == status
    assert "Set-Cookie" not in dict(answer.headers)


@pytest.mark.parametrize(
    "path", ["/", "/login", "/logout", "/session", "/check", "/check?x=/health"]
)
def test_paths_require_login(gateway: AuthGateway, path: str) -> None:
    assert gateway.handle(HttpRequest(method="GET", path=path)).status == 401


BODIES = [
    b"",
    b"name=ada",
    b"\xff",
    b"name=ada&password=" + b"x" * 2000,
    b"a&b",
    b"name=&password=x",
]


@pytest.mark.parametrize("body", BODIES)
def test_malformed_form_is_rejected(gateway: AuthGateway, body: bytes) -> None:
    request = HttpRequest(method="POST", path="/login", headers=SAME_ORIGIN, body=body)

    assert gateway.handle(request).status == 400


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
def test_forged_cookie_is_rejected(gateway: AuthGateway, cookies: str, status: int) -> None:
    log_in(gateway, "ada", "right horse")

    assert check_request(gateway, cookie=cookies).status == status


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
def test_cross_site_requests_are_forbidden(
    gateway: AuthGateway, headers: dict[str, str], status: int
) -> None:
    session_cookie = cookie(log_in(gateway, "ada", "right horse"))

    assert check_request(gateway, "POST", cookie=session_cookie, **headers).status == status
    assert check_request(gateway, "GET", cookie=session_cookie, **headers).status == 204


def test_cross_site_login_and_logout_are_forbidden(gateway: AuthGateway) -> None:
    cross_site = {"sec-fetch-site": "cross-site"}
    session_cookie = cookie(log_in(gateway, "ada", "right horse"))
    logout = HttpRequest(
        method="POST", path="/logout", headers=cross_site | {"cookie": session_cookie}
    )

    assert log_in(gateway, "ada", "right horse", cross_site).status == 403
    assert gateway.handle(logout).status == 403
    assert check_request(gateway, cookie=session_cookie).status == 204


def test_logout_ends_session_on_server(gateway: AuthGateway) -> None:
    session_cookie = cookie(log_in(gateway, "ada", "right horse"))
    answer = gateway.handle(
        HttpRequest(method="POST", path="/logout", headers=SAME_ORIGIN | {"cookie": session_cookie})
    )

    assert answer.status == 303
    assert "Max-Age=0" in dict(answer.headers)["Set-Cookie"]
    assert check_request(gateway, cookie=session_cookie).status == 401


@pytest.mark.parametrize(
    ("key", "scope", "status"),
    [
        (KEY, "chat", 204),
        (KEY, "documents", 403),
        (KEY, "pages", 403),
        (KEY, "", 403),
        (KEY + "x", "chat", 401),
        ("", "chat", 401),
        (accounts.digest_key(KEY), "chat", 401),
    ],
)
def test_api_key_grants_its_scopes_only(
    gateway: AuthGateway, key: str, scope: str, status: int
) -> None:
    assert check_request(gateway, "POST", scope, authorization=f"Bearer {key}").status == status


def test_removed_login_ends_its_sessions(gateway: AuthGateway, tmp_path: Path) -> None:
    session_cookie = cookie(log_in(gateway, "ada", "right horse"))
    path = tmp_path / "login.json"
    path.write_text(json.dumps({"users": [], "keys": []}))
    os.utime(path, ns=(1, 1))

    assert check_request(gateway, cookie=session_cookie).status == 401


def write_users(path: Path, **hashes: str) -> None:
    """As ``hardpan`` writes accounts: a new file in the place of the old one."""
    users = [{"name": name, "hash": stored} for name, stored in hashes.items()]
    path.with_suffix(".new").write_text(json.dumps({"users": users, "keys": []}))
    path.with_suffix(".new").replace(path)


def stored_hash(path: Path) -> str:
    return str(json.loads(path.read_text())["users"][0]["hash"])


def change_password(path: Path) -> None:
    write_users(path, ada=accounts.hash_password("another horse"))


def change_password_and_restore_mtime(path: Path) -> None:
    old_stat = path.stat()
    changed = path.read_text().replace(stored_hash(path), accounts.hash_password("another horse"))
    path.write_text(changed)
    os.utime(path, ns=(old_stat.st_atime_ns, old_stat.st_mtime_ns))


def rehash_password(path: Path) -> None:
    write_users(path, ada=accounts.hash_password("right horse"))


def rename_user(path: Path) -> None:
    write_users(path, ben=stored_hash(path))


def override_in_machine_file(path: Path) -> None:
    write_users(path.with_name("machine.json"), ada=accounts.hash_password("another horse"))


CHANGES = [
    change_password,
    change_password_and_restore_mtime,
    rehash_password,
    rename_user,
    override_in_machine_file,
]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_password_ends_its_sessions(
    gateway: AuthGateway, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    session_cookie = cookie(log_in(gateway, "ada", "right horse"))
    assert check_request(gateway, cookie=session_cookie).status == 204
    change(tmp_path / "login.json")

    assert check_request(gateway, cookie=session_cookie).status == 401
    session = HttpRequest(method="GET", path="/session", headers={"cookie": session_cookie})
    assert gateway.handle(session).status == 401


@pytest.mark.parametrize("path", ["/health", "/check", "/session"])
def test_session_is_not_restored_with_account(
    gateway: AuthGateway, tmp_path: Path, path: str
) -> None:
    file = tmp_path / "login.json"
    session_cookie, old_hash = cookie(log_in(gateway, "ada", "right horse")), stored_hash(file)
    write_users(file)
    gateway.handle(HttpRequest(method="GET", path=path))
    write_users(file, ada=old_hash)

    assert check_request(gateway, cookie=session_cookie).status == 401
    assert log_in(gateway, "ada", "right horse").status == 303


def test_change_of_other_user_keeps_session(gateway: AuthGateway, tmp_path: Path) -> None:
    file = tmp_path / "login.json"
    session_cookie = cookie(log_in(gateway, "ada", "right horse"))
    write_users(file, ada=stored_hash(file), eve=accounts.hash_password("of another"))

    assert check_request(gateway, cookie=session_cookie).status == 204


def test_password_changed_during_login_opens_no_session(
    gateway: AuthGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matches = accounts.verify_password

    def change_meanwhile(password: str, stored: str) -> bool:
        change_password(tmp_path / "login.json")
        return matches(password, stored)

    monkeypatch.setattr(accounts, "verify_password", change_meanwhile)
    session_cookie = cookie(log_in(gateway, "ada", "right horse"))

    assert check_request(gateway, cookie=session_cookie).status == 401


STORED_HASHES = {
    "quick": accounts.hash_password("right horse", rounds=10),
    "slow": accounts.hash_password("right horse", rounds=300),
    "middle": accounts.hash_password("right horse", rounds=100),
    "damaged": "$pbkdf2-sha512$many$x$y",
    "endless": f"$pbkdf2-sha512${10**9}$c2FsdHNhbHRzYWx0c2FsdA$aGFzaA",
    "plain": "right horse",
}


@pytest.mark.parametrize("password", ["right horse", "wrong"])
@pytest.mark.parametrize("name", [*STORED_HASHES, "nobody", "", "slow ", "x" * 64])
def test_login_time_does_not_depend_on_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, password: str
) -> None:
    write_users(tmp_path / "login.json", **STORED_HASHES)
    gateway = AuthGateway([tmp_path / "login.json"], session_s=60)
    gateway.handle(HttpRequest(method="GET", path="/health"))
    spent: list[int] = []
    derive = hashlib.pbkdf2_hmac

    def count(kind: str, secret: bytes, salt: bytes, rounds: int, length: int) -> bytes:
        spent.append(rounds * -(-length // 64))
        return derive(kind, secret, salt, rounds, length)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", count)
    status = log_in(gateway, name or "none", password).status

    is_correct = password == "right horse" and name in ("quick", "slow", "middle")
    assert sum(spent) == 300
    assert status == (303 if is_correct else 401)


def test_slowest_hash_of_all_files_sets_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_users(tmp_path / "login.json", ada=STORED_HASHES["quick"])
    write_users(tmp_path / "machine.json", ben=STORED_HASHES["slow"])
    gateway = AuthGateway([tmp_path / "login.json", tmp_path / "machine.json"], session_s=60)
    spent: list[int] = []
    monkeypatch.setattr(accounts, "spend_rounds", lambda _password, rounds: spent.append(rounds))
    checked: list[int] = []

    def matches(_password: str, stored: str) -> bool:
        checked.append(accounts.count_rounds(stored))
        return False

    monkeypatch.setattr(accounts, "verify_password", matches)
    for name in ("ada", "ben", "nobody"):
        log_in(gateway, name, "wrong")

    assert checked == [10, 300, 300]
    assert spent == [290]


@pytest.fixture
def slow_hash(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hashes end when the event is set, and no password is right."""
    release = threading.Event()
    monkeypatch.setattr(
        accounts, "verify_password", lambda _password, _stored: not release.wait(30)
    )
    yield release
    release.set()


def fill_login_slots(gateway: AuthGateway) -> list[threading.Thread]:
    """Logins of strangers that are under way, each from an address of its own."""
    threads = []
    for n in range(gates.MAX_PENDING_LOGINS):
        headers = SAME_ORIGIN | {"x-real-ip": f"10.0.0.{n}"}
        threads.append(threading.Thread(target=log_in, args=(gateway, "eve", "guess", headers)))
        threads[-1].start()
    deadline = time.monotonic() + 10
    while log_in(gateway, "eve", "guess", SAME_ORIGIN | {"x-real-ip": "10.1.1.1"}).status != 503:
        assert time.monotonic() < deadline
    return threads


def test_login_is_rejected_immediately_when_slots_are_full(
    gateway: AuthGateway, slow_hash: threading.Event
) -> None:
    threads = fill_login_slots(gateway)
    started = time.monotonic()
    answers = [
        log_in(gateway, "ada", "right horse", SAME_ORIGIN | {"x-real-ip": f"10.2.0.{n}"})
        for n in range(100)
    ]
    duration_s = time.monotonic() - started
    health = gateway.handle(HttpRequest(method="GET", path="/health"))
    slow_hash.set()
    for thread in threads:
        thread.join(10)

    assert {answer.status for answer in answers} == {503}
    assert all(int(dict(answer.headers)["Retry-After"]) > 0 for answer in answers)
    assert duration_s < 1
    assert health.status == 200


def test_returning_user_can_log_in_during_flood(
    gateway: AuthGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = SAME_ORIGIN | {"x-real-ip": "192.0.2.7"}
    assert log_in(gateway, "ada", "right horse", home).status == 303
    release, matches = threading.Event(), accounts.verify_password

    def wait(password: str, stored: str) -> bool:
        release.wait(30)
        return matches(password, stored)

    monkeypatch.setattr(accounts, "verify_password", wait)
    threads = fill_login_slots(gateway)
    threading.Timer(0.1, release.set).start()
    response = log_in(gateway, "ada", "right horse", home)
    for thread in threads:
        thread.join(10)

    assert response.status == 303


def test_single_address_cannot_fill_slots(gateway: AuthGateway, slow_hash: threading.Event) -> None:
    headers = SAME_ORIGIN | {"x-real-ip": "10.0.0.1"}
    threads = [
        threading.Thread(target=log_in, args=(gateway, "eve", "x", headers)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 10
    while sum(thread.is_alive() for thread in threads) > 2:
        assert time.monotonic() < deadline
    threading.Timer(0.1, slow_hash.set).start()
    response = log_in(gateway, "eve", "guess", SAME_ORIGIN | {"x-real-ip": "10.0.0.2"})
    for thread in threads:
        thread.join(10)

    assert response.status == 401


def test_other_name_from_returning_address_gets_no_reserved_slot(
    gateway: AuthGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = SAME_ORIGIN | {"x-real-ip": "192.0.2.7"}
    assert log_in(gateway, "ada", "right horse", home).status == 303
    release = threading.Event()
    monkeypatch.setattr(
        accounts, "verify_password", lambda _password, _stored: not release.wait(30)
    )
    threads = fill_login_slots(gateway)
    response = log_in(gateway, "eve", "guess", home)
    release.set()
    for thread in threads:
        thread.join(10)

    assert response.status == 503


def test_session_limit_evicts_only_sessions_of_user(
    gateway: AuthGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "login.json"
    write_users(file, ada=stored_hash(file), eve=accounts.hash_password("of eve"))
    monkeypatch.setattr(gates, "_MAX_SESSIONS", 60)
    session_cookie = cookie(log_in(gateway, "ada", "right horse"))
    eve_cookies = [cookie(log_in(gateway, "eve", "of eve")) for _ in range(70)]

    assert check_request(gateway, cookie=session_cookie).status == 204
    assert [check_request(gateway, cookie=eve_cookie).status for eve_cookie in eve_cookies] == [
        401
    ] * 20 + [204] * 50


@pytest.mark.parametrize("length", [1000, 30_000])
def test_malformed_cookies_are_parsed_quickly(gateway: AuthGateway, length: int) -> None:
    started = time.monotonic()
    statuses = {
        check_request(gateway, cookie=sent).status
        for sent in (f'{COOKIE}="' + "\\" * length, "a=b; " * length, f"{COOKIE}=" + "=" * length)
    }

    assert statuses == {401}
    assert time.monotonic() - started < 1


def test_unreadable_accounts_deny_access(
    gateway: AuthGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session_cookie = cookie(log_in(gateway, "ada", "right horse"))
    path = tmp_path / "login.json"
    path.write_text("{")
    os.utime(path, ns=(1, 1))

    assert check_request(gateway, cookie=session_cookie).status == 401
    assert "accounts cannot be read, nobody gets in" in capsys.readouterr().err


def test_password_is_not_logged(gateway: AuthGateway, capsys: pytest.CaptureFixture[str]) -> None:
    log_in(gateway, "ada\nforged line", "s3cret word")

    log_output = capsys.readouterr().err
    assert "s3cret" not in log_output
    assert log_output.count("\n") == 1


def test_first_start_creates_missing_secrets_once(tmp_path: Path) -> None:
    (login_file, machine_file) = write_account_files(tmp_path)
    access = tmp_path / "access"
    cli.create_missing_secrets(tmp_path, access, os.getgid())
    machine_data = machine_file.read_bytes()
    cli.create_missing_secrets(tmp_path, access, os.getgid())

    assert machine_file.read_bytes() == machine_data
    assert sorted(p.name for p in access.iterdir()) == ["api-key", "password-ben"]
    assert {p.stat().st_mode & 0o777 for p in access.iterdir()} == {0o600}
    assert access.stat().st_mode & 0o777 == 0o700
    assert machine_file.stat().st_mode & 0o777 == 0o640
    key, password = ((access / n).read_text().strip() for n in ("api-key", "password-ben"))
    assert min(len(key), len(password)) >= 3 + 43  # 256 bits
    assert key.encode() not in machine_data + login_file.read_bytes()
    gateway = AuthGateway([login_file, machine_file], session_s=60)
    assert log_in(gateway, "ben", password).status == 303
    assert log_in(gateway, "ada", "right horse").status == 303
    assert check_request(gateway, "POST", "documents", authorization=f"Bearer {key}").status == 204


def test_proxy_secret_is_renewed_and_private(tmp_path: Path) -> None:
    secrets = []
    for _ in range(2):
        cli.create_proxy_secret(tmp_path)
        secrets.append((tmp_path / "proxy-secret").read_text().strip())
    header = (tmp_path / "proxy-secret.conf").read_text()

    assert len(set(secrets)) == 2
    assert min(len(secret) for secret in secrets) >= 43  # 256 bits
    assert header == f"proxy_set_header X-Proxy-Secret {secrets[1]};\n"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_password_hash_is_accepted_by_profile_and_gateway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored = accounts.hash_password("a long enough one", rounds=210_000)

    assert UserLogin(name="ada", password_hash=stored).password_hash == stored
    assert accounts.verify_password("a long enough one", stored)
    assert not accounts.verify_password("a long enough two", stored)


@pytest.mark.parametrize("stored", ["", "$", "$6$x$y$z", "plain", "$pbkdf2-sha512$x$y$z"])
def test_malformed_hash_never_verifies(stored: str) -> None:
    assert not accounts.verify_password("anything", stored)


def test_hash_matches_openssl() -> None:
    # openssl kdf -keylen 64 -kdfopt digest:SHA512 -kdfopt pass:password
    #     -kdfopt salt:saltsaltsaltsalt -kdfopt iter:1000 PBKDF2
    stored = accounts.hash_password("password", salt=b"saltsaltsaltsalt", rounds=1000)

    assert stored == (
        "$pbkdf2-sha512$1000$c2FsdHNhbHRzYWx0c2FsdA$715rqIr5dXOVPpBhqqsugl037zT5bWJTWYmZtIcK8hB"
        "nisKpwfY7kokvwjDrNHqHhF50Pb7MD6HvkJwiDQw4ww"
    )
