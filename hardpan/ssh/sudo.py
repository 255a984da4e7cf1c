"""The dialogue with ``sudo`` or ``doas`` before a command starts, and what their messages mean.

No I/O: nothing here opens a connection.
"""

import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum

_ASK_HINT = "give it with --ask-sudo-password, or allow NOPASSWD for this user"
_INSTALL_HINT = "log in as root, or install sudo"
_LINE_END = re.compile(r"[\r\n]+")
_DOAS_PROMPT = re.compile(rb"password: ?\Z", re.IGNORECASE)
_OTHER_PROMPT = re.compile(rb"[^\r\n]{1,200}: ?\Z")
_VERIFICATION_CODE = re.compile(rb"code|token|otp|one-time|pin\b", re.IGNORECASE)


class BecomeFailure(StrEnum):
    """Why sudo or doas did not start a command."""

    CREDENTIAL_REQUIRED = "a password is required"
    CREDENTIAL_INCORRECT = "the password is incorrect"
    VERIFICATION_CODE = "one-time code"
    NO_RIGHTS = "no rights"
    NO_TERMINAL = "no terminal"
    NOT_INSTALLED = "not installed"
    NOEXEC = "noexec"
    OTHER = "other"


FAILURES = {
    "a terminal is required to authenticate": BecomeFailure.CREDENTIAL_REQUIRED,
    "password is required": BecomeFailure.CREDENTIAL_REQUIRED,
    "no tty present": BecomeFailure.CREDENTIAL_REQUIRED,
    "interactive authentication is required": BecomeFailure.CREDENTIAL_REQUIRED,
    "Authentication required": BecomeFailure.CREDENTIAL_REQUIRED,
    "must have a tty": BecomeFailure.NO_TERMINAL,
    "a tty is required": BecomeFailure.NO_TERMINAL,
    "not in the sudoers": BecomeFailure.NO_RIGHTS,
    "may not run sudo": BecomeFailure.NO_RIGHTS,
    "not allowed": BecomeFailure.NO_RIGHTS,
    "Operation not permitted": BecomeFailure.NO_RIGHTS,
    "incorrect password": BecomeFailure.CREDENTIAL_INCORRECT,
    "incorrect authentication": BecomeFailure.CREDENTIAL_INCORRECT,
    "Authentication failed": BecomeFailure.CREDENTIAL_INCORRECT,
    "sudo: not found": BecomeFailure.NOT_INSTALLED,
    "doas: not found": BecomeFailure.NOT_INSTALLED,
    "command not found": BecomeFailure.NOT_INSTALLED,
    "No such file or directory": BecomeFailure.NOT_INSTALLED,
    "Permission denied": BecomeFailure.NOEXEC,
}
"""Text in the output of sudo (1.8, 1.9), sudo-rs or doas (OpenDoas) -> the failure; in order."""


@dataclass(slots=True)
class BecomeDialogue:
    """The dialogue with one ``sudo`` or ``doas``: prompt and password.

    The password is sent only in answer to a prompt: with a cached credential or NOPASSWD it would
    become input of the command. sudo gets a random prompt, so text of the target cannot imitate
    it; ``%p`` in it is the user whose password sudo expects (sudo(8), ``-p``).
    """

    program: str = "sudo"
    password: str = ""
    """Empty: the program must not prompt."""

    prompt: str = field(default_factory=lambda: f"hardpan-prompt-{secrets.token_hex(12)}-")
    prompt_count: int = 0
    """How often it prompted; more than once means that the password was incorrect."""

    password_owner: str = ""
    """User whose password sudo expects: the login, or another (``rootpw``, ``targetpw``)."""

    is_code_required: bool = False
    """Whether the prompt asks for something else than a password."""

    _answered_bytes: int = 0

    def argv(self) -> list[str]:
        """Return the program with its options; the command follows."""
        if self.program == "doas":
            return ["doas"] if self.password else ["doas", "-n"]
        if not self.password:
            return ["sudo", "-n", "--"]
        return ["sudo", "-S", "-p", f"{self.prompt}%p:", "--"]

    def answer(self, text: bytes, *, is_idle: bool) -> bytes:
        """Return what to send, when ``text`` is all output of the program up to now.

        With ``is_idle`` nothing arrived for a while: a line without end is then a prompt, such as
        one of a PAM module, which sudo shows instead of ours.
        """
        if len(text) < self._answered_bytes:
            self._answered_bytes = 0
        unanswered = text[self._answered_bytes :]
        if not self.password or not self._is_prompt(unanswered, is_idle):
            return b""
        self._answered_bytes = len(text)
        self.prompt_count += 1
        return self.password.encode("utf-8", "surrogateescape") + b"\n"

    def has_failed(self) -> bool:
        """Whether another answer makes no sense."""
        return self.prompt_count > 1 or self.is_code_required

    def output(self, text: bytes) -> str:
        """Return the output of the program without prompts, for a message."""
        plain = re.sub(rf"{self.prompt}[^:]*:", "", text.decode("utf-8", "replace"))
        return "\n".join(x.strip() for x in _LINE_END.split(plain) if x.strip())

    def failure(self, text: bytes) -> BecomeFailure:
        """Return why the program did not start the command."""
        if self.is_code_required:
            return BecomeFailure.VERIFICATION_CODE
        if self.prompt_count > 1:
            return BecomeFailure.CREDENTIAL_INCORRECT
        output = self.output(text)
        return next((f for t, f in FAILURES.items() if t in output), BecomeFailure.OTHER)

    def _is_prompt(self, text: bytes, is_idle: bool) -> bool:
        match = re.search(re.escape(self.prompt.encode()) + rb"([^:\r\n]{0,64}):", text)
        if match:
            self.password_owner = match[1].decode("utf-8", "replace")
            return True
        if self.program == "doas":
            return _DOAS_PROMPT.search(text) is not None
        if not is_idle or not _OTHER_PROMPT.search(text):
            return False
        self.is_code_required = _VERIFICATION_CODE.search(text) is not None
        return not self.is_code_required


def explain_failure(failure: BecomeFailure, dialogue: BecomeDialogue, user: str) -> tuple[str, str]:
    """Return the reason and the hint for a failure of the program."""
    program = dialogue.program
    owner = dialogue.password_owner
    if failure is BecomeFailure.CREDENTIAL_INCORRECT and owner not in ("", user):
        reason = f"sudo refused the password: it asks for the password of {owner}"
        hint = f"type the password of {owner} (sudoers has rootpw, targetpw or runaspw)"
        return reason, hint
    return {
        BecomeFailure.CREDENTIAL_REQUIRED: (f"{program} asks for a password", _ASK_HINT),
        BecomeFailure.CREDENTIAL_INCORRECT: (
            f"{program} refused the password",
            "type it again",
        ),
        BecomeFailure.VERIFICATION_CODE: (
            f"{program} asks for a one-time code",
            "use a user for whom it asks only for a password, or nothing",
        ),
        BecomeFailure.NO_RIGHTS: (
            f"{program} does not allow this user to run every command as root",
            "use a user with that right",
        ),
        BecomeFailure.NO_TERMINAL: (
            f"{program} insists on a terminal",
            "add to sudoers on the target: Defaults:USER !requiretty",
        ),
        BecomeFailure.NOT_INSTALLED: (f"{program} is not installed there", _INSTALL_HINT),
        BecomeFailure.NOEXEC: (
            "sudo's noexec option stops programs from starting others",
            f"add to sudoers on the target: Defaults:{user} !noexec; or log in as root",
        ),
        BecomeFailure.OTHER: (
            f"{program} refused",
            f"run the same with {program} on the target to see why",
        ),
    }[failure]
