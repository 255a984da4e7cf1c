"""The authentication gateway: the proxy sends it a subrequest before it forwards a request.

A person logs in once and gets a cookie; a program sends its key with each request. Only this
program reads password hashes and key digests, and it uses the standard library only.
"""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from . import accounts
from .http_server import (
    Admission,
    HttpRequest,
    HttpResponse,
    RequestSlots,
    WorkerPool,
    busy_response,
    error_response,
    json_response,
)
from .watchdog import log_line

COOKIE = "__Host-hardpan"
"""The prefix makes browsers bind the cookie to this host and to TLS."""

MAX_PENDING_LOGINS = 6
"""Logins that are checked or queued; further ones are refused at once."""

MAX_PENDING_RETURNING = 4
"""Additional logins for users who logged in from the same address before."""

_MAX_PER_ADDRESS = 2
_MAX_SESSIONS = _MAX_REMEMBERED_CLIENTS = 10_000
_MAX_SESSIONS_PER_USER = 50
_MAX_NAME_CHARS, _MAX_PASSWORD_CHARS = 64, 1024
_SAFE_METHODS = ("GET", "HEAD")
_UNKNOWN_ADDRESS = "?"
_CLEAR_COOKIE = f"{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"
# More threads than queued logins: one is always free to refuse the next.
_LOGIN_POOL = WorkerPool(
    name="login",
    threads=MAX_PENDING_LOGINS + MAX_PENDING_RETURNING + 2,
    slots=32,
    slots_per_user=32,
    max_body_bytes=8192,
)


@dataclass(frozen=True, slots=True)
class _Session:
    name: str
    fingerprint: str
    """Digest of the password hash; a changed password ends the session."""

    expires_at: float


