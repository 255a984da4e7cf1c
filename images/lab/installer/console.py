# SPDX-License-Identifier: GPL-2.0-or-later
"""Output of the installer: to every console of the kernel, and to anaconda.log."""

import os
import threading
import time
from pathlib import Path

from .config_files import make_printable
from .process import append_log

_ACTIVE_CONSOLES = Path("/sys/class/tty/console/active")


class InstallerConsole:
    """Anaconda's text interface in cmdline mode: lines, and one dot for each completed task."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._devices = _open_consoles()
        self._has_dots = False

    def print_line(self, line: str) -> None:
        """Print one line or several; dots before it end first."""
        for text in line.split("\n"):
            self._write(f"{make_printable(text)}\r\n", ends_dots=True)
            append_log("anaconda", make_printable(text))

    def print_clocked(self, line: str) -> None:
        """Print one line with the time, as the logger for standard output does."""
        self.print_line(f"{time.strftime('%H:%M:%S')} {line}")

    def print_dot(self) -> None:
        """Report a completed task."""
        self._write(".", ends_dots=False)

    def _write(self, text: str, *, ends_dots: bool) -> None:
        with self._lock:
            if self._has_dots and ends_dots:
                text = f"\r\n{text}"
            self._has_dots = not ends_dots
            for device in self._devices:
                try:
                    os.write(device, text.encode())
                except OSError:
                    continue


def _open_consoles() -> list[int]:
    names = _ACTIVE_CONSOLES.read_text("utf-8").split() if _ACTIVE_CONSOLES.exists() else []
    devices: list[int] = []
    for name in names or ["console"]:
        try:
            devices.append(os.open(f"/dev/{name}", os.O_WRONLY | os.O_NOCTTY))
        except OSError:
            continue
    return devices
