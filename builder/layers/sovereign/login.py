"""The gate: the proxy asks it about every request before anything else does.

A person logs in once and gets a cookie; a program sends its key each time. The one
program that knows hashes and digests runs nothing but Python's own library.
"""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from . import accounts
from .keeper import log
from .web import Admission, Answer, Pool, Request, Slots, busy, refused, told

COOKIE = "__Host-hardpan"
"""The prefix makes browsers hold it to this host and to TLS."""

MAX_WAITING = 6
"""Logins that are checked or wait for it; more are refused at once."""

MAX_WAITING_KNOWN = 4
"""Further ones, for people who log in from an address where they did so before."""

_MAX_PER_ADDRESS = 2
_MAX_SESSIONS = _MAX_KNOWN = 10_000
_MAX_SESSIONS_PER_USER = 50
_NAME_MOST, _PASSWORD_MOST = 64, 1024
_READING = ("GET", "HEAD")
_NO_ADDRESS = "?"
_CLEAR = f"{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"
# More threads than logins that may wait: one is always free to refuse the next.
_POOL = Pool(
    name="login",
    threads=MAX_WAITING + MAX_WAITING_KNOWN + 2,
    slots=32,
    slots_per_user=32,
    max_body=8192,
)


@dataclass(frozen=True, slots=True)
class _Session:
    name: str
    fingerprint: str
    """Of the password's hash: with another one the session has ended."""

    ends: float


