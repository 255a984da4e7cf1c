# SPDX-License-Identifier: GPL-2.0-or-later
"""Output of the installer: to every console of the kernel, and to anaconda.log."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .config_files import make_printable, parse_percent
from .process import append_log

MARKER = "HARDPAN-INSTALL:"
PHASES = (
    "parse", "pre", "storage", "payload", "packages", "configuration", "bootloader", "post",
    "finish",
)  # fmt: skip
_INTERVAL_S = 10.0
_ACTIVE_CONSOLES = Path("/sys/class/tty/console/active")


class InstallerConsole:
    """Lines to the consoles; progress at least every ten seconds while a phase goes on."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._phase = "start"
        self._phase_start = self._start
        self._lock = threading.Lock()
        self._devices = _open_consoles()
        self._percent: int | None = None
        self._last_output = self._start

    @property
    def phase_name(self) -> str:
        """The current phase."""
        return self._phase

    def print_line(self, line: str) -> None:
        """Print one line."""
        text = f"{make_printable(line)}\r\n".encode()
        with self._lock:
            self._last_output = time.monotonic()
            for device in self._devices:
                try:
                    os.write(device, text)
                except OSError:
                    continue
        append_log("anaconda", make_printable(line))

    def print_marker(self, line: str) -> None:
        """Print one line with the marker, for programs that watch the console."""
        self.print_line(f"{MARKER} {line}")

    def update_progress(self, line: str) -> None:
        """Take the progress from a program's output; print it if the interval has passed."""
        value = parse_percent(line)
        if value is None:
            return
        self._percent = value
        if time.monotonic() - self._last_output >= _INTERVAL_S / 2:
            self.report_phase()

    def report_phase(self) -> None:
        """Print phase, progress and duration."""
        percent_text = "" if self._percent is None else f" {self._percent}%"
        duration_s = time.monotonic() - self._phase_start
        self.print_marker(f"{self._phase}{percent_text} ({duration_s:.0f} s)")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Print the start, regular progress and the duration of a phase."""
        self._phase, self._phase_start, self._percent = name, time.monotonic(), None
        number = PHASES.index(name) + 1
        self.print_marker(f"phase {name} [{number}/{len(PHASES)}]")
        done = threading.Event()
        reporter = threading.Thread(target=self._report_periodically, args=(done,), daemon=True)
        reporter.start()
        try:
            yield
        finally:
            done.set()
        duration_s = time.monotonic() - self._phase_start
        append_log("anaconda", f"phase {name} took {duration_s:.1f} s")
        self.print_marker(f"phase {name} done in {duration_s:.1f} s")

    def _report_periodically(self, done: threading.Event) -> None:
        while not done.wait(1.0):
            if time.monotonic() - self._last_output >= _INTERVAL_S - 1:
                self.report_phase()


def _open_consoles() -> list[int]:
    names = _ACTIVE_CONSOLES.read_text("utf-8").split() if _ACTIVE_CONSOLES.exists() else []
    devices: list[int] = []
    for name in names or ["console"]:
        try:
            devices.append(os.open(f"/dev/{name}", os.O_WRONLY | os.O_NOCTTY))
        except OSError:
            continue
    return devices
