"""Commands of the AI service on the target: run a service, create secrets, change logins.

Secrets are created at the machine's first boot, never in the image. Each is written to its own
file in a folder that only root can read; the console shows the folder's name only.
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
from .accounts import MACHINE_KEY_NAME, Accounts, StoredKey
from .watchdog import log_line, start_watchdog

SETTINGS_DIR = Path("/etc/hardpan/ai_service")
ACCESS_DIR = Path("/root/hardpan-access")
RUN_DIR = Path("/run/hardpan-ai")
PROXY_CREDENTIAL = "proxy-secret"
"""Name of the file and of the systemd credential shared by proxy and knowledge base."""

STATE_DIR = Path("/var/lib/ai")
_AUTH_GROUP = "ai-auth"
_MIN_PASSWORD_CHARS = 12


def main(argv: list[str]) -> None:
    """Run the command named by the first argument."""
    commands: dict[str, Callable[[list[str]], None]] = {
        "login": lambda _: _run_login(),
        "knowledge-base": lambda _: _run_knowledge_base(),
        "model-server": lambda _: _run_model_server(),
        "first-start": lambda _: _run_first_start(),
        "change-password": _change_password,
        "new-key": _create_api_key,
    }
    if not argv or argv[0] not in commands:
        raise SystemExit(f"expected one of {', '.join(commands)}")
    commands[argv[0]](argv[1:])


def _run_first_start() -> None:
    create_missing_secrets(SETTINGS_DIR, ACCESS_DIR, grp.getgrnam(_AUTH_GROUP).gr_gid)
    create_proxy_secret(RUN_DIR)


def create_proxy_secret(folder: Path) -> None:
    """Create the secret that authenticates the proxy to the knowledge base, new at each boot.

    The folder is in memory and private to root; systemd passes the files to the two services.
    """
    secret = accounts.generate_secret()
    _write_for_root(folder / PROXY_CREDENTIAL, secret)
    _write_for_root(
        folder / f"{PROXY_CREDENTIAL}.conf", f"proxy_set_header X-Proxy-Secret {secret};"
    )


def create_missing_secrets(settings: Path, access: Path, group: int) -> None:
    """Create passwords of logins without one, and the machine's own API key."""
    image_settings = _load_settings(settings / "login.json")
    machine_accounts = accounts.load_accounts([settings / "machine.json"])
    new_secrets: dict[str, str] = {}
    users, keys = dict(machine_accounts.users), dict(machine_accounts.keys)
    for user in image_settings["users"]:
        if not user["hash"] and user["name"] not in users:
            new_secrets[f"password-{user['name']}"] = secret = accounts.generate_secret()
            users[user["name"]] = accounts.hash_password(secret)
    if image_settings["machine_key"] and all(k.name != MACHINE_KEY_NAME for k in keys.values()):
        new_secrets["api-key"] = secret = accounts.generate_secret()
        keys[accounts.digest_key(secret)] = StoredKey(
            name=MACHINE_KEY_NAME, scopes=("chat", "documents")
        )
    if not new_secrets:
        return
    access.mkdir(mode=0o700, exist_ok=True)
    # Written before the accounts: a secret that nobody can read must not take effect.
    for name, secret in new_secrets.items():
        _write_for_root(access / name, secret)
    accounts.save_accounts(settings / "machine.json", Accounts(users, keys), group)
    log_line(
        f"created this machine's secrets; root can read them in {access}:"
        f" {', '.join(sorted(new_secrets))}"
    )


def _write_for_root(path: Path, secret: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())


def _run_login() -> None:
    from .auth_gateway import AuthGateway
    from .http_server import HttpServer

    settings = _load_settings(SETTINGS_DIR / "login.json")
    gateway = AuthGateway(
        [SETTINGS_DIR / "login.json", SETTINGS_DIR / "machine.json"],
        session_s=3600 * int(settings["session_hours"]),
    )
    server = HttpServer([int(settings["port"]), int(settings["form_port"])], gateway)
    start_watchdog(int(settings["port"]), "/health")
    server.serve_forever()


