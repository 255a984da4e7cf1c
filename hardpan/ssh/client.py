"""Connect to a target with paramiko as OpenSSH's client does: host key check, login, jump hosts.

``errors.translate`` turns every exception of paramiko into a hardpan error.
"""

import contextlib
import logging
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack

import paramiko
from paramiko.message import Message

from hardpan.core.errors import InputError, UnreachableError
from hardpan.ssh.authentication import log_in
from hardpan.ssh.command import Channel
from hardpan.ssh.connection import Connection, HostKey
from hardpan.ssh.errors import translate_errors
from hardpan.ssh.fingerprints import fingerprint
from hardpan.ssh.host_key_check import HostKeyCheck, OfferedKey
from hardpan.ssh.network import ProxyLog, open_proxy, open_tcp
from hardpan.ssh.public_key_blob import decode_base64, is_valid_public_key, key_type_of
from hardpan.ssh.target import Target
from hardpan.ssh.transport_kind import DEFAULT_TRANSPORT
from hardpan.ssh.unsupported import UnsupportedByParamiko

_KEEPALIVE_S = 15
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")

# paramiko logs text of the server: without a handler Python would print it.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

Stream = socket.socket | paramiko.Channel
"""The bytes of a connection: a socket, or a channel through a jump host."""


@contextlib.contextmanager
def connect(target: Target, *, timeout_s: float, sudo_password: str = "") -> Iterator[Connection]:
    """Open an authenticated connection to the target for the length of the block.

    ``timeout_s`` applies to each step of a connection, unless ``ConnectTimeout`` is set.

    Raises:
        TrustError: the host key of the target or of a jump host is not the pinned or listed one.
        UnreachableError: refused, no answer in time, no login, or hung up.
        InputError: a key file cannot be read, or a pinned host key has an unknown type.
        UnsupportedByParamiko: only the system's ssh can open this connection.
    """
    _check_pinned_keys(target)
    with ExitStack() as stack:
        stream: Stream | None = None
        for hop, destination in zip(target.jumps, (*target.jumps[1:], target), strict=False):
            transport, _ = stack.enter_context(_open_transport(hop, stream, timeout_s))
            stream = stack.enter_context(_open_tunnel(transport, hop, destination, timeout_s))
        transport, host_key = stack.enter_context(_open_transport(target, stream, timeout_s))
        yield Connection(target, _ParamikoTransport(transport, target), host_key, sudo_password)


class _ParamikoTransport:
    """Starts each command in a channel of one connection of paramiko."""

    def __init__(self, transport: paramiko.Transport, target: Target) -> None:
        self.choice = DEFAULT_TRANSPORT
        self._transport = transport
        self._target = target

    def start(self, command_line: str, *, timeout_s: float, has_terminal: bool = False) -> Channel:
        start = time.monotonic()
        try:
            channel = self._transport.open_session(timeout=timeout_s)
        except paramiko.SSHException as e:
            # paramiko has no type of its own for it.
            if time.monotonic() - start < timeout_s:
                raise
            raise UnreachableError(
                f"{self._target}: opened no session within {timeout_s:g} s",
                hint="the host is overloaded or still booting: try again later",
            ) from e
        if has_terminal:
            channel.get_pty("dumb")
        channel.exec_command(command_line)
        return channel

    def close(self) -> None:
        self._transport.close()

    def translate_errors(self) -> AbstractContextManager[None]:
        return translate_errors(self._target)


class _ClientTransport(paramiko.Transport):
    """Offers exactly the given host key algorithms; paramiko puts certificates last."""

    host_key_algorithms: tuple[str, ...] = ()

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        return self.host_key_algorithms


@contextlib.contextmanager
def _open_transport(
    target: Target, stream: Stream | None, timeout_s: float
) -> Iterator[tuple[paramiko.Transport, HostKey]]:
    """Open one connection over ``stream``, or over a new one, check the host key, and log in."""
    if target.settings.unsupported:
        raise UnsupportedByParamiko(target, target.settings.unsupported)
    limit_s = target.settings.connect_timeout_s or timeout_s
    check = HostKeyCheck(target, _verify_signature)
    algorithms = check.order_algorithms()
    with ExitStack() as stack:
        log = None
        if stream is None:
            stream, log = stack.enter_context(_open_stream(target, limit_s))
        with translate_errors(target):
            transport = _build_transport(target, stream, algorithms, limit_s)
        stack.callback(transport.close)
        _negotiate(transport, target, log, limit_s)
        offered = _get_offered_key(transport)
        trust = check.check(offered)
        log_in(transport, target)
        transport.set_keepalive(_KEEPALIVE_S)
        kind = key_type_of(offered.blob)
        yield transport, HostKey(kind=kind, fingerprint=fingerprint(offered.blob), trust=trust)


