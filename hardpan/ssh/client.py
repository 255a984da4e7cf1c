"""One SSH connection to a target: commands, files, and a verified host key.

``errors.translate`` turns every exception of paramiko into a hardpan error. All output of
the target is bounded.
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

from hardpan.core.errors import InputError, ToolError, TrustError, UnreachableError
from hardpan.core.events import RemoteCommandEnded, publish
from hardpan.core.redaction import SecretFilter
from hardpan.ssh.command import CommandOutput, OnLine, RemoteCommand
from hardpan.ssh.errors import encrypted_key, fingerprint, translate
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.known_hosts import read_known_hosts
from hardpan.ssh.sudo import TIMED_OUT, SudoSession, build_command_line, to_shell_command
from hardpan.ssh.target import Target

_KEEPALIVE_S = 15
_GRACE_S = 20.0
_MiB = 1 << 20

# paramiko logs text of the server: without a handler Python would print it.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """The host key that the target proved to own, and why it was accepted."""

    kind: str
    """E.g. ``ssh-ed25519``."""

    fingerprint: str
    """``SHA256:…`` as ``ssh-keygen -l`` prints it."""

    trust: HostKeyTrust


@contextlib.contextmanager
def connect(
    target: Target, *, timeout_s: float, sudo_password: str = ""
) -> Iterator["SshConnection"]:
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
        yield SshConnection(target, transport, host_key, sudo_password)
    finally:
        client.close()


class SshConnection:
    """Runs commands on one target over one connection; safe to use from several threads."""

    def __init__(
        self, target: Target, transport: paramiko.Transport, host_key: HostKey, sudo_password: str
    ) -> None:
        self.target = target
        self.host_key = host_key
        self._transport = transport
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
        kill_on_disconnect: bool = False,
        is_archive: bool = False,
    ) -> CommandOutput:
        """Run an argv, or a shell script given as a str, to its end on the target.

        ``ok=None`` allows any exit status. ``on_line`` is called with each line of stderr
        immediately. With ``kill_on_disconnect`` stdin stays open after the given bytes, so that
        the command sees its end when the connection is closed.

        The target may send back the password that sudo received: it is redacted in all output.
        With ``is_archive`` stdout is returned unchanged, because secrets can only be found after
        unpacking; the caller redacts them then.

        Raises:
            ToolError: another exit status, past ``timeout_s`` (the target kills the command),
                more than ``max_bytes`` of output, or sudo refuses.
            UnreachableError: the connection broke, or the target stopped reading it.
        """
        sudo_session = SudoSession(self._password) if sudo and self.target.user != "root" else None
        on_redacted_line = None if on_line is None else _redact_lines(on_line, self._secrets)
        remote_command = RemoteCommand(
            to_shell_command(command),
            sudo_session,
            stdin or b"",
            kill_on_disconnect,
            max_bytes,
            on_redacted_line,
        )
        start = time.monotonic()
        with _translate_errors(self.target), self._watchdog(timeout_s + 2 * _GRACE_S):
            channel = self._transport.open_session(timeout=_GRACE_S)
            try:
                channel.exec_command(
                    build_command_line(command, timeout_s=timeout_s, sudo=sudo_session)
                )
                exit_status = remote_command.run(channel, start + timeout_s + _GRACE_S)
            finally:
                channel.close()
        duration_s = time.monotonic() - start
        publish(
            RemoteCommandEnded(
                target=str(self.target),
                command=remote_command.display_name,
                exit_status=exit_status,
                duration_s=duration_s,
            )
        )
        self._raise_on_failure(remote_command, exit_status, ok, timeout_s)
        data = bytes(remote_command.out)
        return CommandOutput(
            exit_status=exit_status,
            data=data if is_archive else self._secrets.filter_bytes(data),
            stderr=self._secrets.filter_text(remote_command.err.decode("utf-8", "replace")),
            duration_s=duration_s,
            secrets=self._secrets,
        )

    @contextlib.contextmanager
    def _watchdog(self, limit_s: float) -> Iterator[None]:
        """Close the connection when the block takes longer.

        paramiko has no time limit for the answer to a request, nor for a target that stops
        reading.
        """
        timer = threading.Timer(limit_s, self._transport.close)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def write_file(
        self, data: bytes, remote: str, *, timeout_s: float, sudo: bool = False, mode: int = 0o600
    ) -> None:
        """Write a file on the target, completely or not at all.

        Uses ``cat`` instead of SFTP: hardened hosts disable SFTP, and SFTP has no sudo.
        """
        path, temp = shlex.quote(remote), shlex.quote(remote + ".hardpan-part")
        script = (
            f"umask 077 && cat > {temp} && [ $(wc -c < {temp}) -eq {len(data)} ] && "
            f"chmod {mode:o} {temp} && mv -f {temp} {path} || {{ rm -f {temp}; exit 1; }}"
        )
        self.run(script, timeout_s=timeout_s, stdin=data, sudo=sudo)

    def read_file(
        self, remote: str, *, timeout_s: float, max_bytes: int, sudo: bool = False
    ) -> bytes:
        """Read a file of the target.

        Raises:
            ToolError: it cannot be read, or is longer than ``max_bytes``.
        """
        script = f"head -c {max_bytes + 1} -- {shlex.quote(remote)}"
        limit = max_bytes + _MiB
        data = self.run(script, timeout_s=timeout_s, sudo=sudo, max_bytes=limit).data
        if len(data) > max_bytes:
            raise ToolError([remote], f"on {self.target} is longer than {max_bytes} bytes")
        return data

    def _raise_on_failure(
        self,
        remote_command: RemoteCommand,
        exit_status: int,
        ok: Sequence[int] | None,
        timeout_s: float,
    ) -> None:
        name = remote_command.display_name
        if remote_command.sudo is not None and not remote_command.sudo.has_started:
            reason, hint = remote_command.sudo.failure_reason()
            tail = self._secrets.filter_text(remote_command.sudo.output())
            raise ToolError(["sudo"], f"on {self.target}: {reason}", output_tail=tail, hint=hint)
        if ok is None or exit_status in ok:
            return
        tail = self._secrets.filter_text(remote_command.tail())
        if exit_status in TIMED_OUT and remote_command.duration_s >= timeout_s * 0.95:
            reason = f"did not end within {timeout_s:g} s on {self.target}"
        elif exit_status < 0:
            reason = f"on {self.target} was ended by a signal"
        else:
            reason = f"on {self.target} exited with {exit_status}"
        hint = (
            "sudo's noexec option stops programs from starting others" if exit_status == 126 else ""
        )
        raise ToolError([name], reason, output_tail=tail, hint=hint)


def _redact_lines(on_line: OnLine, secrets: SecretFilter) -> OnLine:
    return lambda line: on_line(secrets.filter_text(line))


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
    name = target.host_key_alias or target.host
    known_hosts_name = name if target.port == 22 else f"[{name}]:{target.port}"
    lookup_name = target.host if target.port == 22 else f"[{target.host}]:{target.port}"
    keys = client.get_host_keys()
    for line in target.host_keys:
        keys.add(lookup_name, line.partition(" ")[0], _load_pinned_key(line))
    if target.host_keys:
        return frozenset()
    files = [read_known_hosts(path, known_hosts_name) for path in target.known_hosts]
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
        allow_agent=target.identity is None,
        look_for_keys=target.identity is None,
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