class Gate:
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
        # Slow hashes one at a time: guessing cannot take the machine.
        self._hashing = threading.Lock()
        self._waiting = Slots(MAX_WAITING, _MAX_PER_ADDRESS)
        self._waiting_known = Slots(MAX_WAITING_KNOWN, _MAX_PER_ADDRESS)
        self._known_at: dict[tuple[str, str], None] = {}
        """Name and address of successful logins, the newest last."""

        self._reading = threading.Lock()
        self._stamp: object = None
        self._known = accounts.Accounts({}, {})
        self._rounds = accounts.ROUNDS
        self._decoy = accounts.decoy(self._rounds)

    @property
    def pools(self) -> Sequence[Pool]:
        """The threads that check passwords."""
        return (_POOL,)

    def admit(self, request: Request) -> Admission | Answer:
        """Answer what is quick; let a login wait for a thread."""
        if (request.method, _path(request)) == ("POST", "/login"):
            return Admission(_POOL, _address(request))
        return self.handle(request)

    def handle(self, asked: Request) -> Answer:
        """The answer to one request."""
        path = _path(asked)
        if path == "/health":
            # So that an account that is taken away for a while is noticed.
            self._accounts()
            return told(200, {})
        if path == "/check":
            return self._check(asked)
        if path == "/session":
            name = self._logged_in(asked)
            return told(200, {"user": name}) if name else refused(401, "log in first")
        if path == "/login" and asked.method == "POST":
            return self._login(asked)
        if path == "/logout" and asked.method == "POST":
            return self._logout(asked)
        return refused(401, "log in first")

    def _check(self, asked: Request) -> Answer:
        kind, _, key = asked.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            found = self._accounts().keys.get(accounts.key_digest(key.strip()))
            if found is None:
                return refused(401, "this key is not known")
            if asked.headers.get("x-scope") not in found.scopes:
                return refused(403, "this key does not open that")
            return Answer(status=204, headers=(("X-User", f"key:{found.name}"),))
        name = self._logged_in(asked)
        if name is None:
            return refused(401, "log in or send a key")
        method = asked.headers.get("x-original-method", "")
        if method not in _READING and not _own_page(asked):
            return refused(403, "this came from another site's page")
        return Answer(status=204, headers=(("X-User", name),))

    def _login(self, asked: Request) -> Answer:
        if not _own_page(asked):
            return refused(403, "this came from another site's page")
        try:
            form = parse_qs(asked.body.decode("ascii"), max_num_fields=4, strict_parsing=True)
            name, password = form["name"][0], form["password"][0]
        except (ValueError, KeyError):
            return refused(400, "expected the form's name and password")
        if len(name) > _NAME_MOST or len(password) > _PASSWORD_MOST:
            return refused(400, "expected a shorter name and password")
        address = _address(asked)
        with self._lock:
            is_known = (name, address) in self._known_at
        slots = self._waiting_known if is_known else self._waiting
        if slots.take(address):
            return busy(503, "too many people log in just now; try again")
        try:
            stored = self._password_hash(name, password)
        finally:
            slots.free(address)
        if stored is None:
            log(f"login refused: {name!a} from {address}")
            return refused(401, "the name or the password is wrong")
        log(f"login: {name!a} from {address}")
        token = secrets.token_urlsafe(32)
        self._remember(token, name, stored, address)
        cookie = (
            f"{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict;"
            f" Max-Age={int(self._session_s)}"
        )
        return Answer(status=303, headers=(("Location", "/"), ("Set-Cookie", cookie)))

    def _password_hash(self, name: str, password: str) -> str | None:
        """The hash that the password is right for; None if it is wrong.

        Takes the rounds of the site's slowest hash whoever is asked for: neither an unknown
        name nor one with a faster hash shows by its time.
        """
        stored = self._accounts().users.get(name, "")
        max_rounds, decoy = self._rounds, self._decoy
        is_known = accounts.cost(stored) > 0
        checked = stored if is_known else decoy
        with self._hashing:
            is_right = accounts.matches(password, checked)
            missing = max_rounds - accounts.cost(checked)
            if missing > 0:
                accounts.spend(password, missing)
        return stored if is_right and is_known else None

    def _logout(self, asked: Request) -> Answer:
        if not _own_page(asked):
            return refused(403, "this came from another site's page")
        with self._lock:
            self._sessions.pop(accounts.key_digest(_token(asked)), None)
        return Answer(status=303, headers=(("Location", "/"), ("Set-Cookie", _CLEAR)))

    def _logged_in(self, asked: Request) -> str | None:
        known = self._accounts()
        with self._lock:
            session = self._sessions.get(accounts.key_digest(_token(asked)))
        if session is None or session.ends < self._clock() or not _is_valid(session, known):
            return None
        return session.name

    def _remember(self, token: str, name: str, stored: str, address: str) -> None:
        now = self._clock()
        # Of the hash that was checked: it may have changed since.
        session = _Session(name, accounts.fingerprint(stored), now + self._session_s)
        with self._lock:
            live = {k: s for k, s in self._sessions.items() if s.ends > now}
            of_user = [k for k, s in live.items() if s.name == name]
            for oldest in of_user[: max(0, len(of_user) + 1 - _MAX_SESSIONS_PER_USER)]:
                del live[oldest]
            while len(live) >= _MAX_SESSIONS:
                del live[next(iter(live))]
            live[accounts.key_digest(token)] = session
            self._sessions = live
            if address != _NO_ADDRESS:
                self._known_at.pop((name, address), None)
                self._known_at[name, address] = None
            while len(self._known_at) > _MAX_KNOWN:
                del self._known_at[next(iter(self._known_at))]

    def _accounts(self) -> accounts.Accounts:
        """The accounts as the files have them now."""
        with self._reading:
            stamp = tuple(_stamp(path) for path in self._files)
            if stamp != self._stamp:
                self._read()
                self._stamp = stamp
            return self._known

    def _read(self) -> None:
        try:
            self._known = accounts.read(self._files)
        except (OSError, ValueError, KeyError, TypeError) as e:
            # Closed rather than as it was: nobody knows what was meant to change.
            log(f"accounts cannot be read, nobody gets in: {e!r}")
            self._known = accounts.Accounts({}, {})
            return
        costs = [accounts.cost(stored) for stored in self._known.users.values()]
        self._rounds = max([accounts.ROUNDS, *costs])
        self._decoy = accounts.decoy(self._rounds)
        # For good: an account that comes back does not bring its sessions back.
        with self._lock:
            valid = {k: s for k, s in self._sessions.items() if _is_valid(s, self._known)}
            self._sessions = valid


def _is_valid(session: _Session, known: accounts.Accounts) -> bool:
    """Whether its account is there and has the password that opened it."""
    stored = known.users.get(session.name)
    return stored is not None and accounts.fingerprint(stored) == session.fingerprint


def _stamp(path: Path) -> object:
    """Changes whenever the file does, even if its times were put back."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _path(request: Request) -> str:
    return request.path.partition("?")[0]


def _address(request: Request) -> str:
    """The client's, as the proxy tells it."""
    return request.headers.get("x-real-ip", _NO_ADDRESS)


def _token(asked: Request) -> str:
    """What the session's cookie holds; by hand, in one pass over what anybody may send."""
    for part in asked.headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _own_page(asked: Request) -> bool:
    """Whether a browser says that the request comes from a page of this very host."""
    site = asked.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = asked.headers.get("origin", "")
    return origin == f"https://{asked.headers.get('x-original-host', '')}"
