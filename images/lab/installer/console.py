# SPDX-License-Identifier: GPL-2.0-or-later
"""What the installer says: on every console the kernel uses, and in anaconda.log."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .proc import note
from .texts import percent, printable

MARK = "HARDPAN-INSTALL:"
PHASES = (
    "parse", "pre", "storage", "payload", "packages", "configuration", "bootloader", "post",
    "finish",
)  # fmt: skip
_EVERY_S = 10.0
_ACTIVE = Path("/sys/class/tty/console/active")


class Console:
    """Lines to the consoles; progress at least every ten seconds while a phase goes on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._phase = "start"
        self._phase_began = self._began
        self._lock = threading.Lock()
        self._devices = _consoles()
        self._percent: int | None = None
        self._told = self._began

    @property
    def phase_name(self) -> str:
        """The phase that goes on."""
        return self._phase

    def say(self, line: str) -> None:
        """One line."""
        text = f"{printable(line)}\r\n".encode()
        with self._lock:
            self._told = time.monotonic()
            for device in self._devices:
                try:
                    os.write(device, text)
                except OSError:
                    continue
        note("anaconda", printable(line))

    def mark(self, line: str) -> None:
        """One line that programs look for."""
        self.say(f"{MARK} {line}")

    def progress(self, line: str) -> None:
        """Note how far a program's output says it is; tell it when it is time to."""
        found = percent(line)
        if found is None:
            return
        self._percent = found
        if time.monotonic() - self._told >= _EVERY_S / 2:
            self.beat()

    def beat(self) -> None:
        """Say where the phase stands."""
        shown = "" if self._percent is None else f" {self._percent}%"
        took = time.monotonic() - self._phase_began
        self.mark(f"{self._phase}{shown} ({took:.0f} s)")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Announce a phase, tell that it is alive while it goes on, and how long it took."""
        self._phase, self._phase_began, self._percent = name, time.monotonic(), None
        number = PHASES.index(name) + 1
        self.mark(f"phase {name} [{number}/{len(PHASES)}]")
        done = threading.Event()
        pulse = threading.Thread(target=self._pulse, args=(done,), daemon=True)
        pulse.start()
        try:
            yield
        finally:
            done.set()
        took = time.monotonic() - self._phase_began
        note("anaconda", f"phase {name} took {took:.1f} s")
        self.mark(f"phase {name} done in {took:.1f} s")

    def _pulse(self, done: threading.Event) -> None:
        while not done.wait(1.0):
            if time.monotonic() - self._told >= _EVERY_S - 1:
                self.beat()


def _consoles() -> list[int]:
    names = _ACTIVE.read_text("utf-8").split() if _ACTIVE.exists() else []
    found: list[int] = []
    for name in names or ["console"]:
        try:
            found.append(os.open(f"/dev/{name}", os.O_WRONLY | os.O_NOCTTY))
        except OSError:
            continue
    return found
