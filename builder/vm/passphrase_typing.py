"""Type the passphrase of a disk on a guest's serial console, through a socket of QEMU.

QEMU writes the guest's output to the console log itself; what it also sends here is discarded.
"""

import contextlib
import socket
from pathlib import Path

_TIMEOUT_S = 10.0
_CHUNK_BYTES = 1 << 16
_MAX_ATTEMPTS = 3
"""A kernel message can corrupt what is typed; systemd itself asks three times."""


class PassphraseTyping:
    """Answers the prompts of one guest.

    The connection stays open as long as the guest runs: QEMU drops what a closed connection has
    not delivered to the port, whose buffer holds 16 characters.
    """

    def __init__(self, path: Path, passphrase: str) -> None:
        self._passphrase = passphrase
        self._answered_prompts = 0
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))

    def answer(self, prompts: int) -> bool:
        """Type the passphrase if there is a new prompt; ``prompts`` is the number so far.

        Returns False if the guest has refused it too often.
        """
        self._discard_output()
        if prompts > _MAX_ATTEMPTS:
            return False
        if prompts > self._answered_prompts:
            self._answered_prompts = prompts
            self._socket.settimeout(_TIMEOUT_S)
            self._socket.sendall(self._passphrase.encode() + b"\r")
        return True

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _discard_output(self) -> None:
        """Read what has arrived, so that the guest is never blocked by a full socket."""
        self._socket.settimeout(0)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self._socket.recv(_CHUNK_BYTES):
                pass
