"""What to run on a target, and the bytes that start it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hardpan.ssh.bootstrap import (
    Markers,
    build_become_header,
    build_login_line,
    build_plain_header,
    encode_frames,
    encode_marker,
    encode_script,
)
from hardpan.ssh.sudo import BecomeDialogue

_MiB = 1 << 20

OnLine = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRequest:
    """What to run, and how."""

    script: str
    timeout_s: float
    """Limit on the target."""

    stdin: bytes = b""
    kill_on_disconnect: bool = False
    """Leave stdin open after its bytes, so that the script sees the end of the connection."""

    max_bytes: int = 16 * _MiB
    become: BecomeDialogue | None = None
    """None: run with the rights of the login."""

    has_terminal: bool = False
    on_line: OnLine | None = None
    markers: Markers = field(default_factory=Markers)

    @property
    def display_name(self) -> str:
        """The program of a short command, else ``script``."""
        return (self.script.split(maxsplit=1) or ["?"])[0] if len(self.script) < 200 else "script"

    @property
    def login_line(self) -> str:
        """The line for the login shell."""
        return build_login_line(
            self.markers,
            timeout_s=self.timeout_s,
            is_become=self.become is not None,
            tty=self.has_terminal,
        )

    @property
    def input_data(self) -> bytes:
        """What is sent once the shell runs that starts the script: the script and its stdin."""
        data = self._script_and_stdin
        if self.has_terminal:
            data = b"".join(encode_frames(data, is_last=not self.kill_on_disconnect))
        return data if self.become is None else encode_marker(self.markers) + data

    @property
    def _script_and_stdin(self) -> bytes:
        return encode_script(self.script) + self.stdin

    @property
    def has_end_of_input(self) -> bool:
        """Whether the end of stdin is sent; the root shell and a terminal count bytes instead."""
        return self.become is None and not self.kill_on_disconnect

    @property
    def header(self) -> bytes:
        """The line that acquires root and runs the script."""
        if self.become is None:
            line = build_plain_header(self.markers)
        else:
            line = build_become_header(
                self.markers,
                self.become.argv(),
                timeout_s=self.timeout_s,
                tty=self.has_terminal,
                input_bytes=None if self.kill_on_disconnect else len(self._script_and_stdin),
            )
        return line.encode() + b"\n"
