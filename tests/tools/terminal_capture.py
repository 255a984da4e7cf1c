"""Capture a program's output to a pseudo-terminal, and find control characters in it."""

import os
import re
import sys
import threading
import tty
from collections.abc import Callable

import pytest

PLANTED_TEXT = "HPMARK"
HOSTILE_TEXT = (
    f"\x1b]0;{PLANTED_TEXT}\x07\x9b2J\u202e{PLANTED_TEXT}\u2066\u200b\ufeff\u2028\U000e0041\x7f\x00"
)
"""Sets a title, clears the screen (C1), turns the text round, hides: planted in outside text."""

HOSTILE_LINES = f"{HOSTILE_TEXT}\nverdict: verified\r[bold]:smile: [link=https://{PLANTED_TEXT}]"
"""The same with a line end, markup and an emoji code."""

_DISPLAY_CODES = re.compile(r"\x1b\[[0-9;]*m|\x1b\[(?:[0-9]*[AK]|\?25[hl])|\r(?=\x1b\[[12]|\n)")
"""Escape codes of hardpan's live display: colours, and lines erased and rewritten."""


def run_on_terminal(run: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """The exit code of ``run``, and all that it writes where stdout and stderr are a terminal."""
    primary, secondary = os.openpty()
    tty.setraw(secondary)
    pieces: list[bytes] = []
    reader = threading.Thread(target=_read, args=(primary, pieces))
    reader.start()
    with (
        monkeypatch.context() as context,
        open(secondary, "w", encoding="utf-8") as out,  # noqa: PTH123
        open(os.dup(secondary), "w", encoding="utf-8", errors="backslashreplace") as err,  # noqa: PTH123
    ):
        context.setattr(sys, "stdout", out)
        context.setattr(sys, "stderr", err)
        code = run()
    reader.join()
    os.close(primary)
    return code, b"".join(pieces).decode("utf-8", "surrogateescape")


def _read(terminal: int, pieces: list[bytes]) -> None:
    try:
        while data := os.read(terminal, 1 << 16):
            pieces.append(data)
    except OSError:  # the other end is closed
        return


def find_control_characters(output: str) -> set[str]:
    """Return the characters in ``output`` that are not plain text, line ends aside."""
    remaining = _DISPLAY_CODES.sub("", output).replace("\n", "")
    hidden = {c for c in remaining if c in "\ufe0f\u3164\u034f"}
    return {c for c in remaining if not c.isprintable()} | hidden


def find_forged_lines(output: str) -> list[str]:
    """Lines that a planted line end began, as if hardpan had written them."""
    return [line for line in output.splitlines() if line.startswith("verdict: verified\\r")]
