"""Command lines for a target's shell, and the conversation with its ``sudo``.

Pure text: nothing here opens a connection. Every command runs under
``timeout`` on the target, so that it ends there too, not only here.
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

REFUSALS = {
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
"""What sudo says -> (what that means, what to do)."""


def body(command: Sequence[str] | str) -> str:
    """A shell script (a str) as it is, or an argv with every word quoted."""
    return command if isinstance(command, str) else shlex.join(command)


def line(command: Sequence[str] | str, *, timeout_s: float, sudo: "Sudo | None" = None) -> str:
    """The one line that is sent to the target's login shell."""
    # Every word is quoted, so any login shell that knows single quotes will do.
    words = ["env", "LC_ALL=C.UTF-8", f"PATH={_PATH}"]
    words += ["timeout", "-k", str(_KILL_AFTER_S), f"{timeout_s:.1f}"]
    words += ["sh", "-c", body(command)]
    if sudo is None:
        return shlex.join(words)
    asked = ["-S", "-p", sudo.prompt] if sudo.password else ["-n"]
    start = f"echo {sudo.ready} >&2; exec {shlex.join(words)}"
    return shlex.join(["env", "LC_ALL=C", "sudo", *asked, "--", "sh", "-c", start])


@dataclass(slots=True)
class Sudo:
    """The conversation with one ``sudo``: prompt, password, go.

    The password is sent only when sudo really asks for it: with a cached
    credential or NOPASSWD it would end up as input of the command itself. The
    words to look for are random, so a target's own text cannot ask for it.
    """

    password: str = ""
    """Empty: sudo must not ask."""

    prompt: str = field(default_factory=lambda: f"hardpan-prompt-{secrets.token_hex(12)}")
    ready: str = field(default_factory=lambda: f"hardpan-ready-{secrets.token_hex(12)}")
    begun: bool = False
    """True once the command itself runs."""

    asked: int = 0
    """How often sudo asked; more than once means that the password was wrong."""

    _heard: bytes = b""

    def hear(self, data: bytes) -> tuple[bytes, bytes]:
        """What to answer on stdin, and what of ``data`` is the command's own stderr."""
        if self.begun:
            return b"", data
        self._heard += data
        answer = b""
        prompt = self.prompt.encode()
        if self.password and prompt in self._heard:
            self._heard = self._heard.replace(prompt, b"", 1)
            self.asked += 1
            answer = self.password.encode() + b"\n"
        ready = self.ready.encode() + b"\n"
        if ready in self._heard:
            self.begun = True
            _, _, rest = self._heard.partition(ready)
            self._heard = b""
            return answer, rest
        self._heard = self._heard[-_MAX_PREAMBLE:]
        return answer, b""

    def said(self) -> str:
        """What sudo itself said, when the command never began."""
        text = self._heard.decode("utf-8", "replace").replace(self.prompt, "")
        return "\n".join(x.strip() for x in text.splitlines() if x.strip())

    def refusal(self) -> tuple[str, str]:
        """What sudo's refusal means, and what to do about it."""
        said = self.said()
        if self.asked > 1:
            return REFUSALS["incorrect password"]
        for words, meaning in REFUSALS.items():
            if words in said:
                return meaning
        return "sudo refused", "run the same with sudo on the target to see why"
