"""Connect to a target with the system's ``ssh``: one master connection, one session per command.

ssh supports what paramiko lacks: security keys, Kerberos, newer key exchanges. It runs with a
private control socket; its own log names the host key that it verified.
"""

import base64
import contextlib
import itertools
import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from hardpan.core import clock
from hardpan.core.errors import InputError, ResourceError, ToolError, TrustError, UnreachableError
from hardpan.core.events import Emit, StageMessage
from hardpan.core.files import read_limited
from hardpan.core.process import Process, kill_group, run, spawn
from hardpan.ssh.command import Channel
from hardpan.ssh.connection import Connection, HostKey
from hardpan.ssh.fingerprints import fingerprint
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.openssh_log import needs_security_key_touch, parse_host_key, translate_log
from hardpan.ssh.openssh_options import (
    PINNED_NAME,
    PrivateFiles,
    Version,
    build_master_argv,
    build_session_argv,
)
from hardpan.ssh.process_channel import ChannelRegistry, ProcessChannel
from hardpan.ssh.target import Target
from hardpan.ssh.transport_kind import TransportChoice, TransportKind

_MAX_LOG_BYTES = 16 << 20
"""A server can make ssh log without end: the kernel then ends ssh (RLIMIT_FSIZE)."""

_MAX_SOCKET_PATH = 80
"""sun_path has 108 bytes, and ssh adds a suffix of 17 while it creates the socket (unix(7))."""

_POLL_S = 0.05
_VERSION = re.compile(r"OpenSSH_(\d{1,3})\.(\d{1,3})")
_SSH_FAILED = 255
_NO_PROMPTS = {"SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force"}
"""The ssh of a jump host does not get ``BatchMode`` and would wait for an answer."""


@contextlib.contextmanager
def connect_openssh(
    target: Target, *, timeout_s: float, sudo_password: str = "", emit: Emit, reason: str = ""
) -> Iterator[Connection]:
    """Open an authenticated connection with the system's ssh for the length of the block.

    ``reason`` is why paramiko is not used.

    Raises:
        ToolError: ``ssh`` is missing, or this machine has no folder for its control socket.
        TrustError: the host key is not the pinned or listed one.
        UnreachableError: refused, no answer within ``timeout_s``, no login, or hung up.
        InputError: ssh rejects its configuration.
    """
    if target.password:
        raise InputError(f"{target}: the system's ssh gets no password: expected a key or an agent")
    version = read_ssh_version()
    with _create_private_folder() as folder:
        files = PrivateFiles(folder=folder)
        files.known_hosts.write_text("".join(f"{PINNED_NAME} {k}\n" for k in target.host_keys))
        argv = build_master_argv(target, files, version=version, timeout_s=timeout_s)
        limited_argv = ["prlimit", f"--fsize={_MAX_LOG_BYTES}", "--", *argv]
        environment = {**os.environ, **_NO_PROMPTS}
        with spawn(limited_argv, log=files.output, env=environment) as master:
            _await_login(master, target, files, timeout_s, emit)
            host_key = _read_host_key(target, files)
            transport = _OpensshTransport(target, files, master, reason)
            try:
                yield Connection(target, transport, host_key, sudo_password)
            finally:
                transport.end_sessions()


def read_ssh_version() -> Version:
    """Return the version of the system's ssh.

    Raises:
        ToolError: it is missing, or it is not OpenSSH.
    """
    output = run(["ssh", "-V"], timeout_s=30, hint="install the OpenSSH client").stderr
    match = _VERSION.search(output)
    if match is None:
        raise ToolError(["ssh"], f"is not OpenSSH: {output.strip()[:80]!r}")
    return int(match[1]), int(match[2])


