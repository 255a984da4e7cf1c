"""What both sides of the program need: small answers, bounded reads, bounded processes."""

import os
import signal
import subprocess
from typing import Iterable, List, Optional, Tuple

ProbeResult = Tuple[str, str]
"""What became of a half, and what was found."""

MAX_TEXT_CHARS = 400
MAX_BYTES = 1 << 20
WORST_FIRST = ("violated", "error", "not_applicable", "not_tested")
PROBE_ERRORS = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    subprocess.SubprocessError,
)
"""What a host can do to a reader that takes nothing for granted."""

_ENV = {
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_PAGER": "",
}


def satisfied(observed: object) -> ProbeResult:
    """It was seen to hold."""
    return "satisfied", sanitize_line(observed)


def violated(observed: object) -> ProbeResult:
    """It was seen not to hold."""
    return "violated", sanitize_line(observed)


def not_tested(observed: object) -> ProbeResult:
    """The host gave no way to ask."""
    return "not_tested", sanitize_line(observed)


def not_applicable(observed: object) -> ProbeResult:
    """The host has none of what the conflict is about."""
    return "not_applicable", sanitize_line(observed)


def error(observed: object) -> ProbeResult:
    """Asking went wrong."""
    return "error", sanitize_line(observed)


def satisfied_if(condition: object, observed: object) -> ProbeResult:
    """``satisfied`` or ``violated``, as ``good`` says."""
    return satisfied(observed) if condition else violated(observed)


def combine(*results: ProbeResult) -> ProbeResult:
    """Several looks as one half: the worst decides, all that was found is told."""
    observed = sanitize_line("; ".join(text for _, text in results if text))
    for outcome in WORST_FIRST:
        if any(h[0] == outcome for h in results):
            worst = "; ".join(text for result_outcome, text in results if result_outcome == outcome)
            return outcome, sanitize_line(observed if outcome == "violated" else worst)
    return "satisfied", observed


def sanitize_line(value: object) -> str:
    """Text on one line, without control characters, cut when it is long."""
    text = " ".join(str(value).split())
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - 3] + "..."


def read(path: str, max_bytes: int = MAX_BYTES) -> Optional[str]:
    """The first bytes of a file as text; None where it cannot be read."""
    try:
        with open(path, "rb") as f:
            return f.read(max_bytes).decode("utf-8", "replace")
    except OSError:
        return None


def read_int(path: str) -> Optional[int]:
    """The whole number that a file holds; None where there is none."""
    text = (read(path, 64) or "").strip()
    return int(text) if text.lstrip("-").isdigit() and text.isascii() else None


def run(argv: List[str], timeout_s: float, stdin_data: bytes = b"") -> Tuple[int, str]:
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
        out, _ = process.communicate(stdin_data, timeout=timeout_s)
        code = process.returncode
    except subprocess.TimeoutExpired:
        kill_process_group(process)
        out, code = b"did not end in time", 124
    return code, out[:MAX_BYTES].decode("utf-8", "replace")


def kill_process_group(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its children, and wait for it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        process.kill()
    process.communicate()


def value_after(lines: Iterable[str], prefix: str) -> str:
    """What follows ``start`` in the first line that begins with it; empty where none does."""
    return next((x[len(prefix) :].strip() for x in lines if x.startswith(prefix)), "")
