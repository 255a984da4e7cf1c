"""Parse a guest's serial console. Pure functions; the guest is hostile.

Markers and failure patterns are those of Anaconda, of the EL kernel and of the
lab's installer (sources: anaconda's exception.py, lorax's monitor.py, the
console patterns of RHSecurityCompliance/contest).
"""

import re
from collections import deque
from dataclasses import dataclass, field

COMPLETE_MARKER = "HARDPAN-INSTALL: complete"
FAILED_MARKER = "HARDPAN-INSTALL: failed"

FAILURE_PATTERNS = (
    r"HARDPAN-INSTALL: failed.*",
    r"The installation was stopped due to an error",
    r"installation should be aborted",
    r"error running the kickstart script",
    r"There was an error running the kickstart",
    r"Non interactive installation failed",
    r"The installer will now terminate",
    r"Kernel panic - not syncing.*",
    r"Failed to start .*[Aa]naconda",
    r"Press any key to enter the Boot Manager Menu",
    r"failed to fetch stage2",
    r"Could not boot\.",
    r"[Tt]raceback script\(s\) have been run",
    r"^Traceback \(most recent call last\)",
    r"Out of memory: Killed process.*",
    r"insufficient disk space",
    r"Not enough disk space to download",
    r"[Ee]rror populating transaction",
    r"crashed on signal",
    r"NoSuchPackage",
    r"Error in POSTIN scriptlet",
    r"anaconda dumped core",
    r"FIPS integrity test failed",
    r"dracut-emergency|Entering emergency mode|Give root password for maintenance",
    r"error: no such device: .*|No bootable device",
)
"""Each of these lines means that the install has failed."""

_FAILURE = re.compile("|".join(f"(?:{p})" for p in FAILURE_PATTERNS))
_PHASE = re.compile(
    r"HARDPAN-INSTALL: phase (?P<name>[a-z-]{1,40})(?: \[(?P<n>\d+)/(?P<of>\d+)\])?"
)
_HOST_KEY = re.compile(
    r"HARDPAN-HOSTKEY: (?P<key>(?:ssh|ecdsa)-[a-z0-9-]{1,40} [A-Za-z0-9+/]{40,1000}={0,2})\s*$"
)
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-_])")
_MAX_LINE_BYTES = 4096
_MAX_TAIL_LINES = 40
_MAX_HOST_KEYS = 16


@dataclass(slots=True, kw_only=True)
class GuestConsole:
    """State of a guest's console; its memory use is bounded."""

    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_MAX_TAIL_LINES))
    """Last lines, without escape codes."""

    failure: str = ""
    """First line that means failure; empty if there is none."""

    is_complete: bool = False
    phase: str = ""
    phase_position: tuple[int, int] = (0, 0)
    """Number of the current phase and of all phases."""

    _host_key_counts: dict[str, int] = field(default_factory=dict)
    _partial_line: bytes = b""

    def feed(self, data: bytes) -> list[str]:
        """Process console output and return its complete lines, cleaned."""
        *raw_lines, self._partial_line = (self._partial_line + data).split(b"\n")
        if len(self._partial_line) > _MAX_LINE_BYTES:
            raw_lines, self._partial_line = [*raw_lines, self._partial_line], b""
        lines = [clean_line(line[:_MAX_LINE_BYTES]) for line in raw_lines]
        for line in lines:
            self._process_line(line)
        return lines

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
        elif (phase := _PHASE.search(line)) is not None:
            self.phase = phase["name"]
            self.phase_position = (int(phase["n"] or 0), int(phase["of"] or 0))
        elif (key := _HOST_KEY.search(line)) is not None:
            if key["key"] in self._host_key_counts or len(self._host_key_counts) < _MAX_HOST_KEYS:
                self._host_key_counts[key["key"]] = self._host_key_counts.get(key["key"], 0) + 1
        elif not self.failure and (match := _FAILURE.search(line)) is not None:
            self.failure = match[0][:300]


def clean_line(line: bytes) -> str:
    """Decode a line and remove escape codes, control characters and surrounding blanks."""
    # A carriage return overwrites the line, as progress displays do.
    last_state = line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
    text = _ESCAPE.sub("", last_state)
    return "".join(c if c.isprintable() else " " for c in text).strip()
