"""Output streams of a target, split at the markers of ``bootstrap``; linear in their length."""

import binascii
import re

from hardpan.ssh.bootstrap import Markers

_MAX_PREAMBLE = 64 << 10
_STATUS = re.compile(rb"([0-9]{1,3})\.")
_MAX_STATUS_BYTES = 4
_HIGH = bytes(range(0x80, 0x100))
_LOW = bytes(range(0x80))
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_FROM_HIGH = bytes.maketrans(bytes(range(0x80, 0x80 + len(_ALPHABET))), _ALPHABET)


class MarkedStream:
    """One output stream: preamble of the rc files, dialogue of sudo, output of the command."""

    def __init__(self, markers: Markers, *, is_become: bool) -> None:
        self.preamble = b""
        """The last output before the shell started."""

        self.dialogue = b""
        """The last output between the start of the shell and of the command."""

        self.exit_status: int | None = None
        """Exit status of the command, when the stream has ended."""

        self.is_shell_started = False
        self.is_command_started = False
        self._is_become = is_become
        self._start = markers.start.encode()
        self._ready = markers.ready.encode()
        self._end = markers.end.encode()
        self._pending = b""

    def feed(self, data: bytes) -> bytes:
        """Return the part of ``data`` that is output of the command."""
        if self.exit_status is not None:
            return b""
        self._pending += data
        if not self.is_shell_started:
            self._read_preamble()
        if self.is_shell_started and not self.is_command_started:
            self._read_dialogue()
        return self._read_output() if self.is_command_started else b""

    def _read_preamble(self) -> None:
        before, marker, after = self._pending.partition(self._start)
        self.preamble = before[-_MAX_PREAMBLE:]
        self._pending = after if marker else self.preamble
        self.is_shell_started = bool(marker)

    def _read_dialogue(self) -> None:
        if not self._is_become:
            self.is_command_started = True
            return
        before, marker, after = self._pending.partition(self._ready)
        if marker:
            self.dialogue, self._pending, self.is_command_started = before, after, True
            return
        before, marker, after = self._pending.partition(self._end)
        self.dialogue = before[-_MAX_PREAMBLE:]
        if marker:
            self._read_status(after)
        else:
            self._pending = self.dialogue

    def _read_output(self) -> bytes:
        output, marker, after = self._pending.partition(self._end)
        if marker:
            self._read_status(after)
            self._pending = marker + after
            return output
        # Only what may be the begin of the marker waits for more.
        size = next(
            (n for n in range(len(self._end) - 1, 0, -1) if output.endswith(self._end[:n])), 0
        )
        self._pending = output[len(output) - size :]
        return output[: len(output) - size]

    def _read_status(self, text: bytes) -> None:
        match = _STATUS.match(text)
        if match:
            self.exit_status = int(match[1])
        elif len(text) >= _MAX_STATUS_BYTES:
            self.exit_status = -1


class TerminalDecoder:
    """Separates stdout and stderr of a command that runs on a terminal."""

    def __init__(self) -> None:
        self._pending_out = b""
        self._pending_err = b""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the decoded bytes of stdout and stderr in ``data``."""
        out, self._pending_out = _decode(self._pending_out + data.translate(None, _HIGH + b"\r\n"))
        high = data.translate(_FROM_HIGH, _LOW)
        err, self._pending_err = _decode(self._pending_err + high.translate(None, _HIGH))
        return out, err


def _decode(text: bytes) -> tuple[bytes, bytes]:
    """Return the decoded bytes, and the text that is too short to decode."""
    end = len(text) - len(text) % 4
    try:
        return binascii.a2b_base64(text[:end]), text[end:]
    except binascii.Error:
        return b"", b""
