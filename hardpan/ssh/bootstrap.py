"""Lines of shell that start a command on a target, whatever the login shell and its rc files.

The login shell gets one line with one pair of single quotes, which csh, fish, rbash and POSIX
shells read alike. ``sh`` then prints a random marker on each output stream. Only after it anything
is sent: a line that sets the environment and acquires root, then the script as one line, then the
command's stdin. ``read`` takes each line byte by byte, so no shell reads ahead. A marker with the
exit status ends each stream; a login shell may print something after it. Every user of the target
can read the arguments of processes, so this marker is in none: a file or process of that name would
cut the output short.

A command with a terminal has one stream for both outputs. They are sent as base64, stderr with the
high bit: ``tr`` maps the alphabet to the bytes 0x80 to 0xC0. stdin is sent in frames, a line with
the length before each, because a terminal has no end of file.
"""

import secrets
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

KILL_AFTER_S = 5
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = (
    # A bash below sshd reads .bashrc unless SHLVL says that it is not the login shell.
    f"LC_ALL=C; PATH={_PATH}; SHLVL=2; export LC_ALL PATH SHLVL; "
    "unset LANGUAGE ENV BASH_ENV CDPATH; umask 077"
)
_RUN_SCRIPT = "IFS= read -r s && eval \"$(printf %b \"$s\")\""  # fmt: skip
_RAW_TERMINAL = "stty raw -echo"
_READ_FRAMES = 'while IFS= read -r n && [ "$n" -gt 0 ]; do head -c "$n"; done'
_FRAME_BYTES = 1 << 16
_READ_MARKER = "IFS= read -r e"

TIMED_OUT = (124, 137, 143)
"""Exit codes of ``timeout``: SIGTERM (143: busybox), or the SIGKILL after it."""


@dataclass(frozen=True, slots=True)
class Markers:
    """Random texts, so that no other output contains them."""

    token: str = field(default_factory=lambda: secrets.token_hex(12))
    """Of the first two markers, which are arguments of processes on the target."""

    end_token: str = field(default_factory=lambda: secrets.token_hex(12))

    @property
    def start(self) -> str:
        """Printed by the first ``sh``; what precedes it is output of the rc files."""
        return f"hardpan-start-{self.token}."

    @property
    def ready(self) -> str:
        """Printed by the shell that has root; what precedes it is output of sudo or doas."""
        return f"hardpan-ready-{self.token}."

    @property
    def end(self) -> str:
        """Precedes the exit status and a full stop."""
        return f"hardpan-end-{self.end_token}-"


def to_shell_command(command: Sequence[str] | str) -> str:
    """Return a shell script (a str) unchanged, or an argv with every argument quoted."""
    return command if isinstance(command, str) else shlex.join(command)


def build_login_line(markers: Markers, *, timeout_s: float, is_become: bool, tty: bool) -> str:
    """Return the line for the login shell.

    ``timeout`` leads the process group of a command that needs no further rights. With sudo it
    must run as root to end the command, and with a terminal it would be in the background.
    """
    if tty:
        script = f"{_RAW_TERMINAL}; printf {markers.start}"
    else:
        script = f"printf {markers.start}; printf {markers.start} >&2"
    # Empty lines are skipped: they answer rc files that read.
    read_header = 'h=; while [ -z "$h" ] && IFS= read -r h; do :; done; eval "$h"'
    line = f"sh -c '{script}; {read_header}'"
    return line if is_become or tty else f"{_timeout(timeout_s)} {line}"


def build_plain_header(markers: Markers) -> str:
    """Return the line that runs the script with the rights of the login."""
    return f"{_ENVIRONMENT}; sh -c {shlex.quote(_RUN_SCRIPT)}; {_print_end(markers)}"


def build_become_header(
    markers: Markers,
    become: Sequence[str],
    *,
    timeout_s: float,
    tty: bool,
    input_bytes: int | None,
) -> str:
    """Return the line that runs the script as root with the argv ``become`` before ``sh``.

    ``input_bytes`` is the length of the script's line and of stdin; None: stdin stays open. Before
    it the root shell reads the line with the end marker. It ends when the connection closes its
    stdin: sudo 1.9 with ``log_output`` loses output that it has not forwarded when its command
    ends.
    """
    command = f"{_timeout(timeout_s)} sh -c {shlex.quote(_RUN_SCRIPT)}"
    if tty:
        start = f"{_RAW_TERMINAL}; printf {markers.ready}"
        root_script = f"{_ENVIRONMENT}; {start}; {_READ_MARKER}; {_with_frames(command)}"
    else:
        start = f"printf {markers.ready}; printf {markers.ready} >&2"
        if input_bytes is not None:
            command = f"head -c {input_bytes} | {command}"
        end = 'rc=$?; printf %s%s. "$e" $rc; printf %s%s. "$e" $rc >&2'
        root_script = f"{_ENVIRONMENT}; {start}; {_READ_MARKER}; {command}; {end}; read -r _"
    argv = shlex.join([*become, "sh", "-c", root_script])
    end = f"rc=$?; printf {markers.end}%s. $rc" if tty else _print_end(markers)
    return f"{_ENVIRONMENT}; {argv}; {end}"


def encode_script(script: str) -> bytes:
    """Return the script as one line for ``printf %b`` (POSIX, printf)."""
    text = script.replace("\\", "\\\\").replace("\n", "\\n")
    return text.encode("utf-8", "surrogateescape") + b"\n"


def encode_marker(markers: Markers) -> bytes:
    """Return the line with the end marker, which the root shell reads."""
    return markers.end.encode() + b"\n"


def encode_frames(data: bytes, *, is_last: bool) -> Iterator[bytes]:
    """Yield stdin for a command with a terminal; ``is_last`` ends it."""
    for offset in range(0, len(data), _FRAME_BYTES):
        frame = data[offset : offset + _FRAME_BYTES]
        yield b"%d\n" % len(frame) + frame
    if is_last:
        yield b"0\n"


def _timeout(timeout_s: float) -> str:
    # busybox takes no fractions.
    return f"timeout -k {KILL_AFTER_S} {max(1, round(timeout_s))}"


def _print_end(markers: Markers) -> str:
    return f"rc=$?; printf {markers.end}%s. $rc; printf {markers.end}%s. $rc >&2"


def _with_frames(command: str) -> str:
    """Return the pipeline around a command on a terminal; 8 is the terminal, 9 the exit status."""
    framed = (
        f"{{ {{ {{ {command} 8>&- 9>&-; echo $? >&9; }} 2>&1 >&7 7>&- | base64 | "
        r"tr A-Za-z0-9+/= '\200-\300' >&8; } 7>&1 | base64 >&8; } 9>&1"
    )
    end = f'rc=$({framed}); printf %s%s. "$e" $rc'
    return f"exec 8>&1; {_READ_FRAMES} | {{ {end}; }}"
