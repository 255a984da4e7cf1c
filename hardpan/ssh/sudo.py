"""Command lines for a target's shell, and the dialogue with its ``sudo``.

No I/O: nothing here opens a connection. Every command runs under ``timeout`` on the target,
so that it also ends there.
"""

import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KILL_AFTER_S = 5
_MAX_PREAMBLE = 64 << 10

TIMED_OUT = (124, 137)
"""Exit codes of ``timeout``: ended by SIGTERM, or by the SIGKILL after it."""

FAILURE_REASONS = {
    "password is required": (
        "sudo asks for a password",
        "give it with --ask-sudo-password, or allow NOPASSWD for this user",
    ),
    "must have a tty": (
        "sudo insists on a terminal",
        "add to sudoers on the target: Defaults:USER !requiretty",
    ),
    "no tty present": ("sudo asks for a password", "give it with --ask-sudo-password"),
    "not in the sudoers": ("sudo does not know this user", "use a user that may use sudo"),
    "not allowed": (
        "sudo does not allow this user to run it",
        "the user needs the right to run every command as root",
    ),
    "incorrect password": ("sudo did not take the password", "type it again"),
    "sudo: not found": ("sudo is not installed there", "log in as root, or install sudo"),
    "sudo: command not found": ("sudo is not installed there", "log in as root, or install sudo"),
}
"""Text in sudo's output -> (reason, hint)."""


def to_shell_command(command: Sequence[str] | str) -> str:
    """Return a shell script (a str) unchanged, or an argv with every argument quoted."""
    return command if isinstance(command, str) else shlex.join(command)


def build_command_line(
    command: Sequence[str] | str, *, timeout_s: float, sudo: "SudoSession | None" = None
) -> str:
    """Build the single line that is sent to the target's login shell."""
    # Every argument is quoted, so any login shell with single quotes works.
    argv = ["env", "LC_ALL=C.UTF-8", f"PATH={_PATH}"]
    argv += ["timeout", "-k", str(_KILL_AFTER_S), f"{timeout_s:.1f}"]
    argv += ["sh", "-c", to_shell_command(command)]
    if sudo is None:
        return shlex.join(argv)
    sudo_options = ["-S", "-p", sudo.prompt] if sudo.password else ["-n"]
    start = f"echo {sudo.start_marker} >&2; exec {shlex.join(argv)}"
    return shlex.join(["env", "LC_ALL=C", "sudo", *sudo_options, "--", "sh", "-c", start])


@dataclass(slots=True)
class SudoSession:
    """The dialogue with one ``sudo``: prompt, password, start of the command.

    The password is sent only when sudo prompts for it: with a cached credential or NOPASSWD it
    would become input of the command. Prompt and start marker are random, so text of the target
    cannot imitate them.
    """

    password: str = ""
    """Empty: sudo must not prompt."""

    prompt: str = field(default_factory=lambda: f"hardpan-prompt-{secrets.token_hex(12)}")
    start_marker: str = field(default_factory=lambda: f"hardpan-ready-{secrets.token_hex(12)}")
    has_started: bool = False
    """True once the command itself runs."""

    prompt_count: int = 0
    """How often sudo prompted; more than once means that the password was incorrect."""

    _buffer: bytes = b""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what to send to stdin, and the part of ``data`` that is the command's stderr."""
        if self.has_started:
            return b"", data
        self._buffer += data
        reply = b""
        prompt = self.prompt.encode()
        if self.password and prompt in self._buffer:
            self._buffer = self._buffer.replace(prompt, b"", 1)
            self.prompt_count += 1
            reply = self.password.encode() + b"\n"
        marker = self.start_marker.encode() + b"\n"
        if marker in self._buffer:
            self.has_started = True
            _, _, remaining = self._buffer.partition(marker)
            self._buffer = b""
            return reply, remaining
        self._buffer = self._buffer[-_MAX_PREAMBLE:]
        return reply, b""

    def output(self) -> str:
        """Return sudo's own output, for a command that never started."""
        text = self._buffer.decode("utf-8", "replace").replace(self.prompt, "")
        return "\n".join(x.strip() for x in text.splitlines() if x.strip())

    def failure_reason(self) -> tuple[str, str]:
        """Return why sudo failed, and a hint."""
        text = self.output()
        if self.prompt_count > 1:
            return FAILURE_REASONS["incorrect password"]
        for pattern, meaning in FAILURE_REASONS.items():
            if pattern in text:
                return meaning
        return "sudo refused", "run the same with sudo on the target to see why"
