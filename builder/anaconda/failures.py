"""Console lines that mean that an installation, or the boot of a guest, has failed.

The text of a failure is matched only in lines of the source that writes it, and Anaconda's texts
only at the start of a message: a kernel message or the output of a package's script may contain
the same words. Package names never reach these patterns (``InstallProgress.update``).

Abbreviations of the sources: ``a9`` and ``a10`` are rhinstaller/anaconda, branches rhel-9 and
rhel-10, below pyanaconda/; without one, both.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from hardpan.builder.anaconda.lines import ConsoleLine

COMPLETE_MARKER = "HARDPAN-INSTALL: complete"
FAILED_MARKER = "HARDPAN-INSTALL: failed"


class Origin(Enum):
    """Programs whose lines a pattern is matched in."""

    INSTALLER = auto()
    """Anaconda, and programs that write to the console directly."""

    KERNEL = auto()
    """The kernel; also lines without any prefix."""

    ANY = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class FailurePattern:
    """A message that means failure."""

    name: str
    """Name of the recorded-style log with the failure, in tests/data/anaconda."""

    regex: re.Pattern[str]
    """Matched at the start of the message."""

    origin: Origin
    has_details: bool = False
    """True if the reason is in the lines that follow."""

    hint: str = ""
    """The next step, where the message does not say it."""


def _pattern(
    name: str,
    regex: str,
    origin: Origin = Origin.INSTALLER,
    *,
    has_details: bool = False,
    hint: str = "",
) -> FailurePattern:
    return FailurePattern(
        name=name, regex=re.compile(regex), origin=origin, has_details=has_details, hint=hint
    )


_PROMPT_HINT = (
    "the installer waits for a key, and nobody is there: the kickstart leaves something open,"
    " or a script of it failed; the lines before the question say what"
)


FAILURE_PATTERNS = (
    # Written by the kickstart's own scripts, possibly after dots without a line end.
    _pattern("marker", r".{0,200}?(?P<text>HARDPAN-INSTALL: failed.*)", has_details=True),
    # exception.py, handleException
    _pattern(
        "cmdline-error",
        r"The installation was stopped due to an error.*",
        has_details=True,
    ),
    _pattern("hardware-error", r"The installation was stopped due to what seems.*"),
    _pattern(
        "exception", r"Running in cmdline mode, no interactive debugging allowed", has_details=True
    ),
    _pattern("exception-dialog", r"An unknown error has occured, look at the .*"),
    _pattern("terminates", r"The installer will now terminate"),
    # ui/lib/space.py, check: the file systems are too small for the packages (a10 ends, a9 asks);
    # a9 payload/dnf/payload.py, a10 modules/payloads/base/utils.py: too small for the download
    _pattern(
        "disk-full",
        r"Not enough (?:disk )?space (?:in file systems|to download).*",
        hint="enlarge storage.disk_size and the partitions of the profile, or install less",
    ),
    # ui/lib/storage.py
    _pattern(
        "storage-configuration",
        r"Failed to save (?:storage|boot loader) configuration",
        has_details=True,
    ),
    # errors.py, ErrorHandler.cb; ui/tui/hubs/summary.py
    _pattern("non-interactive", r"Non interactive installation failed: .*"),
    _pattern(
        "mandatory-spokes",
        r"The following mandatory spokes are not completed:.*",
        has_details=True,
    ),
    # errors.py, _script_error_handler: a dialog that waits for the Enter key, even in cmdline mode.
    # A script of the kickstart failed; %onerror does not run.
    _pattern(
        "script-error", r"There was an error running the kickstart script.*", has_details=True
    ),
    # kickstart.py, parseKickstart; startup_utils.py, find_kickstart
    _pattern(
        "kickstart-error",
        r"An error occurred during reading the kickstart file:.*",
        has_details=True,
    ),
    _pattern("kickstart-missing", r"Kickstart file .* is missing\."),
    # anaconda.py, _earlyExceptionHandler: an exception before the interface starts, such as the
    # ScriptError of a failing %pre.
    _pattern("traceback", r"Traceback \(most recent call last\):", has_details=True),
    # startup_utils.py, check_memory
    _pattern("memory", r"The installation cannot continue and the system will be rebooted"),
    # simpleline (prompt.py, adv_widgets.py): a question, which cmdline mode cannot answer
    _pattern(
        "prompt-key",
        r".{0,200}?Press ENTER to (?:continue|exit|quit|return).*",
        hint=_PROMPT_HINT,
    ),
    _pattern(
        "prompt-menu", r".{0,200}?Please make a selection from the above.*", hint=_PROMPT_HINT
    ),
    _pattern("prompt-question", r".{0,200}?Please respond 'yes' or 'no'.*", hint=_PROMPT_HINT),
    # python-meh, ui/text.py
    _pattern("prompt-exception", r"What do you want to do now\?"),
    # Signal handler of Anaconda 34 (isys/isys.c), and systemd-coredump
    _pattern("crash", r"Anaconda crashed on signal \d+.*", Origin.ANY),
    _pattern("core-dump", r"Process \d+ \(anaconda\) of user \d+ .*dumped core.*", Origin.ANY),
    # data/tmux.conf, remain-on-exit: tmux itself
    _pattern("pane-dead", r"Pane is dead.*"),
    # systemd: the unit is anaconda-direct.service "the anaconda installation program"
    _pattern("unit-failed", r"(?:\[FAILED\] )?Failed to start .*[Aa]naconda.*", Origin.ANY),
    # dracut/anaconda-lib.sh, anaconda-diskroot, fetch-kickstart-disk, anaconda-error-reporting.sh
    _pattern("media-check", r".{0,60}?Media check failed!.*", Origin.ANY),
    _pattern("kickstart-fetch", r".{0,60}?Can't get kickstart from .*", Origin.ANY),
    _pattern("stage2", r".{0,60}?anaconda: failed to fetch stage2 from .*", Origin.ANY),
    _pattern("initramfs", r".{0,60}?#+ Anaconda installer errors begin #+", Origin.ANY),
    # dracut: dracut-lib.sh, 01fips/fips.sh, 98dracut-systemd; systemd: emergency.service
    _pattern("dracut-no-root", r".{0,60}?Could not boot\.", Origin.ANY),
    _pattern("fips", r".{0,60}?FIPS integrity test failed.*", Origin.ANY),
    # systemd writes to the last console only, sulogin to every console.
    _pattern(
        "emergency",
        r".{0,120}?(?:dracut-emergency|Entering emergency mode|You are in emergency mode"
        r"|Give root password for maintenance"
        r"|Cannot open access to console, the root account is locked).*",
        Origin.ANY,
    ),
    # Linux: kernel/panic.c, mm/oom_kill.c
    _pattern("panic", r"Kernel panic - not syncing.*", Origin.KERNEL),
    _pattern("out-of-memory", r"Out of memory: Killed process.*", Origin.KERNEL),
    # EDK2, SeaBIOS, GRUB
    _pattern("uefi-menu", r".{0,200}?Press any key to enter the Boot Manager Menu.*"),
    _pattern("no-bootable-device", r"No bootable device.*"),
    _pattern("grub-device", r".{0,200}?error: (?:\.\./\S+: ?)?no such device: .*"),
)
"""Each of these messages means failure."""

PROMPT_NAMES = frozenset({"prompt-key", "prompt-menu", "prompt-question"})
"""Prompts stand at the end of a line that has no line end."""

_MAX_FAILURE_CHARS = 300
_MAX_DETAILS = 40
_WITH_EXACT_MESSAGE = frozenset({"cmdline-error", "exception"})
_EXACT_MESSAGE = re.compile(r"The exact error message is: ?(?P<text>.*)")
_EXCEPTION = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*(?:Error|Exception|Exit|Interrupt)\b.*")
_LAST_LINE = re.compile(
    r"The installer will now terminate|The installation was stopped due to|HARDPAN-LOG: "
)
_UNRELATED = re.compile(r"[=-]{10,}$|\[.{6}\] ")
"""Lines of a dialog's frame, and systemd's status lines."""

_EXPLANATIONS = {
    "pyanaconda.errors.ScriptError": "a script of the kickstart failed before the installation"
}
"""Exception without a message -> what it means."""


@dataclass(slots=True, kw_only=True)
class Failure:
    """A failure and the lines that explain it."""

    pattern: FailurePattern
    text: str
    """The message, without the line's prefix."""

    _details: list[str]
    _is_closed: bool = False

    def add_line(self, line: ConsoleLine) -> None:
        """Add a line that follows the failure, if it belongs to it."""
        if self._is_closed or not self.pattern.has_details or not line.is_installer:
            return
        if _LAST_LINE.match(line.message) or len(self._details) >= _MAX_DETAILS:
            self._is_closed = True
        elif line.message and not _UNRELATED.match(line.message):
            self._details.append(line.message)

    def describe(self) -> str:
        """Return the reason in one line: the installer's exact message if it printed one."""
        for number, detail in enumerate(self._details):
            match = _EXACT_MESSAGE.match(detail)
            if match is not None and self.pattern.name in _WITH_EXACT_MESSAGE:
                return _join([match["text"], *self._details[number + 1 :]])
        if self.pattern.name == "traceback":
            exceptions = [d for d in self._details if _EXCEPTION.match(d)]
            return _join([*exceptions[:1], *map(_explain, exceptions[:1])]) or self.text
        return _join([self.text, *self._details])


def find_failure(line: ConsoleLine) -> Failure | None:
    """Return the failure that a line means, or None."""
    for pattern in FAILURE_PATTERNS:
        if _can_come_from(pattern.origin, line):
            match = pattern.regex.match(line.message)
            if match is not None:
                text = match.groupdict().get("text") or match[0]
                return Failure(pattern=pattern, text=text, _details=[])
    return None


def find_prompt(partial_line: str) -> Failure | None:
    """Return the failure that an unfinished line means: a prompt that waits for input."""
    for pattern in FAILURE_PATTERNS:
        if pattern.name in PROMPT_NAMES and (match := pattern.regex.match(partial_line)):
            return Failure(pattern=pattern, text=match[0], _details=[])
    return None


def _can_come_from(origin: Origin, line: ConsoleLine) -> bool:
    if origin is Origin.ANY:
        return True
    if origin is Origin.KERNEL:
        return not line.program
    return line.is_installer


def _explain(exception: str) -> str:
    explanation = _EXPLANATIONS.get(exception)
    return f"({explanation})" if explanation else ""


def _join(texts: Sequence[str]) -> str:
    return " ".join(t.strip() for t in texts if t.strip())[:_MAX_FAILURE_CHARS]
