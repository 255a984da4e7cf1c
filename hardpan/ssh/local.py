"""The scanning machine itself as a target: commands run in ``sh``, without SSH."""

import base64
import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

from hardpan.core.errors import HardpanError, ToolError
from hardpan.core.files import read_limited
from hardpan.ssh.command import Channel
from hardpan.ssh.connection import Connection, HostKey
from hardpan.ssh.fingerprints import fingerprint
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.local_target import LOCAL, LocalTarget
from hardpan.ssh.process_channel import ChannelRegistry, ProcessChannel
from hardpan.ssh.transport_kind import TransportChoice, TransportKind

_PREFERRED_TYPES = ("ed25519", "ecdsa", "rsa")
"""The order in which OpenSSH prefers host keys, so that a scan over SSH sees the same key."""

_MAX_KEY_BYTES = 16 << 10


@contextlib.contextmanager
def connect_local(target: LocalTarget, *, sudo_password: str = "") -> Iterator[Connection]:
    """Run commands on this machine for the length of the block."""
    transport = _LocalTransport(target)
    try:
        yield Connection(target, transport, read_local_host_key(target), sudo_password)
    finally:
        transport.close()


def read_local_host_key(target: LocalTarget) -> HostKey:
    """Return the SSH host key that this machine presents; type and fingerprint empty without one.

    A machine without sshd has no host key. A file that is not a public key counts as none.
    """
    for kind in _PREFERRED_TYPES:
        path = target.host_key_folder / f"ssh_host_{kind}_key.pub"
        with contextlib.suppress(HardpanError, OSError, ValueError):
            name, text = read_limited(path, _MAX_KEY_BYTES).decode("ascii").split()[:2]
            blob = base64.b64decode(text, validate=True)
            return HostKey(kind=name, fingerprint=fingerprint(blob), trust=HostKeyTrust.LOCAL)
    return HostKey(kind="", fingerprint="", trust=HostKeyTrust.LOCAL)


class _LocalTransport:
    """Starts each command as a child process.

    The command replaces its shell: ``timeout``, which it starts with, then leads the process group,
    so that its children are killed with it, and a signal that ends it is reported as one.
    """

    def __init__(self, target: LocalTarget) -> None:
        self.choice = TransportChoice(kind=TransportKind.LOCAL)
        self._target = target
        self._environment = {"HOME": str(target.home), "USER": target.user, "LOGNAME": target.user}
        self._channels = ChannelRegistry()

    def start(self, command_line: str, *, timeout_s: float, has_terminal: bool = False) -> Channel:
        if has_terminal:
            raise ToolError(
                ["sudo"],
                f"on {LOCAL} insists on a terminal",
                hint="run hardpan as root, or add to sudoers: Defaults:USER !requiretty",
            )
        channel = ProcessChannel(
            ("sh", "-c", f"exec {command_line.removeprefix('exec ')}"),
            label=("sh",),
            cwd=self._target.home,
            env=self._environment,
        )
        return self._channels.add(channel)

    def close(self) -> None:
        self._channels.terminate_all()

    def translate_errors(self) -> AbstractContextManager[None]:
        return _translate_errors()


@contextlib.contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise ToolError(["sh"], f"on {LOCAL} cannot be started: {e.strerror or e}") from e
