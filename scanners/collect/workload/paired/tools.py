"""What both sides of the program need: small answers, bounded reads, bounded processes."""

import os
import signal
import subprocess
from typing import Iterable, List, Optional, Tuple

Half = Tuple[str, str]
"""What became of a half, and what was found."""

MOST_TEXT = 400
MOST_BYTES = 1 << 20
WORST_FIRST = ("broken", "error", "not_applicable", "not_asked")
TROUBLE = (OSError, ValueError, LookupError, TypeError, AttributeError, subprocess.SubprocessError)
"""What a host can do to a reader that takes nothing for granted."""

_ENV = {
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_PAGER": "",
}


def holds(found: object) -> Half:
    """It was seen to hold."""
    return "holds", said(found)


def broken(found: object) -> Half:
    """It was seen not to hold."""
    return "broken", said(found)


def unasked(found: object) -> Half:
    """The host gave no way to ask."""
    return "not_asked", said(found)


def absent(found: object) -> Half:
    """The host has none of what the conflict is about."""
    return "not_applicable", said(found)


def trouble(found: object) -> Half:
    """Asking went wrong."""
    return "error", said(found)


def judged(good: object, found: object) -> Half:
    """``holds`` or ``broken``, as ``good`` says."""
    return holds(found) if good else broken(found)


def both(*halves: Half) -> Half:
    """Several looks as one half: the worst decides, all that was found is told."""
    found = said("; ".join(text for _, text in halves if text))
    for outcome in WORST_FIRST:
        if any(h[0] == outcome for h in halves):
            worst = "; ".join(text for what, text in halves if what == outcome)
            return outcome, said(found if outcome == "broken" else worst)
    return "holds", found


def said(found: object) -> str:
    """Text on one line, without control characters, cut when it is long."""
    text = " ".join(str(found).split())
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 3] + "..."


def read(path: str, most: int = MOST_BYTES) -> Optional[str]:
    """The first bytes of a file as text; None where it cannot be read."""
    try:
        with open(path, "rb") as f:
            return f.read(most).decode("utf-8", "replace")
    except OSError:
        return None


def number(path: str) -> Optional[int]:
    """The whole number that a file holds; None where there is none."""
    text = (read(path, 64) or "").strip()
    return int(text) if text.lstrip("-").isdigit() and text.isascii() else None


def run(argv: List[str], timeout_s: float, sent: bytes = b"") -> Tuple[int, str]:
    """Exit code and output of a program; 127 where it is not there, 124 past its time."""
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_ENV,
            start_new_session=True,
        )
    except OSError as e:
        return 127, f"{argv[0]}: {e.strerror}"
    try:
        out, _ = process.communicate(sent, timeout=timeout_s)
        code = process.returncode
    except subprocess.TimeoutExpired:
        killed(process)
        out, code = b"did not end in time", 124
    return code, out[:MOST_BYTES].decode("utf-8", "replace")


def killed(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its children, and wait for it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        process.kill()
    process.communicate()


def first(lines: Iterable[str], start: str) -> str:
    """What follows ``start`` in the first line that begins with it; empty where none does."""
    return next((x[len(start) :].strip() for x in lines if x.startswith(start)), "")
