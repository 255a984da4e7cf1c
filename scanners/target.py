"""Whom to scan: what a person typed, or what the builder handed on, checked and frozen."""

import getpass
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hardpan.errors import InputError
from hardpan.process import run
from hardpan.scanners.model import HostKeyTrust
from hardpan.secret_files import require_private

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\$?")
_KEY = re.compile(r"[a-z0-9@.-]{7,64} [A-Za-z0-9+/]{32,4096}={0,2}")
_PORT = re.compile(r"[0-9]{1,5}")
_MAX_TEXT = 512
_WANTED = "expected [user@]host[:port], ssh://[user@]host[:port], or an IPv6 address in brackets"


class BuiltGuest(Protocol):
    """What the builder knows about a guest; ``hardpan.builder.receipts.Guest`` is one."""

    @property
    def address(self) -> str: ...  # noqa: D102
    @property
    def port(self) -> int: ...  # noqa: D102
    @property
    def user(self) -> str: ...  # noqa: D102
    @property
    def private_key(self) -> Path: ...  # noqa: D102
    @property
    def host_keys(self) -> tuple[str, ...]: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One host that answers on SSH, and what is known about its identity."""

    host: str
    """Name or address to connect to; IPv6 without brackets."""

    port: int = 22
    user: str
    known_as: str = ""
    """Name under which ``known_hosts`` lists it; empty: the host itself."""

    identity: Path | None = None
    """Private key file; None: the agent and the usual files in ``~/.ssh``."""

    host_keys: tuple[str, ...] = ()
    """Pinned public host keys, ``type base64`` each; they beat ``known_hosts``."""

    pinned_by: HostKeyTrust = HostKeyTrust.PINNED
    """Where the pinned keys come from: a person, or the guest that hardpan built."""

    known_hosts: tuple[Path, ...] = ()
    """Files of known host keys, used when no key is pinned."""

    trust_new_host_key: bool = False
    """True only when a person typed the flag: an unknown key is believed, and that is recorded.

    A key that differs from a pinned or known one is refused all the same.
    """

    def __str__(self) -> str:
        """``user@host:port``, as messages show it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"


def parse(
    text: str,
    *,
    ssh_config: Path | None = None,
    identity: Path | None = None,
    host_keys: Sequence[str] = (),
    known_hosts: Path | None = None,
    trust_new_host_key: bool = False,
) -> Target:
    """The target that a person typed.

    With ``ssh_config`` the host's settings (HostName, Port, User, IdentityFile,
    UserKnownHostsFile, HostKeyAlias) are what OpenSSH itself makes of that file;
    what was typed wins over it.

    Raises:
        InputError: the text or a file is odd, others have access to the identity, or the
            settings ask for a jump host.
        ToolError: ``ssh`` is needed to read the settings and is missing.
    """
    user, host, port = _split(text)
    found = _settings(host, ssh_config) if ssh_config else {}
    _refuse_jumps(found, host)
    identity = identity or _first_file(found.get("identityfile", ()))
    if identity is not None and not identity.is_file():
        raise InputError(f"{identity}: no such private key file")
    if identity is not None:
        require_private(identity)
    name = _host(_one(found, "hostname") or host, text)
    return Target(
        host=name,
        port=_port(port or _one(found, "port") or "22", text),
        user=_user(user or _one(found, "user") or getpass.getuser(), text),
        known_as=_host(_one(found, "hostkeyalias") or name, text),
        identity=identity,
        host_keys=tuple(_pinned(k) for k in host_keys),
        known_hosts=_known_files(known_hosts, found),
        trust_new_host_key=trust_new_host_key,
    )


def of_guest(guest: BuiltGuest) -> Target:
    """The target that a guest of the builder is, its host keys pinned.

    Raises:
        InputError: the builder learned no host key.
    """
    if not guest.host_keys:
        raise InputError(
            "the guest announced no host key, so there is nothing to know it by",
            hint="the serial log should show lines that begin with HARDPAN-HOSTKEY:",
        )
    return Target(
        host=_host(guest.address, guest.address),
        port=_port(str(guest.port), guest.address),
        user=_user(guest.user, guest.address),
        identity=guest.private_key,
        host_keys=tuple(_pinned(k) for k in guest.host_keys),
        pinned_by=HostKeyTrust.BUILT_IMAGE,
    )