@contextlib.contextmanager
def _create_private_folder() -> Iterator[Path]:
    """Create a folder with mode 0700 whose path is short enough for a socket."""
    parents = (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp")  # noqa: S108
    for parent in parents:
        is_short = len(os.fsencode(parent)) + len("/hardpan-12345678/s") <= _MAX_SOCKET_PATH
        if parent and is_short and os.access(parent, os.W_OK | os.X_OK):
            with tempfile.TemporaryDirectory(prefix="hardpan-", dir=parent) as folder:
                yield Path(folder)
            return
    raise ResourceError(
        "no folder for the control socket of ssh: expected a writable one with a short path",
        hint="set TMPDIR to such a folder",
    )


def _await_login(
    master: Process, target: Target, files: PrivateFiles, timeout_s: float, emit: Emit
) -> None:
    """Wait until the control socket exists, which ssh creates after the login."""
    deadline = clock.monotonic_s() + timeout_s
    has_announced_touch = False
    while not files.control_socket.exists():
        log = _read_text(files.log)
        if master.poll() is not None:
            raise _translate(target, files, master.returncode)
        if clock.monotonic_s() > deadline:
            raise UnreachableError(
                f"{target}: does not answer: no login within {timeout_s:g} s",
                hint=_last_line(log),
            )
        if not has_announced_touch and needs_security_key_touch(log):
            has_announced_touch = True
            emit(StageMessage(stage="connect", text="touch the security key if it blinks"))
        time.sleep(_POLL_S)


def _translate(target: Target, files: PrivateFiles, exit_code: int) -> Exception:
    if exit_code == -signal.SIGXFSZ:
        return UnreachableError(f"{target}: sent more than {_MAX_LOG_BYTES} bytes before the login")
    credentials = f"the key {target.identity}" if target.identity else "the agent and ~/.ssh"
    return translate_log(
        _read_text(files.log),
        _read_text(files.output),
        target=str(target),
        credentials=credentials,
        pinned=", ".join(_fingerprint_line(k) for k in target.host_keys),
    )


def _read_host_key(target: Target, files: PrivateFiles) -> HostKey:
    """Return the verified host key; the files that ssh used must agree with its log."""
    kind, key_fingerprint = parse_host_key(_read_text(files.log))
    accepted_keys = [
        line.split(maxsplit=1)[1] for line in files.known_hosts.read_text("ascii").splitlines()
    ]
    if accepted_keys and key_fingerprint not in map(_fingerprint_line, accepted_keys):
        raise TrustError(f"{target}: ssh's log names a host key that it did not accept")
    trust = HostKeyTrust.KNOWN_HOSTS
    if target.host_keys:
        trust = target.pinned_by
    elif accepted_keys:
        trust = HostKeyTrust.FIRST_USE
    return HostKey(kind=kind, fingerprint=key_fingerprint, trust=trust)


def _fingerprint_line(line: str) -> str:
    """Return the fingerprint of a public key, ``type base64``."""
    try:
        return fingerprint(base64.b64decode(line.split()[1], validate=True))
    except ValueError as e:
        raise InputError(f"host key {line[:80]!r}: is not a public key") from e


class _OpensshTransport:
    """Starts each command with an ``ssh`` that uses the master connection."""

    def __init__(self, target: Target, files: PrivateFiles, master: Process, reason: str) -> None:
        self.choice = TransportChoice(kind=TransportKind.OPENSSH, reason=reason)
        self._target = target
        self._files = files
        self._master = master
        self._numbers = itertools.count()
        self._channels = ChannelRegistry()

    def start(self, command_line: str, *, timeout_s: float, has_terminal: bool = False) -> Channel:
        number = next(self._numbers)
        channel = ProcessChannel(
            build_session_argv(
                self._target, self._files, number, command_line, has_terminal=has_terminal
            ),
            label=("ssh", str(self._target)),
            cwd=Path("/"),
            env={"TERM": "dumb"},
            interpret_status=partial(self._interpret_status, self._files.session_log(number)),
        )
        return self._channels.add(channel)

    def close(self) -> None:
        kill_group(self._master)
        self.end_sessions()

    def end_sessions(self) -> None:
        self._channels.terminate_all()

    def translate_errors(self) -> AbstractContextManager[None]:
        return _translate_errors(self._target)

    def _interpret_status(self, log: Path, exit_code: int) -> int:
        """Distinguish exit status 255 from a signal, a refused session and a lost connection."""
        if exit_code < 0:
            raise UnreachableError(f"{self._target}: the connection was closed")
        if exit_code != _SSH_FAILED:
            return exit_code
        text = _read_text(log)
        if "Received exit status from master 255" in text:
            return _SSH_FAILED
        if "session request failed" in text:
            raise UnreachableError(
                f"{self._target}: refused a session",
                hint="MaxSessions in the target's sshd_config limits parallel commands",
            )
        if "Control socket connect" in text or self._has_master_ended():
            raise UnreachableError(
                f"{self._target}: the connection was closed in the middle of a command"
            )
        return -1

    def _has_master_ended(self) -> bool:
        """Return whether the connection is lost: its process may end a moment after a session."""
        for _ in range(40):
            if self._master.poll() is not None:
                return True
            time.sleep(0.05)
        return False


@contextlib.contextmanager
def _translate_errors(target: Target) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise ToolError(["ssh"], f"for {target} cannot be started: {e.strerror or e}") from e


def _read_text(path: Path) -> str:
    return read_limited(path, _MAX_LOG_BYTES).decode("utf-8", "replace") if path.exists() else ""


def _last_line(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    return f"ssh's last message: {lines[-1][:200]}" if lines else ""
