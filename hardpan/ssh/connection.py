"""A connection to a target: commands, files, limits, redaction. The transport is exchangeable.

All output of the target is bounded, and secrets that it received are removed from it.
"""

import contextlib
import shlex
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hardpan.core.errors import ToolError, UnavailableError, UnreachableError
from hardpan.core.events import RemoteCommandEnded, publish
from hardpan.core.redaction import SecretFilter
from hardpan.ssh.bootstrap import TIMED_OUT, to_shell_command
from hardpan.ssh.command import (
    RC_FILE_HINT,
    CommandOutput,
    ConnectionLostError,
    RemoteCommand,
)
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.local_target import AnyTarget
from hardpan.ssh.privilege_detection import find_privileges
from hardpan.ssh.privileges import BecomeMethod, Privileges
from hardpan.ssh.request import CommandRequest, OnLine
from hardpan.ssh.sudo import BecomeDialogue, explain_failure
from hardpan.ssh.target import Target
from hardpan.ssh.transport import Transport

_GRACE_S = 20.0
_SESSION_TIMEOUT_S = 180.0
"""For the start of a command. sshd opens the PAM session before it answers; pam_systemd may wait
90 s there for the user's service manager, on a host that is booting or overloaded."""

_CANNOT_EXECUTE = 126
_MiB = 1 << 20
_LOST_HINT = (
    "check the network and the target's sshd, and scan again: the next scan removes what this one "
    "may have left"
)


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
        login_password = target.password if isinstance(target, Target) else ""
        self.secrets = SecretFilter([sudo_password, login_password])
        self._privileges: Privileges | None = None
        self._privileges_lock = threading.Lock()

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
            UnavailableError: it is killed after ``timeout_s``.
            ToolError: another exit status, more than ``max_bytes`` of output, or sudo refuses.
            UnreachableError: the connection broke, or the target stopped reading it.
        """
        become, has_terminal = self._become() if sudo else (None, False)
        request = CommandRequest(
            script=to_shell_command(command),
            timeout_s=timeout_s,
            stdin=stdin or b"",
            kill_on_disconnect=kill_on_disconnect,
            max_bytes=max_bytes,
            become=become,
            has_terminal=has_terminal,
            on_line=None if on_line is None else _redact_lines(on_line, self.secrets),
        )
        remote_command, exit_status = self._run(request)
        self._raise_on_failure(remote_command, exit_status, ok, timeout_s)
        data = bytes(remote_command.out)
        return CommandOutput(
            exit_status=exit_status,
            data=data if is_archive else self.secrets.filter_bytes(data),
            stderr=self.secrets.filter_text(remote_command.err.decode("utf-8", "replace")),
            duration_s=remote_command.duration_s,
            secrets=self.secrets,
        )

    @property
    def privileges(self) -> Privileges:
        """The way to root on this target; the first use tries sudo and doas.

        Raises:
            ToolError: a password is missing or incorrect, or sudo cannot run programs.
            UnreachableError: the connection broke.
        """
        with self._privileges_lock:
            if self._privileges is None:
                self._privileges = find_privileges(
                    self._run, self.target, self._password, self.secrets
                )
            return self._privileges

    @property
    def is_privileged(self) -> bool:
        """Whether ``sudo=True`` runs a command as root; else it runs with the login's rights."""
        return self.privileges.is_privileged

    def _become(self) -> tuple[BecomeDialogue | None, bool]:
        privileges = self.privileges
        if privileges.method in (BecomeMethod.ROOT, BecomeMethod.NONE):
            return None, False
        return BecomeDialogue(privileges.method.value, self._password), privileges.needs_terminal

    def _run(self, request: CommandRequest) -> tuple[RemoteCommand, int]:
        """Run a command and return it with its exit status.

        Raises:
            ToolError: the login shell does not start ``sh``, or a limit is exceeded.
            UnreachableError: the connection broke.
        """
        remote_command = RemoteCommand(request)
        start = time.monotonic()
        with (
            self._transport.translate_errors(),
            self._watchdog(_SESSION_TIMEOUT_S + request.timeout_s + _GRACE_S),
        ):
            channel = self._transport.start(
                request.login_line,
                timeout_s=_SESSION_TIMEOUT_S,
                has_terminal=request.has_terminal,
            )
            deadline = time.monotonic() + request.timeout_s + _GRACE_S
            try:
                exit_status = remote_command.run(channel, deadline)
            except ConnectionLostError as e:
                problem = "the connection was closed in the middle of a command"
                raise UnreachableError(f"{self.target}: {problem}", hint=_LOST_HINT) from e
            finally:
                channel.close()
        publish(
            RemoteCommandEnded(
                target=str(self.target),
                command=request.display_name,
                exit_status=exit_status,
                duration_s=time.monotonic() - start,
            )
        )
        is_started = remote_command.is_shell_started
        # Without the marker that has it, the exit status is the one of the login shell.
        if not is_started or (exit_status == 0 and remote_command.stdout.exit_status is None):
            step = "ran the command" if is_started else "started sh"
            raise ToolError(
                ["login shell"],
                f"of {self.target} ended with {exit_status} before it {step}",
                output_tail=self.secrets.filter_text(remote_command.preamble),
                hint=RC_FILE_HINT,
            )
        return remote_command, exit_status

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
        name = remote_command.request.display_name
        become = remote_command.request.become
        if become is not None and not remote_command.is_command_started:
            text = remote_command.dialogue
            reason, hint = explain_failure(become.failure(text), become, self.target.user)
            tail = self.secrets.filter_text(become.output(text))
            raise ToolError(
                [become.program], f"on {self.target}: {reason}", output_tail=tail, hint=hint
            )
        if ok is None or exit_status in ok:
            return
        tail = self.secrets.filter_text(remote_command.tail())
        if exit_status in TIMED_OUT and remote_command.duration_s >= timeout_s * 0.95:
            raise UnavailableError(
                [name],
                f"did not end within {timeout_s:g} s on {self.target}",
                output_tail=tail,
                hint="scan again when the target has less load",
            )
        if exit_status < 0:
            reason = f"on {self.target} was ended by a signal"
        else:
            reason = f"on {self.target} exited with {exit_status}"
        hint = (
            "sudo's noexec option stops programs from starting others"
            if become is not None and exit_status == _CANNOT_EXECUTE
            else ""
        )
        raise ToolError([name], reason, output_tail=tail, hint=hint)


def _redact_lines(on_line: OnLine, secrets: SecretFilter) -> OnLine:
    return lambda line: on_line(secrets.filter_text(line))
