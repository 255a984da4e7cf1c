"""One SSH connection to a target: commands, files, a host key that is known.

Whatever paramiko raises is turned into an error of ours by ``ssh_errors.mapped``
and nowhere else. Everything that a target says is bounded.
"""

import base64
import contextlib
import logging
import shlex
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import paramiko
from paramiko.pkey import UnknownKeyType

from hardpan.errors import InputError, ToolError, TrustError, UnreachableError
from hardpan.events import RemoteCommandEnded, publish
from hardpan.redaction import SecretFilter
from hardpan.scanners import shell
from hardpan.scanners.call import Call, OnLine, Output
from hardpan.scanners.known_hosts import read_known_hosts
from hardpan.scanners.model import HostKeyTrust
from hardpan.scanners.ssh_errors import fingerprint, locked_key, mapped
from hardpan.scanners.target import Target

_KEEPALIVE_S = 15
_GRACE_S = 20.0
_MiB = 1 << 20

# What paramiko logs has the server's own words in it: without a handler Python would print it.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """The key that the target proved to hold, and why it was believed."""

    kind: str
    """E.g. ``ssh-ed25519``."""

    fingerprint: str
    """``SHA256:…`` as ``ssh-keygen -l`` prints it."""

    trust: HostKeyTrust


@contextlib.contextmanager
def connect(target: Target, *, timeout_s: float, sudo_password: str = "") -> Iterator["Transport"]:
    """An authenticated connection to the target for the length of the block.

    Raises:
        TrustError: the host key is not the pinned or known one.
        UnreachableError: refused, no answer within ``timeout_s``, no login, or hung up.
        InputError: a key file cannot be read, or a pinned host key is of no known type.
    """
    client = paramiko.SSHClient()
    try:
        with _mapping(target):
            first = _Policy(target, _load_keys(client, target))
            client.set_missing_host_key_policy(first)
            _open(client, target, timeout_s)
            wire = client.get_transport()
            if wire is None:
                raise UnreachableError(f"{target}: hung up after the login")
            wire.set_keepalive(_KEEPALIVE_S)
            key = wire.get_remote_server_key()
        listed = target.pinned_by if target.host_keys else HostKeyTrust.KNOWN_HOSTS
        held = HostKey(
            kind=key.get_name(),
            fingerprint=fingerprint(key.asbytes()),
            trust=HostKeyTrust.FIRST_USE if first.believed else listed,
        )
        yield Transport(target, wire, held, sudo_password)
    finally:
        client.close()


class Transport:
    """Runs commands on one target over one connection; safe to use from many threads."""

    def __init__(
        self, target: Target, wire: paramiko.Transport, host_key: HostKey, sudo_password: str
    ) -> None:
        self.target = target
        self.host_key = host_key
        self._wire = wire
        self._password = sudo_password
        self._secrets = SecretFilter([sudo_password])

    def run(
        self,
        command: Sequence[str] | str,
        *,
        timeout_s: float,
        ok: Sequence[int] | None = (0,),
        stdin: bytes | None = None,
        sudo: bool = False,
        max_bytes: int = 16 * _MiB,
        on_line: OnLine | None = None,
        leash: bool = False,
        is_archive: bool = False,
    ) -> Output:
        """Run an argv, or a shell script given as a str, to its end on the target.

        ``ok=None`` allows any exit code. ``on_line`` gets each line of stderr as it
        comes. With ``leash`` stdin stays open after the given bytes, so that the
        command can tell from its end that nobody waits for it any more.

        The target may send back the password that sudo was given: it is taken out of
        everything. With ``is_archive`` stdout is left as it is, because secrets are only
        found once it is unpacked; the caller removes them then.

        Raises:
            ToolError: another exit code, past ``timeout_s`` (it is killed there),
                more than ``max_bytes`` of output, or sudo refuses.
            UnreachableError: the connection broke, or the target stopped reading it.
        """
        asks = shell.Sudo(self._password) if sudo and self.target.user != "root" else None
        hear = None if on_line is None else _without_secrets(on_line, self._secrets)
        call = Call(shell.body(command), asks, stdin or b"", leash, max_bytes, hear)
        began = time.monotonic()
        with _mapping(self.target), self._watchdog(timeout_s + 2 * _GRACE_S):
            channel = self._wire.open_session(timeout=_GRACE_S)
            try:
                channel.exec_command(shell.line(command, timeout_s=timeout_s, sudo=asks))
                rc = call.converse(channel, began + timeout_s + _GRACE_S)
            finally:
                channel.close()
        took_s = time.monotonic() - began
        publish(
            RemoteCommandEnded(
                target=str(self.target), command=call.shown, exit_status=rc, duration_s=took_s
            )
        )
        self._check(call, rc, ok, timeout_s)
        data = bytes(call.out)
        return Output(
            rc=rc,
            data=data if is_archive else self._secrets.data(data),
            stderr=self._secrets.text(call.err.decode("utf-8", "replace")),
            took_s=took_s,
            secrets=self._secrets,
        )

    @contextlib.contextmanager
    def _watchdog(self, limit_s: float) -> Iterator[None]:
        """Close the connection when the block takes longer.

        paramiko waits without a limit for the answer to a request, and for a target that
        stops reading.
        """
        timer = threading.Timer(limit_s, self._wire.close)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def put(
        self, data: bytes, remote: str, *, timeout_s: float, sudo: bool = False, mode: int = 0o600
    ) -> None:
        """Write a file on the target, whole or not at all.

        Goes through ``cat``, not SFTP: hardened hosts switch SFTP off, and it knows no sudo.
        """
        path, temp = shlex.quote(remote), shlex.quote(remote + ".hardpan-part")
        script = (
            f"umask 077 && cat > {temp} && [ $(wc -c < {temp}) -eq {len(data)} ] && "
            f"chmod {mode:o} {temp} && mv -f {temp} {path} || {{ rm -f {temp}; exit 1; }}"
        )
        self.run(script, timeout_s=timeout_s, stdin=data, sudo=sudo)

    def get(self, remote: str, *, timeout_s: float, max_bytes: int, sudo: bool = False) -> bytes:
        """A file of the target.

        Raises:
            ToolError: it cannot be read, or is longer than ``max_bytes``.
        """
        script = f"head -c {max_bytes + 1} -- {shlex.quote(remote)}"
        limit = max_bytes + _MiB
        data = self.run(script, timeout_s=timeout_s, sudo=sudo, max_bytes=limit).data
        if len(data) > max_bytes:
            raise ToolError([remote], f"on {self.target} is longer than {max_bytes} bytes")
        return data

    def _check(self, call: Call, rc: int, ok: Sequence[int] | None, timeout_s: float) -> None:
        name = call.shown
        if call.sudo is not None and not call.sudo.begun:
            why, hint = call.sudo.refusal()
            tail = self._secrets.text(call.sudo.said())
            raise ToolError(["sudo"], f"on {self.target}: {why}", tail=tail, hint=hint)
        if ok is None or rc in ok:
            return
        tail = self._secrets.text(call.tail())
        if rc in shell.TIMED_OUT and call.took_s >= timeout_s * 0.95:
            why = f"did not end within {timeout_s:g} s on {self.target}"
        elif rc < 0:
            why = f"on {self.target} was ended by a signal"
        else:
            why = f"on {self.target} exited with {rc}"
        hint = "sudo's noexec option stops programs from starting others" if rc == 126 else ""
        raise ToolError([name], why, tail=tail, hint=hint)