def _run_knowledge_base() -> None:
    from .document_store import DocumentStore, UserQuota
    from .http_server import HttpServer
    from .knowledge_base import KnowledgeBase
    from .vector_index import EmbeddingIndex

    settings = _load_settings(SETTINGS_DIR / "knowledge_base.json")
    store = DocumentStore(STATE_DIR / "kb" / "documents.sqlite")
    index = EmbeddingIndex(Path(str(settings["model"])))
    knowledge_base = KnowledgeBase(
        store,
        index,
        max_document_bytes=int(settings["max_document_bytes"]),
        quota=UserQuota(**settings["quota"]),
        proxy_secret=_read_credential(PROXY_CREDENTIAL),
    )
    threading.Thread(
        target=_exit_after, args=(knowledge_base.embed_new_chunks,), daemon=True, name="embedder"
    ).start()
    server = HttpServer([int(settings["port"])], knowledge_base)
    start_watchdog(int(settings["port"]), "/health")
    server.serve_forever()


def _read_credential(name: str) -> str:
    """Return the systemd credential of this name."""
    return (Path(os.environ["CREDENTIALS_DIRECTORY"]) / name).read_text("ascii").strip()


def _exit_after(run: Callable[[], None]) -> None:
    """Run ``run`` and then exit the process, so that systemd restarts the service."""
    try:
        run()
    finally:
        log_line("the embedding thread ended")
        os._exit(1)


def _run_model_server() -> None:
    from .serving import serve

    serve(_load_settings(SETTINGS_DIR / "model_server.json"), len(os.sched_getaffinity(0)))


def _change_password(argv: list[str]) -> None:
    """``change-password NAME``: set a login's password on this machine."""
    (name,) = argv or _exit_with_usage("change-password NAME")
    login_names = {u["name"] for u in _load_settings(SETTINGS_DIR / "login.json")["users"]}
    machine_accounts = accounts.load_accounts([SETTINGS_DIR / "machine.json"])
    if name not in login_names:
        raise SystemExit(
            f"{name!a} is not one of the image's logins: {', '.join(sorted(login_names))}"
        )
    password, repeated = getpass.getpass("new password: "), getpass.getpass("again: ")
    if password != repeated or len(password) < _MIN_PASSWORD_CHARS:
        raise SystemExit(f"expected the same {_MIN_PASSWORD_CHARS} or more characters twice")
    users = machine_accounts.users | {name: accounts.hash_password(password)}
    accounts.save_accounts(
        SETTINGS_DIR / "machine.json", Accounts(users, machine_accounts.keys), _auth_group_id()
    )
    log_line(f"the password of {name} is changed")


def _create_api_key(argv: list[str]) -> None:
    """``new-key NAME SCOPE...``: create an API key and print it once; only its digest is stored."""
    name, *scopes = argv or _exit_with_usage("new-key NAME chat documents")
    if not scopes or not set(scopes) <= {"chat", "documents"}:
        _exit_with_usage("new-key NAME chat documents")
    machine_accounts = accounts.load_accounts([SETTINGS_DIR / "machine.json"])
    keys = {d: k for d, k in machine_accounts.keys.items() if k.name != name}
    secret = accounts.generate_secret()
    keys[accounts.digest_key(secret)] = StoredKey(name=name, scopes=tuple(scopes))
    accounts.save_accounts(
        SETTINGS_DIR / "machine.json", Accounts(machine_accounts.users, keys), _auth_group_id()
    )
    sys.stdout.write(f"{secret}\n")


def _exit_with_usage(usage: str) -> list[str]:
    raise SystemExit(f"expected: {usage}")


def _auth_group_id() -> int:
    return grp.getgrnam(_AUTH_GROUP).gr_gid


def _load_settings(path: Path) -> Mapping[str, Any]:
    settings = json.loads(path.read_text("utf-8"))
    if not isinstance(settings, dict):
        raise TypeError(f"{path}: expected an object")
    return settings
