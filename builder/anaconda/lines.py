"""Split a line of an installer's console into its source and its message.

With ``inst.notmux``, Anaconda runs as ``anaconda-direct.service`` with ``StandardOutput=
journal+console`` (data/systemd/anaconda-direct.service). systemd-journald then writes each line to
/dev/console as ``[   45.123456] anaconda[1523]: text`` (systemd, journald-console.c), and writes a
line only once it is complete: a prompt without a line end never appears. The kernel's lines have
the timestamp only; systemd's status lines and scripts that write to /dev/console have no prefix.
"""

import re
from dataclasses import dataclass

_PREFIX = re.compile(
    r"\[ *\d{1,10}\.\d{1,9}\] ?(?:(?P<program>[A-Za-z0-9_.@:-]{1,64})\[\d{1,10}\]: ?)?"
)
_EMBEDDED_PREFIX = re.compile(r"(?=\[ {0,5}\d{1,10}\.\d{6}\] )")
# The stdout logger of Anaconda puts the time before its messages (anaconda_logging.py,
# STDOUT_FORMAT and DATE_FORMAT).
_CLOCK = re.compile(r"\d\d:\d\d:\d\d ")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleLine:
    """A line of a console without its prefix."""

    program: str
    """Program that journald or the kernel names, e.g. ``anaconda``; empty without a name."""

    is_kernel: bool
    """True for a line with a timestamp and no program: a message of the kernel."""

    message: str

    @property
    def is_installer(self) -> bool:
        """Whether Anaconda, or a program without a prefix, wrote the line."""
        return self.program == "anaconda" or not (self.program or self.is_kernel)


def split_line(text: str) -> list[str]:
    """Split a line that a message of the kernel interrupts."""
    return [part for part in _EMBEDDED_PREFIX.split(text) if part]


def parse_line(text: str) -> ConsoleLine:
    """Parse a line without escape codes and line end."""
    prefix = _PREFIX.match(text)
    program = (prefix["program"] or "") if prefix else ""
    message = text[prefix.end() :] if prefix else text
    clock_time = _CLOCK.match(message)
    if clock_time:
        message = message[clock_time.end() :]
    return ConsoleLine(
        program=program, is_kernel=prefix is not None and not program, message=message.strip()
    )
