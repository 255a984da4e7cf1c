"""The target of a scan: parsed from the command line or returned by the builder."""

import getpass
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from hardpan.core.errors import InputError, ToolError
from hardpan.core.secret_files import require_private
from hardpan.ssh.client_settings import (
    ClientSettings,
    SettingValues,
    build_settings,
    default_values,
    first_value,
    list_known_hosts_files,
)
from hardpan.ssh.destination import (
    Destination,
    parse_destination,
    parse_port,
    validate_host,
    validate_user,
)
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.openssh_config import (
    NO_CONFIG,
    default_host_key_algorithms,
    read_ssh_settings,
)
from hardpan.ssh.tokens import TokenValues

_HOST_KEY = re.compile(r"[a-z0-9@.-]{7,64} [A-Za-z0-9+/]{32,4096}={0,2}")
_MAX_JUMPS = 8
_PUBLIC_KEY_PREFIXES = (b"ssh-", b"ecdsa-", b"sk-")


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
    """Name under which ``known_hosts`` lists it, without a port; empty: host and port."""

    identity: Path | None = None
    """Private key file of ``--identity``, the only one to try; None: those of ``settings``."""

    host_keys: tuple[str, ...] = ()
    """Pinned public host keys, ``type base64`` each; they override ``known_hosts``."""

    pinned_by: HostKeyTrust = HostKeyTrust.PINNED
    """Origin of the pinned keys: the user, or the guest that hardpan built."""

    known_hosts: tuple[Path, ...] = ()
    """Files of known host keys, used when no key is pinned; missing ones are skipped."""

    trust_new_host_key: bool = False
    """True only if the user gave the flag: an unknown key is accepted, and that is recorded.

    A key that differs from a pinned or listed one is refused regardless.
    """

    password: str = field(default="", repr=False)
    """Password of the login; empty: only keys are tried."""

    settings: ClientSettings = field(default_factory=ClientSettings)
    """What OpenSSH's client configuration says about this host."""

    jumps: tuple["Target", ...] = ()
    """Hosts to connect through (``ProxyJump``), the first one first."""

    typed: Destination | None = None
    """User, host and port as typed, for the system's ``ssh``; None: there is no configuration."""

    ssh_config: Path | None = None
    """``--ssh-config``, for the system's ``ssh -F``; None: the user's and the system's files."""

    notes: tuple[str, ...] = ()
    """What the user should know about how this target was resolved."""

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
    password: str = "",
) -> Target:
    """Parse a target as given on the command line.

    The host's settings are those that OpenSSH itself resolves with ``ssh -G``, from its own files
    or from ``ssh_config`` (``none``: no file). Explicit values override them.

    Raises:
        InputError: the text or a file is invalid, others can read the identity, or ssh rejects
            its configuration.
    """
    if identity is not None:
        _check_identity(identity)
    if known_hosts is not None and (known_hosts.is_dir() or not known_hosts.exists()):
        raise InputError(f"{known_hosts}: no such known_hosts file")
    pinned = tuple(_parse_host_key(k) for k in host_keys)
    resolved = _resolve(parse_destination(text), text, ssh_config)
    return replace(
        resolved,
        identity=identity,
        host_keys=pinned,
        known_hosts=resolved.known_hosts if known_hosts is None else (known_hosts,),
        trust_new_host_key=trust_new_host_key,
        password=password,
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
        host=validate_host(guest.address, guest.address),
        port=parse_port(str(guest.port), guest.address),
        user=validate_user(guest.user, guest.address),
        identity=guest.private_key,
        host_keys=tuple(_parse_host_key(k) for k in guest.host_keys),
        pinned_by=HostKeyTrust.BUILT_IMAGE,
    )


def _resolve(
    typed: Destination, text: str, config: Path | None, *, depth: int = 0, has_jump: bool = False
) -> Target:
    """Resolve one host; with ``has_jump`` the way to it is decided, and its own is ignored."""
    values, notes = _read_values(typed, config)
    host = validate_host(first_value(values, "hostname") or typed.host, text)
    alias = first_value(values, "hostkeyalias")
    user = typed.user or first_value(values, "user") or getpass.getuser()
    jump_text = "" if has_jump else first_value(values, "proxyjump")
    tokens = TokenValues(
        original_host=typed.host,
        host=host,
        port=parse_port(typed.port or first_value(values, "port") or "22", text),
        user=validate_user(user, text),
        alias=alias,
        jumps=jump_text,
    )
    settings = build_settings(values, tokens, default_host_key_algorithms)
    if has_jump or jump_text:
        settings = replace(settings, proxy_command="")
    return Target(
        host=host,
        port=tokens.port,
        user=user,
        host_key_alias=alias,
        known_hosts=list_known_hosts_files(values, tokens),
        settings=settings,
        jumps=_resolve_jumps(jump_text, config, depth=depth + 1),
        typed=typed,
        ssh_config=config,
        notes=notes,
    )


def _resolve_jumps(text: str, config: Path | None, *, depth: int) -> tuple[Target, ...]:
    """Resolve the hosts of ``ProxyJump``; only the first one has a way of its own."""
    names = [name for name in text.split(",") if name]
    if depth + len(names) > _MAX_JUMPS + 1:
        raise InputError(
            f"ssh config: ProxyJump {text}: more than {_MAX_JUMPS} hosts in a row",
            hint="a ProxyJump under 'Host *' applies to the jump host too; add 'Match' or '!host'",
        )
    jumps: list[Target] = []
    for index, name in enumerate(names):
        hop = _resolve(parse_destination(name), name, config, depth=depth, has_jump=index > 0)
        jumps += [*hop.jumps, replace(hop, jumps=())]
    return tuple(jumps)


def _read_values(typed: Destination, config: Path | None) -> tuple[SettingValues, tuple[str, ...]]:
    values = read_ssh_settings(typed.host, typed.user, typed.port, config)
    if values is not None:
        return values, ()
    if config not in (None, NO_CONFIG):
        raise ToolError(
            ["ssh"],
            f"is not installed, and only it can read {config}",
            hint="'hardpan doctor' shows how to install it",
        )
    note = "this machine has no ssh program: the ssh configuration is not read"
    return default_values(), (note,)


def _parse_host_key(line: str) -> str:
    key = " ".join(line.split()[:2])
    if not _HOST_KEY.fullmatch(key):
        raise InputError(f"not a public host key (type base64): {line[:80]!r}")
    return key


def _check_identity(identity: Path) -> None:
    """Check the file of ``--identity``; a public key names one of the agent's keys."""
    if not identity.is_file():
        raise InputError(f"{identity}: no such private key file")
    try:
        with identity.open("rb") as file:
            is_public = file.read(8).startswith(_PUBLIC_KEY_PREFIXES)
    except OSError as e:
        raise InputError(f"{identity}: cannot be read: {e.strerror}") from e
    if not is_public:
        require_private(identity)
