"""A connection to a target: commands, files, limits, redaction. The transport is exchangeable.

All output of the target is bounded, and secrets that it received are removed from it.
"""

import contextlib
import shlex
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from hardpan.core.errors import ToolError
from hardpan.core.events import RemoteCommandEnded, publish
from hardpan.core.redaction import SecretFilter
from hardpan.ssh.command import Channel, CommandOutput, OnLine, RemoteCommand
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.local_target import AnyTarget
from hardpan.ssh.sudo import TIMED_OUT, SudoSession, build_command_line, to_shell_command
from hardpan.ssh.transport_kind import TransportChoice

_GRACE_S = 20.0
_MiB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """The host key that the target proved to own, and why it was accepted.

    Type and fingerprint are empty for this machine (``local:``) if it has no host key.
    """

    kind: str
    """E.g. ``ssh-ed25519``."""

    fingerprint: str
    """``SHA256:…`` as ``ssh-keygen -l`` prints it."""

    trust: HostKeyTrust


class Transport(Protocol):
    """Starts commands on one target."""

    @property
    def choice(self) -> TransportChoice:
        """Which transport it is, and why."""
        ...

    def start(self, command_line: str, *, timeout_s: float) -> Channel:
        """Start a command line in the login shell of the target's user, within ``timeout_s``."""
        ...

    def close(self) -> None:
        """End the connection and everything that runs over it; may be called from any thread."""
        ...

    def translate_errors(self) -> AbstractContextManager[None]:
        """Turn exceptions of the transport, raised in the block, into hardpan errors."""
        ...


class Connection:
    """Runs commands on one target over one connection; safe to use from several threads."""

    def __init__(
        self, target: AnyTarget, transport: Transport, host_key: HostKey, sudo_password: str
    ) -> None:
        self.target = target
        self.host_key = host_key
        self.transport = transport.choice
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
        command_line = build_command_line(command, timeout_s=timeout_s, sudo=sudo_session)
        with (
            self._transport.translate_errors(),
            self._watchdog(timeout_s + 2 * _GRACE_S),
        ):
            channel = self._transport.start(command_line, timeout_s=_GRACE_S)
            try:
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

        A transport has no time limit for the answer to a request, nor for a target that stops
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