@contextlib.contextmanager
def _open_stream(
    target: Target, timeout_s: float
) -> Iterator[tuple[socket.socket, ProxyLog | None]]:
    with ExitStack() as stack:
        if target.settings.proxy_command:
            yield stack.enter_context(open_proxy(target))
            return
        with translate_errors(target):
            connection = stack.enter_context(open_tcp(target, timeout_s))
        yield connection, None


@contextlib.contextmanager
def _open_tunnel(
    transport: paramiko.Transport, hop: Target, destination: Target, timeout_s: float
) -> Iterator[paramiko.Channel]:
    """Connect to the destination from a jump host."""
    try:
        with translate_errors(hop, passing=paramiko.ChannelException):
            channel = transport.open_channel(
                "direct-tcpip",
                (destination.host, destination.port),
                ("127.0.0.1", 0),
                timeout=timeout_s,
            )
    except paramiko.ChannelException as e:
        raise UnreachableError(
            f"{destination}: cannot be reached from the jump host {hop}: {e.text or e}",
            hint="on the jump host, AllowTcpForwarding and the route to the target are needed",
        ) from e
    with channel:
        yield channel


def _build_transport(
    target: Target, stream: Stream, algorithms: tuple[str, ...], timeout_s: float
) -> paramiko.Transport:
    settings = target.settings
    allowed_keys = settings.user_key_algorithms
    unwanted = [a for a in _RSA_SIGNATURES if allowed_keys and a not in allowed_keys]
    transport = _ClientTransport(
        stream, disabled_algorithms={"pubkeys": unwanted} if allowed_keys else None
    )
    transport.host_key_algorithms = algorithms
    options = transport.get_security_options()
    options.ciphers = _select(target, "ciphers", settings.ciphers, options.ciphers)
    options.digests = _select(target, "MACs", settings.macs, options.digests)
    options.kex = _select(target, "key exchanges", settings.key_exchanges, options.kex)
    transport.use_compression(settings.has_compression)
    transport.banner_timeout = timeout_s
    transport.handshake_timeout = timeout_s
    transport.auth_timeout = timeout_s
    transport.channel_timeout = timeout_s
    return transport


def _select(
    target: Target, name: str, allowed: Sequence[str], available: Sequence[str]
) -> tuple[str, ...]:
    """Return the allowed algorithms that paramiko has; all of them without a setting."""
    if not allowed:
        return tuple(available)
    selected = tuple(a for a in allowed if a in available)
    if not selected:
        raise UnsupportedByParamiko(target, f"one of the {name} {', '.join(allowed[:4])}")
    return selected


def _negotiate(
    transport: paramiko.Transport, target: Target, log: ProxyLog | None, timeout_s: float
) -> None:
    try:
        with translate_errors(target):
            transport.start_client(timeout=timeout_s)
    except UnsupportedByParamiko:
        raise
    except UnreachableError as e:
        if log is None:
            raise
        command = target.settings.proxy_command
        raise UnreachableError(
            f"{target}: ProxyCommand {command!r} opens no SSH connection: {log.tail() or e}",
            hint="run the command by hand: it should print a line that starts with SSH-2.0",
        ) from e


def _get_offered_key(transport: paramiko.Transport) -> OfferedKey:
    key = transport.get_remote_server_key()
    certificate = getattr(key, "public_blob", None)
    return OfferedKey(key.asbytes(), certificate.key_blob if certificate else b"")


def _verify_signature(public_key: bytes, data: bytes, signature: bytes) -> bool:
    try:
        key = paramiko.PKey.from_type_string(key_type_of(public_key), public_key)
        return key.verify_ssh_sig(data, Message(signature))
    except Exception:  # noqa: BLE001 - data of a host: paramiko and cryptography raise many types
        return False


def _check_pinned_keys(target: Target) -> None:
    for line in target.host_keys:
        kind, _, text = line.partition(" ")
        blob = decode_base64(text)
        try:
            paramiko.PKey.from_type_string(kind, blob)
            cause: Exception | None = None
            if not is_valid_public_key(kind, blob):
                cause = ValueError("incomplete")
        except Exception as e:  # noqa: BLE001 - paramiko and cryptography raise many types
            cause = e
        if cause is not None:
            raise InputError(
                f"host key {line[:80]!r}: cannot be used: expected an ssh-ed25519, "
                "ecdsa-sha2-nistp256, -nistp384, -nistp521 or ssh-rsa key",
                hint="ssh-keyscan shows the keys that a host offers",
            ) from cause
