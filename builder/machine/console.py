"""What a guest says on its serial console, as facts. Pure; the guest is hostile.

Markers and failure patterns are those of Anaconda, of the EL kernel and of the
lab's installer (sources: anaconda's exception.py, lorax's monitor.py, the
console patterns of RHSecurityCompliance/contest).
"""

import re
from collections import deque
from dataclasses import dataclass, field

COMPLETE = "HARDPAN-INSTALL: complete"
FAILED = "HARDPAN-INSTALL: failed"

FAILURES = (
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
"""Each one alone ends an install: nothing good has ever followed one of them."""

_FAILURE = re.compile("|".join(f"(?:{p})" for p in FAILURES))
_PHASE = re.compile(
    r"HARDPAN-INSTALL: phase (?P<name>[a-z-]{1,40})(?: \[(?P<n>\d+)/(?P<of>\d+)\])?"
)
_HOST_KEY = re.compile(
    r"HARDPAN-HOSTKEY: (?P<key>(?:ssh|ecdsa)-[a-z0-9-]{1,40} [A-Za-z0-9+/]{40,1000}={0,2})\s*$"
)
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-_])")
_LINE_MOST = 4096
_TAIL_LINES = 40
_KEYS_MOST = 16


@dataclass(slots=True, kw_only=True)
class Console:
    """The console so far: memory stays bounded whatever the guest writes."""

    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))
    """The last lines, without escape codes."""

    failure: str = ""
    """The first line that means failure; empty while there is none."""

    complete: bool = False
    phase: str = ""
    step: tuple[int, int] = (0, 0)
    """Which phase of how many."""

    _seen: dict[str, int] = field(default_factory=dict)
    _rest: bytes = b""

    def feed(self, data: bytes) -> list[str]:
        """Take what the guest wrote; the whole lines in it, cleaned."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LINE_MOST:
            whole, self._rest = [*whole, self._rest], b""
        lines = [clean(line[:_LINE_MOST]) for line in whole]
        for line in lines:
            self._take(line)
        return lines

    @property
    def host_keys(self) -> tuple[str, ...]:
        """Host keys that were told at least twice: a kernel message can spoil a line."""
        return tuple(sorted(k for k, times in self._seen.items() if times >= 2))

    def _take(self, line: str) -> None:
        if not line:
            return
        self.tail.append(line)
        if COMPLETE in line:
            self.complete = True
        elif (phase := _PHASE.search(line)) is not None:
            self.phase = phase["name"]
            self.step = (int(phase["n"] or 0), int(phase["of"] or 0))
        elif (key := _HOST_KEY.search(line)) is not None:
            if key["key"] in self._seen or len(self._seen) < _KEYS_MOST:
                self._seen[key["key"]] = self._seen.get(key["key"], 0) + 1
        elif not self.failure and (bad := _FAILURE.search(line)) is not None:
            self.failure = bad[0][:300]


def clean(line: bytes) -> str:
    """One line as text: no escape codes, no control characters, no blanks around it."""
    # A lone carriage return starts the line anew, as a progress display does.
    shown = line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
    text = _ESCAPE.sub("", shown)
    return "".join(c if c.isprintable() else " " for c in text).strip()
