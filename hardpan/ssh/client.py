"""Connect to a target with paramiko: a verified host key, and a login.

``errors.translate`` turns every exception of paramiko into a hardpan error.
"""

import base64
import contextlib
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager

import paramiko
from paramiko.pkey import UnknownKeyType

from hardpan.core.errors import InputError, TrustError, UnreachableError
from hardpan.ssh.command import Channel
from hardpan.ssh.connection import Connection, HostKey
from hardpan.ssh.errors import encrypted_key, fingerprint, translate
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.known_hosts import read_known_hosts
from hardpan.ssh.target import Target
from hardpan.ssh.transport_kind import DEFAULT_TRANSPORT

_KEEPALIVE_S = 15

# paramiko logs text of the server: without a handler Python would print it.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@contextlib.contextmanager
def connect(target: Target, *, timeout_s: float, sudo_password: str = "") -> Iterator[Connection]:
    """Open an authenticated connection to the target for the length of the block.

    Raises:
        TrustError: the host key is not the pinned or listed one.
        UnreachableError: refused, no answer within ``timeout_s``, no login, or hung up.
        InputError: a key file cannot be read, or a pinned host key has an unknown type.
    """
    client = paramiko.SSHClient()
    try:
        with _translate_errors(target):
            policy = _HostKeyPolicy(target, _load_host_keys(client, target))
            client.set_missing_host_key_policy(policy)
            _authenticate(client, target, timeout_s)
            transport = client.get_transport()
            if transport is None:
                raise UnreachableError(f"{target}: hung up after the login")
            transport.set_keepalive(_KEEPALIVE_S)
            key = transport.get_remote_server_key()
        listed_trust = target.pinned_by if target.host_keys else HostKeyTrust.KNOWN_HOSTS
        host_key = HostKey(
            kind=key.get_name(),
            fingerprint=fingerprint(key.asbytes()),
            trust=HostKeyTrust.FIRST_USE if policy.has_accepted_new_key else listed_trust,
        )
        yield Connection(target, _ParamikoTransport(transport, target), host_key, sudo_password)
    finally:
        client.close()


class _ParamikoTransport:
    """Starts each command in a channel of one connection of paramiko."""

    def __init__(self, transport: paramiko.Transport, target: Target) -> None:
        self.choice = DEFAULT_TRANSPORT
        self._transport = transport
        self._target = target

    def start(self, command_line: str, *, timeout_s: float, has_terminal: bool = False) -> Channel:
        channel = self._transport.open_session(timeout=timeout_s)
        if has_terminal:
            channel.get_pty("dumb")
        channel.exec_command(command_line)
        return channel

    def close(self) -> None:
        self._transport.close()

    def translate_errors(self) -> AbstractContextManager[None]:
        return _translate_errors(self._target)


class _HostKeyPolicy(paramiko.MissingHostKeyPolicy):
    """Refuses a host without a listed key, unless the user gave the flag."""

    def __init__(self, target: Target, revoked: frozenset[bytes]) -> None:
        self._target = target
        self._revoked = revoked
        self.has_accepted_new_key = False

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        """Raise ``TrustError``, or record that the key was accepted on first use."""
        offered = f"{key.get_name()} {fingerprint(key.asbytes())}"
        if key.asbytes() in self._revoked:
            raise TrustError(
                f"{self._target}: the host key is revoked: expected a key that known_hosts does "
                f"not mark @revoked, got {offered}",
                hint="another machine may have that key; find out who revoked it, and why",
            )
        if self._target.trust_new_host_key:
            self.has_accepted_new_key = True
            return
        raise TrustError(
            f"{self._target}: unknown host key; it offers {offered}",
            hint="compare that with the host's own console (ssh-keygen -lf), then add it to "
            "known_hosts or pin it with --host-key",
        )


def _load_host_keys(client: paramiko.SSHClient, target: Target) -> frozenset[bytes]:
    """Add the accepted host keys to the client and return the revoked ones."""
    lookup_name = target.host if target.port == 22 else f"[{target.host}]:{target.port}"
    known_hosts_name = target.host_key_alias or lookup_name
    keys = client.get_host_keys()
    for line in target.host_keys:
        keys.add(lookup_name, line.partition(" ")[0], _load_pinned_key(line))
    if target.host_keys:
        return frozenset()
    files = [
        read_known_hosts(path, known_hosts_name) for path in target.known_hosts if path.is_file()
    ]
    revoked = frozenset[bytes]().union(*(file.revoked for file in files))
    for file in files:
        usable_keys: dict[str, paramiko.PKey] = {}
        for line_key in file.listed:
            key = _load_public_key(line_key.kind, line_key.blob)
            if key is not None and line_key.blob not in revoked:
                usable_keys.setdefault(key.get_name(), key)
        for kind, key in usable_keys.items():
            keys.add(lookup_name, kind, key)
    return revoked


def _load_pinned_key(line: str) -> paramiko.PKey:
    kind, _, text = line.partition(" ")
    try:
        key = _load_public_key(kind, base64.b64decode(text))
    except ValueError:
        key = None
    if key is None:
        raise InputError(
            f"host key {line[:80]!r}: cannot be used: expected an ssh-ed25519, "
            "ecdsa-sha2-nistp256, -nistp384, -nistp521 or ssh-rsa key",
            hint="ssh-keyscan shows the keys that a host offers",
        )
    return key


def _load_public_key(kind: str, blob: bytes) -> paramiko.PKey | None:
    """Return the public key; None if it is damaged or of a type that paramiko lacks."""
    try:
        return paramiko.PKey.from_type_string(kind, blob)
    except (UnknownKeyType, paramiko.SSHException, ValueError, OverflowError):
        return None


def _authenticate(client: paramiko.SSHClient, target: Target, timeout_s: float) -> None:
    client.connect(
        target.host,
        port=target.port,
        username=target.user,
        pkey=_load_private_key(target),
        key_filename=[str(path) for path in target.settings.identity_files if path.is_file()],  # type: ignore[arg-type]
        allow_agent=target.identity is None,
        look_for_keys=False,
        timeout=timeout_s,
        banner_timeout=timeout_s,
        auth_timeout=timeout_s,
        channel_timeout=timeout_s,
    )


def _load_private_key(target: Target) -> paramiko.PKey | None:
    if target.identity is None:
        return None
    try:
        return paramiko.PKey.from_path(target.identity)
    except TypeError as e:  # cryptography raises it for an encrypted key
        raise encrypted_key(e, target) from e
    except (UnknownKeyType, ValueError) as e:
        raise InputError(f"{target.identity}: not a private key that can be used: {e}") from e


@contextlib.contextmanager
def _translate_errors(target: Target) -> Iterator[None]:
    try:
        yield
    except (paramiko.SSHException, OSError, EOFError) as e:
        raise translate(e, target) from e
