"""Keys, certificates, revocation lists and agents for generated SSH cases; created once."""

import base64
import contextlib
import hashlib
import hmac
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.process import run, spawn

HOST_KEYS = ("host_ed25519", "host_ecdsa", "host_rsa", "other_ed25519", "other_ecdsa", "other_rsa")
USER_KEYS = ("user_ed25519", "user_ecdsa", "user_rsa", "spare_1", "spare_2", "spare_3", "locked")
AUTHORITIES = ("ca_1", "ca_2", "ca_rsa")
_KINDS = {"ecdsa": ("ecdsa", "256"), "rsa": ("rsa", "2048")}
HOST_CERTIFICATES: dict[str, tuple[str, tuple[str, ...]]] = {
    "good": ("ca_1", ("-n", "web,127.0.0.1,alias")),
    "any_name": ("ca_1", ()),
    "other_name": ("ca_1", ("-n", "elsewhere")),
    "expired": ("ca_1", ("-n", "web,127.0.0.1,alias", "-V", "20200101:20210101")),
    "future": ("ca_1", ("-n", "web,127.0.0.1,alias", "-V", "20990101:20991231")),
    "other_ca": ("ca_2", ("-n", "web,127.0.0.1,alias")),
    "rsa_ca": ("ca_rsa", ("-n", "web,127.0.0.1,alias")),
    "critical": ("ca_1", ("-n", "web,127.0.0.1,alias", "-O", "critical:x@y.z=1")),
}


@dataclass(frozen=True, slots=True)
class World:
    """A folder with all of them."""

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name

    def public_key(self, name: str) -> str:
        return " ".join((self.folder / f"{name}.pub").read_text().split()[:2])

    def certificate(self, key: str, name: str) -> Path:
        return self.folder / f"{key}.{name}-cert.pub"


@contextlib.contextmanager
def build_world(folder: Path) -> Iterator[World]:
    """Make the keys and start the agents ``agent`` (three keys), ``full`` (seven) and ``empty``."""
    world = World(folder)
    for name in (*HOST_KEYS, *USER_KEYS, *AUTHORITIES):
        kind, bits = _KINDS.get(name.rpartition("_")[2], ("ed25519", "256"))
        passphrase = "secret" if name == "locked" else ""
        argv = ["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", passphrase, "-f", folder / name]
        run(argv, timeout_s=60)
    for key in HOST_KEYS[:3]:
        for name, (authority, options) in HOST_CERTIFICATES.items():
            _sign(world, key, name, authority, ["-h", *options])
    _sign(world, "user_ed25519", "user", "ca_1", ["-n", "root"])
    _sign(world, "user_rsa", "user", "ca_rsa", ["-n", "root"])
    _sign(world, "user_ed25519", "expired_user", "ca_1", ["-n", "root", "-V", "20200101:20210101"])
    _sign(world, "host_ed25519", "not_a_host", "ca_1", ["-n", "web"])
    for name, keys in {"krl": ["host_ed25519"], "krl_ca": ["ca_1"], "krl_other": ["ca_2"]}.items():
        run(
            ["ssh-keygen", "-q", "-k", "-f", folder / name, *(folder / f"{k}.pub" for k in keys)],
            timeout_s=30,
        )
    with contextlib.ExitStack() as stack:
        _start_agent(stack, world, "agent", ["spare_1", "user_ed25519", "user_rsa"])
        full = ["spare_1", "spare_2", "spare_3", "user_ecdsa", *AUTHORITIES, "user_ed25519"]
        _start_agent(stack, world, "full", full)
        _start_agent(stack, world, "empty", [])
        yield world


def _sign(world: World, key: str, name: str, authority: str, options: list[str]) -> None:
    """Sign a copy of the public key, so that its certificate gets a name of its own."""
    copy = world.folder / f"{key}.{name}.pub"
    copy.write_text((world.folder / f"{key}.pub").read_text())
    argv = ["ssh-keygen", "-q", "-s", world.path(authority), "-I", name, *options, copy]
    run(argv, timeout_s=30)


def _start_agent(stack: contextlib.ExitStack, world: World, name: str, keys: list[str]) -> None:
    path = world.folder / f"{name}.sock"
    argv = ["ssh-agent", "-D", "-a", path]
    stack.enter_context(spawn(argv, log=world.folder / f"{name}.log"))
    for _ in range(400):
        # The socket exists before the agent listens on it.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            break
        time.sleep(0.05)
    for key in keys:
        run(["ssh-add", "-q", world.path(key)], timeout_s=30, env={"SSH_AUTH_SOCK": str(path)})


def hash_name(name: str) -> str:
    """The name of a host as HashKnownHosts writes it."""
    salt = hashlib.sha1(name.encode(), usedforsecurity=False).digest()
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