class AuthGateway:
    """Answers ``/check``, ``/login``, ``/logout`` and ``/session``."""

    def __init__(
        self,
        files: Sequence[Path],
        *,
        session_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._session_s = session_s
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._lock = threading.Lock()
        # One slow hash at a time: password guessing cannot exhaust the processors.
        self._hash_lock = threading.Lock()
        self._login_slots = RequestSlots(MAX_PENDING_LOGINS, _MAX_PER_ADDRESS)
        self._returning_slots = RequestSlots(MAX_PENDING_RETURNING, _MAX_PER_ADDRESS)
        self._returning_clients: dict[tuple[str, str], None] = {}
        """User and address of successful logins, newest last."""

        self._reload_lock = threading.Lock()
        self._files_state: object = None
        self._loaded_accounts = accounts.Accounts({}, {})
        self._max_rounds = accounts.DEFAULT_ROUNDS
        self._decoy_hash = accounts.make_decoy_hash(self._max_rounds)

    @property
    def pools(self) -> Sequence[WorkerPool]:
        """Threads that check passwords."""
        return (_LOGIN_POOL,)

    def admit(self, request: HttpRequest) -> Admission | HttpResponse:
        """Answer quick requests; queue a login for a thread."""
        if (request.method, _request_path(request)) == ("POST", "/login"):
            return Admission(_LOGIN_POOL, _client_address(request))
        return self.handle(request)

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Return the response to one request."""
        path = _request_path(request)
        if path == "/health":
            # So that a temporarily removed account is noticed.
            self._current_accounts()
            return json_response(200, {})
        if path == "/check":
            return self._authorize(request)
        if path == "/session":
            name = self._session_user(request)
            return (
                json_response(200, {"user": name}) if name else error_response(401, "log in first")
            )
        if path == "/login" and request.method == "POST":
            return self._login(request)
        if path == "/logout" and request.method == "POST":
            return self._logout(request)
        return error_response(401, "log in first")

    def _authorize(self, request: HttpRequest) -> HttpResponse:
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            stored_key = self._current_accounts().keys.get(accounts.digest_key(key.strip()))
            if stored_key is None:
                return error_response(401, "this key is not known")
            if request.headers.get("x-scope") not in stored_key.scopes:
                return error_response(403, "this key does not open that")
            return HttpResponse(status=204, headers=(("X-User", f"key:{stored_key.name}"),))
        name = self._session_user(request)
        if name is None:
            return error_response(401, "log in or send a key")
        method = request.headers.get("x-original-method", "")
        if method not in _SAFE_METHODS and not _is_same_origin(request):
            return error_response(403, "this came from another site's page")
        return HttpResponse(status=204, headers=(("X-User", name),))

    def _login(self, request: HttpRequest) -> HttpResponse:
        if not _is_same_origin(request):
            return error_response(403, "this came from another site's page")
        try:
            form = parse_qs(request.body.decode("ascii"), max_num_fields=4, strict_parsing=True)
            name, password = form["name"][0], form["password"][0]
        except (ValueError, KeyError):
            return error_response(400, "expected the form's name and password")
        if len(name) > _MAX_NAME_CHARS or len(password) > _MAX_PASSWORD_CHARS:
            return error_response(400, "expected a shorter name and password")
        address = _client_address(request)
        with self._lock:
            is_returning = (name, address) in self._returning_clients
        slots = self._returning_slots if is_returning else self._login_slots
        if slots.acquire(address):
            return busy_response(503, "too many people log in just now; try again")
        try:
            stored = self._verify_login(name, password)
        finally:
            slots.release(address)
        if stored is None:
            log_line(f"login refused: {name!a} from {address}")
            return error_response(401, "the name or the password is wrong")
        log_line(f"login: {name!a} from {address}")
        token = secrets.token_urlsafe(32)
        self._open_session(token, name, stored, address)
        cookie = (
            f"{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict;"
            f" Max-Age={int(self._session_s)}"
        )
        return HttpResponse(status=303, headers=(("Location", "/"), ("Set-Cookie", cookie)))

    def _verify_login(self, name: str, password: str) -> str | None:
        """Return the stored hash that the password matches; None if it is wrong.

        Always takes the rounds of the site's slowest hash, so that timing reveals neither an
        unknown user nor one with a faster hash.
        """
        stored = self._current_accounts().users.get(name, "")
        max_rounds, decoy_hash = self._max_rounds, self._decoy_hash
        account_exists = accounts.count_rounds(stored) > 0
        compared = stored if account_exists else decoy_hash
        with self._hash_lock:
            password_matches = accounts.verify_password(password, compared)
            missing_rounds = max_rounds - accounts.count_rounds(compared)
            if missing_rounds > 0:
                accounts.spend_rounds(password, missing_rounds)
        return stored if password_matches and account_exists else None

    def _logout(self, request: HttpRequest) -> HttpResponse:
        if not _is_same_origin(request):
            return error_response(403, "this came from another site's page")
        with self._lock:
            self._sessions.pop(accounts.digest_key(_session_token(request)), None)
        return HttpResponse(status=303, headers=(("Location", "/"), ("Set-Cookie", _CLEAR_COOKIE)))

    def _session_user(self, request: HttpRequest) -> str | None:
        current_accounts = self._current_accounts()
        with self._lock:
            session = self._sessions.get(accounts.digest_key(_session_token(request)))
        if (
            session is None
            or session.expires_at < self._clock()
            or not _is_valid(session, current_accounts)
        ):
            return None
        return session.name

    def _open_session(self, token: str, name: str, stored: str, address: str) -> None:
        now = self._clock()
        # Of the hash that was checked: the stored one may have changed since.
        session = _Session(name, accounts.fingerprint_hash(stored), now + self._session_s)
        with self._lock:
            live = {k: s for k, s in self._sessions.items() if s.expires_at > now}
            user_sessions = [k for k, s in live.items() if s.name == name]
            for oldest in user_sessions[: max(0, len(user_sessions) + 1 - _MAX_SESSIONS_PER_USER)]:
                del live[oldest]
            while len(live) >= _MAX_SESSIONS:
                del live[next(iter(live))]
            live[accounts.digest_key(token)] = session
            self._sessions = live
            if address != _UNKNOWN_ADDRESS:
                self._returning_clients.pop((name, address), None)
                self._returning_clients[name, address] = None
            while len(self._returning_clients) > _MAX_REMEMBERED_CLIENTS:
                del self._returning_clients[next(iter(self._returning_clients))]

    def _current_accounts(self) -> accounts.Accounts:
        """Return the accounts as currently stored in the files."""
        with self._reload_lock:
            files_state = tuple(_file_state(path) for path in self._files)
            if files_state != self._files_state:
                self._reload_accounts()
                self._files_state = files_state
            return self._loaded_accounts

    def _reload_accounts(self) -> None:
        try:
            self._loaded_accounts = accounts.load_accounts(self._files)
        except (OSError, ValueError, KeyError, TypeError) as e:
            # Fails closed: the intended change is unknown, so the former accounts are not used.
            log_line(f"accounts cannot be read, nobody gets in: {e!r}")
            self._loaded_accounts = accounts.Accounts({}, {})
            return
        rounds = [accounts.count_rounds(stored) for stored in self._loaded_accounts.users.values()]
        self._max_rounds = max([accounts.DEFAULT_ROUNDS, *rounds])
        self._decoy_hash = accounts.make_decoy_hash(self._max_rounds)
        # Permanently: restoring the account does not restore its sessions.
        with self._lock:
            valid = {k: s for k, s in self._sessions.items() if _is_valid(s, self._loaded_accounts)}
            self._sessions = valid


def _is_valid(session: _Session, current_accounts: accounts.Accounts) -> bool:
    """Return whether the session's account exists and still has the same password."""
    stored = current_accounts.users.get(session.name)
    return stored is not None and accounts.fingerprint_hash(stored) == session.fingerprint


def _file_state(path: Path) -> object:
    """Return a value that changes with the file, even if its times were reset."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _request_path(request: HttpRequest) -> str:
    return request.path.partition("?")[0]


def _client_address(request: HttpRequest) -> str:
    """Return the client's address, as the proxy passes it."""
    return request.headers.get("x-real-ip", _UNKNOWN_ADDRESS)


def _session_token(request: HttpRequest) -> str:
    """Return the session cookie's value; parsed by hand, in one pass over untrusted input."""
    for part in request.headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _is_same_origin(request: HttpRequest) -> bool:
    """Return whether the browser declares the request as same-origin."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin", "")
    return origin == f"https://{request.headers.get('x-original-host', '')}"
