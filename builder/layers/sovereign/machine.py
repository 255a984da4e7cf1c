"""What each machine does for itself: starts the services, makes secrets, changes logins.

Secrets are made at the machine's own first start, never in the image. Root finds each
in a file of its own in one folder, whose name alone is told on the console.
"""

import getpass
import grp
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import accounts
from .accounts import MACHINE, Accounts, Key
from .keeper import keep, log

SETTINGS = Path("/etc/hardpan/sovereign")
ACCESS = Path("/root/hardpan-access")
RUN = Path("/run/hardpan-ai")
CREDENTIAL = "proxy-secret"
"""Name of the file, and of systemd's credential, of what proxy and knowledge base share."""

STATE = Path("/var/lib/ai")
_GROUP = "ai-auth"
_LEAST = 12


def main(argv: list[str]) -> None:
    """Do what the first argument says."""
    todo: dict[str, Callable[[list[str]], None]] = {
        "login": lambda _: _login(),
        "knowledge": lambda _: _knowledge(),
        "serving": lambda _: _serving(),
        "first-start": lambda _: _first_start(),
        "password": _password,
        "new-key": _new_key,
    }
    if not argv or argv[0] not in todo:
        raise SystemExit(f"expected one of {', '.join(todo)}")
    todo[argv[0]](argv[1:])


def _first_start() -> None:
    first_start(SETTINGS, ACCESS, grp.getgrnam(_GROUP).gr_gid)
    make_proxy_secret(RUN)


def make_proxy_secret(folder: Path) -> None:
    """Make what the proxy proves itself with to the knowledge base, new at each start.

    The folder is in memory and root's alone; systemd hands the files to the two services.
    """
    secret = accounts.new_secret()
    _for_root(folder / CREDENTIAL, secret)
    _for_root(folder / f"{CREDENTIAL}.conf", f"proxy_set_header X-Proxy-Secret {secret};")


def first_start(settings: Path, access: Path, group: int) -> None:
    """Make what is missing: passwords of logins without one, and the machine's own key."""
    built = _read(settings / "login.json")
    made = accounts.read([settings / "machine.json"])
    fresh: dict[str, str] = {}
    users, keys = dict(made.users), dict(made.keys)
    for user in built["users"]:
        if not user["hash"] and user["name"] not in users:
            fresh[f"password-{user['name']}"] = secret = accounts.new_secret()
            users[user["name"]] = accounts.password_hash(secret)
    if built["machine_key"] and all(k.name != MACHINE for k in keys.values()):
        fresh["api-key"] = secret = accounts.new_secret()
        keys[accounts.key_digest(secret)] = Key(name=MACHINE, scopes=("chat", "documents"))
    if not fresh:
        return
    access.mkdir(mode=0o700, exist_ok=True)
    # What people read first: a secret that nobody can read must not come into force.
    for name, secret in fresh.items():
        _for_root(access / name, secret)
    accounts.write(settings / "machine.json", Accounts(users, keys), group)
    log(f"made secrets of this machine; root reads them in {access}: {', '.join(sorted(fresh))}")


def _for_root(path: Path, secret: str) -> None:
    path.unlink(missing_ok=True)
    made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(made, "w", encoding="utf-8") as to:
        to.write(secret + "\n")
        to.flush()
        os.fsync(to.fileno())


def _login() -> None:
    from .login import Gate
    from .web import Server

    told = _read(SETTINGS / "login.json")
    gate = Gate(
        [SETTINGS / "login.json", SETTINGS / "machine.json"],
        session_s=3600 * int(told["session_hours"]),
    )
    server = Server([int(told["port"]), int(told["form_port"])], gate)
    keep(int(told["port"]), "/health")
    server.serve_forever()


def _knowledge() -> None:
    from .knowledge import Knowledge
    from .nearest import Nearest
    from .store import Quota, Store
    from .web import Server

    told = _read(SETTINGS / "knowledge.json")
    store = Store(STATE / "kb" / "documents.sqlite")
    index = Nearest(Path(str(told["model"])))
    base = Knowledge(
        store,
        index,
        document_most=int(told["document_most"]),
        quota=Quota(**told["quota"]),
        proxy_secret=_credential(CREDENTIAL),
    )
    threading.Thread(target=_or_end, args=(base.read_new,), daemon=True, name="reader").start()
    server = Server([int(told["port"])], base)
    keep(int(told["port"]), "/health")
    server.serve_forever()


def _credential(name: str) -> str:
    """What systemd handed to this service under this name."""
    return (Path(os.environ["CREDENTIALS_DIRECTORY"]) / name).read_text("ascii").strip()


def _or_end(work: Callable[[], None]) -> None:
    """End the whole service when its reader ends: systemd starts it anew."""
    try:
        work()
    finally:
        log("the reader ended")
        os._exit(1)


def _serving() -> None:
    from .serving import serve

    serve(_read(SETTINGS / "serving.json"), len(os.sched_getaffinity(0)))


def _password(argv: list[str]) -> None:
    """``password NAME``: set a login's password on this machine."""
    (name,) = argv or _ask_for("password NAME")
    known = {u["name"] for u in _read(SETTINGS / "login.json")["users"]}
    made = accounts.read([SETTINGS / "machine.json"])
    if name not in known:
        raise SystemExit(f"{name!a} is not among the image's logins: {', '.join(sorted(known))}")
    first, second = getpass.getpass("new password: "), getpass.getpass("again: ")
    if first != second or len(first) < _LEAST:
        raise SystemExit(f"expected the same {_LEAST} or more characters twice")
    users = made.users | {name: accounts.password_hash(first)}
    accounts.write(SETTINGS / "machine.json", Accounts(users, made.keys), _gid())
    log(f"the password of {name} is changed")


def _new_key(argv: list[str]) -> None:
    """``new-key NAME SCOPE...``: make an API key; it is shown once, its digest is kept."""
    name, *scopes = argv or _ask_for("new-key NAME chat documents")
    if not scopes or not set(scopes) <= {"chat", "documents"}:
        _ask_for("new-key NAME chat documents")
    made = accounts.read([SETTINGS / "machine.json"])
    keys = {d: k for d, k in made.keys.items() if k.name != name}
    secret = accounts.new_secret()
    keys[accounts.key_digest(secret)] = Key(name=name, scopes=tuple(scopes))
    accounts.write(SETTINGS / "machine.json", Accounts(made.users, keys), _gid())
    sys.stdout.write(f"{secret}\n")


def _ask_for(usage: str) -> list[str]:
    raise SystemExit(f"expected: {usage}")


def _gid() -> int:
    return grp.getgrnam(_GROUP).gr_gid


def _read(path: Path) -> Mapping[str, Any]:
    told = json.loads(path.read_text("utf-8"))
    if not isinstance(told, dict):
        raise TypeError(f"{path}: expected an object")
    return told
