"""Parse a guest's serial console. Pure functions; the guest is hostile.

What an installer's lines mean is in ``hardpan.builder.anaconda``.
"""

import re
from collections import deque
from dataclasses import dataclass, field

from hardpan.builder.anaconda.failures import COMPLETE_MARKER, Failure, find_failure, find_prompt
from hardpan.builder.anaconda.lines import ConsoleLine, parse_line, split_line
from hardpan.builder.anaconda.progress import InstallProgress

_HOST_KEY = re.compile(
    r"HARDPAN-HOSTKEY: (?P<key>(?:ssh|ecdsa)-[a-z0-9-]{1,40} [A-Za-z0-9+/]{40,1000}={0,2})\s*$"
)
_PASSPHRASE_PROMPT = re.compile(
    r"(?:enter passphrase for|please unlock) [^:]{1,200}:\s*(?:\(press TAB for no echo\)\s*)?$",
    re.IGNORECASE,
)
"""systemd-ask-password, dracut and cryptsetup-initramfs; followed by no line end."""

_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-_])")
_MAX_LINE_BYTES = 4096
_MAX_TAIL_LINES = 40
_MAX_HOST_KEYS = 16


@dataclass(slots=True, kw_only=True)
class GuestConsole:
    """State of a guest's console; its memory use is bounded."""

    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_MAX_TAIL_LINES))
    """Last lines, without escape codes."""

    progress: InstallProgress = field(default_factory=InstallProgress)
    """Position of an installation."""

    is_complete: bool = False
    _failure: Failure | None = None
    _host_key_counts: dict[str, int] = field(default_factory=dict)
    _partial_line: bytes = b""
    passphrase_prompts: int = 0
    """How often the passphrase of a disk was asked for."""

    _has_counted_prompt: bool = False

    @property
    def failure(self) -> str:
        """The first line that means failure, with its reason; empty if there is none."""
        return self._failure.describe() if self._failure is not None else ""

    @property
    def failure_hint(self) -> str:
        """The next step after the failure; empty if there is none, or its message says it."""
        return self._failure.pattern.hint if self._failure is not None else ""

    @property
    def has_panicked(self) -> bool:
        """Whether the first failure is a panic of the kernel."""
        return self._failure is not None and self._failure.pattern.name == "panic"

    def feed(self, data: bytes) -> list[str]:
        """Process console output and return its complete lines, cleaned."""
        *raw_lines, self._partial_line = (self._partial_line + data).split(b"\n")
        if len(self._partial_line) > _MAX_LINE_BYTES:
            raw_lines, self._partial_line = [*raw_lines, self._partial_line], b""
        lines = [clean_line(line[:_MAX_LINE_BYTES]) for line in raw_lines]
        for line in lines:
            self._count_prompt(line)
            self._has_counted_prompt = False
            self._process_line(line)
        if self._partial_line:
            partial_line = clean_line(self._partial_line)
            self._count_prompt(partial_line)
            if self._failure is None:
                self._failure = find_prompt(partial_line)
        return lines

    def _count_prompt(self, line: str) -> None:
        """Count a prompt for a passphrase, once for each line."""
        if not self._has_counted_prompt and _PASSPHRASE_PROMPT.search(line):
            self._has_counted_prompt = True
            self.passphrase_prompts += 1

    @property
    def host_keys(self) -> tuple[str, ...]:
        """Host keys that were printed at least twice: a kernel message can corrupt a line."""
        return tuple(sorted(k for k, times in self._host_key_counts.items() if times >= 2))

    def _process_line(self, line: str) -> None:
        if not line:
            return
        self.tail.append(line)
        if COMPLETE_MARKER in line:
            self.is_complete = True
        elif (key := _HOST_KEY.search(line)) is not None:
            if key["key"] in self._host_key_counts or len(self._host_key_counts) < _MAX_HOST_KEYS:
                self._host_key_counts[key["key"]] = self._host_key_counts.get(key["key"], 0) + 1
        else:
            for part in split_line(line):
                self._process_installer_line(parse_line(part))

    def _process_installer_line(self, line: ConsoleLine) -> None:
        if self.progress.update(line):
            return
        if self._failure is None:
            self._failure = find_failure(line)
        else:
            self._failure.add_line(line)


def clean_line(line: bytes) -> str:
    """Decode a line and remove escape codes, control characters and surrounding blanks."""
    # A carriage return overwrites the line, as progress displays do.
    last_state = line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
    text = _ESCAPE.sub("", last_state)
    return "".join(c if c.isprintable() else " " for c in text).strip()
