"""The target of a scan: parsed from the command line or returned by the builder."""

import getpass
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hardpan.core.errors import InputError
from hardpan.core.process import run
from hardpan.core.secret_files import require_private
from hardpan.ssh.host_key_trust import HostKeyTrust

_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?")
_USER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\$?")
_HOST_KEY = re.compile(r"[a-z0-9@.-]{7,64} [A-Za-z0-9+/]{32,4096}={0,2}")
_PORT = re.compile(r"[0-9]{1,5}")
_MAX_TARGET_CHARS = 512
_SYNTAX_HINT = (
    "expected [user@]host[:port], ssh://[user@]host[:port], or an IPv6 address in brackets"
)


class SshGuest(Protocol):
    """Connection data of a booted guest; ``hardpan.builder.artifacts.Guest`` is one."""

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
    """One host that is reached over SSH, and the host keys that it may have."""

    host: str
    """Name or address to connect to; IPv6 without brackets."""

    port: int = 22
    user: str
    host_key_alias: str = ""
    """Name under which ``known_hosts`` lists it; empty: the host itself."""

    identity: Path | None = None
    """Private key file; None: the agent and the usual files in ``~/.ssh``."""

    host_keys: tuple[str, ...] = ()
    """Pinned public host keys, ``type base64`` each; they override ``known_hosts``."""

    pinned_by: HostKeyTrust = HostKeyTrust.PINNED
    """Origin of the pinned keys: the user, or the guest that hardpan built."""

    known_hosts: tuple[Path, ...] = ()
    """Files of known host keys, used when no key is pinned."""

    trust_new_host_key: bool = False
    """True only if the user gave the flag: an unknown key is accepted, and that is recorded.

    A key that differs from a pinned or listed one is refused regardless.
    """

    def __str__(self) -> str:
        """``user@host:port``, as messages show it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"


def parse_target(
    text: str,
    *,
    ssh_config: Path | None = None,
    identity: Path | None = None,
    host_keys: Sequence[str] = (),
    known_hosts: Path | None = None,
    trust_new_host_key: bool = False,
) -> Target:
    """Parse a target as given on the command line.

    With ``ssh_config`` the host's settings (HostName, Port, User, IdentityFile,
    UserKnownHostsFile, HostKeyAlias) are those that OpenSSH itself resolves from that file;
    explicit values override them.

    Raises:
        InputError: the text or a file is invalid, others can read the identity, or the settings
            require a jump host.
        ToolError: ``ssh`` is needed to read the settings and is missing.
    """
    user, host, port = _split_target(text)
    ssh_settings = _read_ssh_settings(host, ssh_config) if ssh_config else {}
    _refuse_jumps(ssh_settings, host)
    identity = identity or _first_existing(ssh_settings.get("identityfile", ()))
    if identity is not None and not identity.is_file():
        raise InputError(f"{identity}: no such private key file")
    if identity is not None:
        require_private(identity)
    name = _validate_host(_first_value(ssh_settings, "hostname") or host, text)
    return Target(
        host=name,
        port=_parse_port(port or _first_value(ssh_settings, "port") or "22", text),
        user=_validate_user(user or _first_value(ssh_settings, "user") or getpass.getuser(), text),
        host_key_alias=_validate_host(_first_value(ssh_settings, "hostkeyalias") or name, text),
        identity=identity,
        host_keys=tuple(_parse_host_key(k) for k in host_keys),
        known_hosts=_find_known_hosts(known_hosts, ssh_settings),
        trust_new_host_key=trust_new_host_key,
    )


def from_guest(guest: SshGuest) -> Target:
    """Return the target for a guest of the builder, its host keys pinned.

    Raises:
        InputError: the guest announced no host key.
    """
    if not guest.host_keys:
        raise InputError(
            "the guest announced no host key, so its identity cannot be verified",
            hint="the serial log should show lines that begin with HARDPAN-HOSTKEY:",
        )
    return Target(
        host=_validate_host(guest.address, guest.address),
        port=_parse_port(str(guest.port), guest.address),
        user=_validate_user(guest.user, guest.address),
        identity=guest.private_key,
        host_keys=tuple(_parse_host_key(k) for k in guest.host_keys),
        pinned_by=HostKeyTrust.BUILT_IMAGE,
    )


def _split_target(text: str) -> tuple[str, str, str]:
    if not text or len(text) > _MAX_TARGET_CHARS or not text.isascii() or not text.isprintable():
        raise InputError(f"not a target: {text[:80]!r}", hint=_SYNTAX_HINT)
    authority = text.removeprefix("ssh://").removesuffix("/") if text.startswith("ssh://") else text
    user, _, host_and_port = authority.rpartition("@")
    if "@" in authority and not user:
        raise InputError(f"not a target: {text!r}: no user before the @", hint=_SYNTAX_HINT)
    if user:
        _validate_user(user, text)
    if host_and_port.startswith("["):
        address, bracket, port_suffix = host_and_port[1:].partition("]")
        if not bracket or (port_suffix and not port_suffix.startswith(":")) or port_suffix == ":":
            raise InputError(f"not a target: {text!r}", hint=_SYNTAX_HINT)
        return user, _validate_host(address, text), port_suffix[1:]
    if host_and_port.count(":") > 1:
        raise InputError(f"not a target: {text!r}", hint="write an IPv6 address in brackets")
    host, colon, port = host_and_port.partition(":")
    if colon and not port:
        raise InputError(f"not a target: {text!r}: no port after the colon", hint=_SYNTAX_HINT)
    return user, _validate_host(host, text), port


def _validate_host(host: str, text: str) -> str:
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError as e:
            raise InputError(f"{text!r}: not an IPv6 address: {host!r}", hint=_SYNTAX_HINT) from e
        return host
    if not _HOST_NAME.fullmatch(host):
        raise InputError(f"{text!r}: not a host name: {host!r}", hint=_SYNTAX_HINT)
    return host


def _validate_user(user: str, text: str) -> str:
    if not _USER_NAME.fullmatch(user):
        hint = "a password is never part of a target" if ":" in user else _SYNTAX_HINT
        raise InputError(f"{text!r}: not a user name", hint=hint)
    return user


def _parse_port(port: str, text: str) -> int:
    if not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        raise InputError(f"{text!r}: expected a port of 1 to 65535, got {port!r}")
    return int(port)


def _parse_host_key(line: str) -> str:
    key = " ".join(line.split()[:2])
    if not _HOST_KEY.fullmatch(key):
        raise InputError(f"not a public host key (type base64): {line[:80]!r}")
    return key


def _read_ssh_settings(host: str, config: Path) -> dict[str, tuple[str, ...]]:
    if not config.is_file():
        raise InputError(f"{config}: no such ssh config file")
    output = run(["ssh", "-G", "-F", config.absolute(), "--", host], timeout_s=30)
    return parse_ssh_settings(output.stdout)


def parse_ssh_settings(text: str) -> dict[str, tuple[str, ...]]:
    """Parse the output of ``ssh -G``: lower-case setting -> its values."""
    values_by_key: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        values_by_key[key] = (*values_by_key.get(key, ()), value.strip())
    return values_by_key


def _first_value(ssh_settings: Mapping[str, tuple[str, ...]], key: str) -> str:
    return next(iter(ssh_settings.get(key, ())), "")


def _refuse_jumps(ssh_settings: Mapping[str, tuple[str, ...]], host: str) -> None:
    for key in ("proxyjump", "proxycommand"):
        value = _first_value(ssh_settings, key)
        if value and value != "none":
            raise InputError(
                f"{host}: the ssh config sets {key} {value!r}, which hardpan does not support",
                hint="open a tunnel (ssh -L) and scan the local end of it",
            )


def _first_existing(names: Sequence[str]) -> Path | None:
    paths = (Path(n).expanduser() for n in names)
    return next((p for p in paths if p.is_file()), None)


def _find_known_hosts(
    chosen_file: Path | None, ssh_settings: Mapping[str, tuple[str, ...]]
) -> tuple[Path, ...]:
    if chosen_file is not None:
        if not chosen_file.is_file():
            raise InputError(f"{chosen_file}: no such known_hosts file")
        return (chosen_file,)
    file_names = _first_value(ssh_settings, "userknownhostsfile").split() or ["~/.ssh/known_hosts"]
    paths = (Path(n).expanduser() for n in [*file_names, "/etc/ssh/ssh_known_hosts"])
    return tuple(p for p in paths if p.is_file())