def _split(text: str) -> tuple[str, str, str]:
    if not text or len(text) > _MAX_TEXT or not text.isascii() or not text.isprintable():
        raise InputError(f"not a target: {text[:80]!r}", hint=_WANTED)
    rest = text.removeprefix("ssh://").removesuffix("/") if text.startswith("ssh://") else text
    user, _, place = rest.rpartition("@")
    if "@" in rest and not user:
        raise InputError(f"not a target: {text!r}: nothing in front of the @", hint=_WANTED)
    if user:
        _user(user, text)
    if place.startswith("["):
        address, closed, after = place[1:].partition("]")
        if not closed or (after and not after.startswith(":")) or after == ":":
            raise InputError(f"not a target: {text!r}", hint=_WANTED)
        return user, _host(address, text), after[1:]
    if place.count(":") > 1:
        raise InputError(f"not a target: {text!r}", hint="put an IPv6 address in brackets")
    host, colon, port = place.partition(":")
    if colon and not port:
        raise InputError(f"not a target: {text!r}: no port after the colon", hint=_WANTED)
    return user, _host(host, text), port


def _host(host: str, text: str) -> str:
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError as e:
            raise InputError(f"{text!r}: not an IPv6 address: {host!r}", hint=_WANTED) from e
        return host
    if not _NAME.fullmatch(host):
        raise InputError(f"{text!r}: not a host name: {host!r}", hint=_WANTED)
    return host


def _user(user: str, text: str) -> str:
    if not _USER.fullmatch(user):
        hint = "a password is never part of a target" if ":" in user else _WANTED
        raise InputError(f"{text!r}: not a user name", hint=hint)
    return user


def _port(port: str, text: str) -> int:
    if not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        raise InputError(f"{text!r}: expected a port of 1 to 65535, found {port!r}")
    return int(port)


def _pinned(line: str) -> str:
    words = " ".join(line.split()[:2])
    if not _KEY.fullmatch(words):
        raise InputError(f"not a public host key (type base64): {line[:80]!r}")
    return words


def _settings(host: str, config: Path) -> dict[str, tuple[str, ...]]:
    if not config.is_file():
        raise InputError(f"{config}: no such ssh config file")
    said = run(["ssh", "-G", "-F", config.absolute(), "--", host], timeout_s=30)
    return settings(said.stdout)


def settings(text: str) -> dict[str, tuple[str, ...]]:
    """What ``ssh -G`` said: lower-case setting -> its values."""
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        found[key] = (*found.get(key, ()), value.strip())
    return found


def _one(found: Mapping[str, tuple[str, ...]], key: str) -> str:
    return next(iter(found.get(key, ())), "")


def _refuse_jumps(found: Mapping[str, tuple[str, ...]], host: str) -> None:
    for key in ("proxyjump", "proxycommand"):
        value = _one(found, key)
        if value and value != "none":
            raise InputError(
                f"{host}: the ssh config asks for {key} {value!r}, which hardpan does not do",
                hint="open a tunnel (ssh -L) and scan the local end of it",
            )


def _first_file(names: Sequence[str]) -> Path | None:
    paths = (Path(n).expanduser() for n in names)
    return next((p for p in paths if p.is_file()), None)


def _known_files(typed: Path | None, found: Mapping[str, tuple[str, ...]]) -> tuple[Path, ...]:
    if typed is not None:
        if not typed.is_file():
            raise InputError(f"{typed}: no such known_hosts file")
        return (typed,)
    listed = _one(found, "userknownhostsfile").split() or ["~/.ssh/known_hosts"]
    paths = (Path(n).expanduser() for n in [*listed, "/etc/ssh/ssh_known_hosts"])
    return tuple(p for p in paths if p.is_file())