def _without_secrets(on_line: OnLine, secrets: SecretFilter) -> OnLine:
    return lambda line: on_line(secrets.text(line))


class _Policy(paramiko.MissingHostKeyPolicy):
    """Refuses a host without a known key, unless a person typed the flag."""

    def __init__(self, target: Target, revoked: frozenset[bytes]) -> None:
        self._target = target
        self._revoked = revoked
        self.believed = False

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        """Raise ``TrustError``, or note that the key was believed on first use."""
        offered = f"{key.get_name()} {fingerprint(key.asbytes())}"
        if key.asbytes() in self._revoked:
            raise TrustError(
                f"{self._target}: the host key is revoked: expected a key that known_hosts does "
                f"not mark @revoked, got {offered}",
                hint="another machine may hold that key; find out who revoked it, and why",
            )
        if self._target.trust_new_host_key:
            self.believed = True
            return
        raise TrustError(
            f"{self._target}: unknown host key; it offers {offered}",
            hint="compare that with the host's own console (ssh-keygen -lf), then add it to "
            "known_hosts or pin it with --host-key",
        )


def _load_keys(client: paramiko.SSHClient, target: Target) -> frozenset[bytes]:
    """Give the client the keys that the host may have; the revoked ones come back."""
    name = target.known_as or target.host
    listed = name if target.port == 22 else f"[{name}]:{target.port}"
    asked = target.host if target.port == 22 else f"[{target.host}]:{target.port}"
    keys = client.get_host_keys()
    for line in target.host_keys:
        keys.add(asked, line.partition(" ")[0], _pinned_key(line))
    if target.host_keys:
        return frozenset()
    files = [read_known_hosts(path, listed) for path in target.known_hosts]
    revoked = frozenset[bytes]().union(*(file.revoked for file in files))
    for file in files:
        usable: dict[str, paramiko.PKey] = {}
        for line_key in file.listed:
            key = _public_key(line_key.kind, line_key.blob)
            if key is not None and line_key.blob not in revoked:
                usable.setdefault(key.get_name(), key)
        for kind, key in usable.items():
            keys.add(asked, kind, key)
    return revoked


def _pinned_key(line: str) -> paramiko.PKey:
    kind, _, text = line.partition(" ")
    try:
        key = _public_key(kind, base64.b64decode(text))
    except ValueError:
        key = None
    if key is None:
        raise InputError(
            f"host key {line[:80]!r}: cannot be used: expected an ssh-ed25519, "
            "ecdsa-sha2-nistp256, -nistp384, -nistp521 or ssh-rsa key",
            hint="ssh-keyscan shows the keys that a host offers",
        )
    return key


def _public_key(kind: str, blob: bytes) -> paramiko.PKey | None:
    """The public key; None where it is damaged or of a type that paramiko does not have."""
    try:
        return paramiko.PKey.from_type_string(kind, blob)
    except (UnknownKeyType, paramiko.SSHException, ValueError, OverflowError):
        return None


def _open(client: paramiko.SSHClient, target: Target, timeout_s: float) -> None:
    client.connect(
        target.host,
        port=target.port,
        username=target.user,
        pkey=_private_key(target),
        allow_agent=target.identity is None,
        look_for_keys=target.identity is None,
        timeout=timeout_s,
        banner_timeout=timeout_s,
        auth_timeout=timeout_s,
        channel_timeout=timeout_s,
    )


def _private_key(target: Target) -> paramiko.PKey | None:
    if target.identity is None:
        return None
    try:
        return paramiko.PKey.from_path(target.identity)
    except TypeError as e:  # cryptography's word for: it is encrypted
        raise locked_key(e, target) from e
    except (UnknownKeyType, ValueError) as e:
        raise InputError(f"{target.identity}: not a private key that can be used: {e}") from e


@contextlib.contextmanager
def _mapping(target: Target) -> Iterator[None]:
    try:
        yield
    except (paramiko.SSHException, OSError, EOFError) as e:
        raise mapped(e, target) from e
