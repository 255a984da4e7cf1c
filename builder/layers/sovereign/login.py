"""The gate: the proxy asks it about every request before anything else does.

A person logs in once and gets a cookie; a program sends its key each time. The one
program that knows hashes and digests runs nothing but Python's own library.
"""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from . import accounts
from .keeper import log
from .web import Answer, Request, refused, told

COOKIE = "__Host-hardpan"
"""The prefix makes browsers hold it to this host and to TLS."""

_SESSIONS_MOST = 10_000
_NAME_MOST, _PASSWORD_MOST = 64, 1024
_WAIT_S = 20
_READING = ("GET", "HEAD")
_CLEAR = f"{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"


@dataclass(frozen=True, slots=True)
class _Session:
    name: str
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
        self._stamp: tuple[float, ...] = ()
        self._known = accounts.Accounts({}, {})
        # So that an unknown name takes as long as a wrong password.
        self._nobody = accounts.password_hash(secrets.token_hex())

    def handle(self, asked: Request) -> Answer:
        """The answer to one request."""
        path = urlsplit(asked.path).path
        if path == "/health":
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
        kept = self._accounts().users.get(name)
        if not self._hashing.acquire(timeout=_WAIT_S):
            return refused(429, "too many people log in just now")
        try:
            right = accounts.matches(password, kept or self._nobody) and kept is not None
        finally:
            self._hashing.release()
        where = asked.headers.get("x-real-ip", "?")
        if not right:
            log(f"login refused: {name!a} from {where}")
            return refused(401, "the name or the password is wrong")
        log(f"login: {name!a} from {where}")
        token = secrets.token_urlsafe(32)
        self._remember(token, name)
        cookie = (
            f"{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict;"
            f" Max-Age={int(self._session_s)}"
        )
        return Answer(status=303, headers=(("Location", "/"), ("Set-Cookie", cookie)))

    def _logout(self, asked: Request) -> Answer:
        if not _own_page(asked):
            return refused(403, "this came from another site's page")
        with self._lock:
            self._sessions.pop(accounts.key_digest(_token(asked)), None)
        return Answer(status=303, headers=(("Location", "/"), ("Set-Cookie", _CLEAR)))

    def _logged_in(self, asked: Request) -> str | None:
        with self._lock:
            session = self._sessions.get(accounts.key_digest(_token(asked)))
        if session is None or session.ends < self._clock():
            return None
        # Whoever lost the account lost the session.
        return session.name if session.name in self._accounts().users else None

    def _remember(self, token: str, name: str) -> None:
        now = self._clock()
        with self._lock:
            live = {k: s for k, s in self._sessions.items() if s.ends > now}
            while len(live) >= _SESSIONS_MOST:
                del live[next(iter(live))]
            live[accounts.key_digest(token)] = _Session(name, now + self._session_s)
            self._sessions = live

    def _accounts(self) -> accounts.Accounts:
        """The accounts as the files have them now."""
        stamp = tuple(p.stat().st_mtime_ns if p.exists() else 0 for p in self._files)
        if stamp != self._stamp:
            try:
                self._known = accounts.read(self._files)
            except (ValueError, KeyError, TypeError) as e:
                # Closed rather than as it was: nobody knows what was meant to change.
                log(f"accounts cannot be read, nobody gets in: {e!r}")
                self._known = accounts.Accounts({}, {})
            self._stamp = stamp
        return self._known


def _token(asked: Request) -> str:
    try:
        held = SimpleCookie(asked.headers.get("cookie", ""))
    except CookieError:
        return ""
    return held[COOKIE].value if COOKIE in held else ""


def _own_page(asked: Request) -> bool:
    """Whether a browser says that the request comes from a page of this very host."""
    site = asked.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = asked.headers.get("origin", "")
    return origin == f"https://{asked.headers.get('x-original-host', '')}"
