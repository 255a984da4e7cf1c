"""Shared by all checks: bounded results, bounded reads, bounded processes."""

import os
import signal
import subprocess
from typing import Iterable, List, Optional, Tuple

ProbeResult = Tuple[str, str]
"""Outcome, and what was observed."""

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
"""Exceptions that unexpected data of a host can raise."""

_ENV = {
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_PAGER": "",
}


def satisfied(observed: object) -> ProbeResult:
    """Return a satisfied result."""
    return "satisfied", sanitize_line(observed)


def violated(observed: object) -> ProbeResult:
    """Return a violated result."""
    return "violated", sanitize_line(observed)


def not_tested(observed: object) -> ProbeResult:
    """Return a result for a check that the host offers no way to run."""
    return "not_tested", sanitize_line(observed)


def not_applicable(observed: object) -> ProbeResult:
    """Return a result for a host without the subject of the conflict."""
    return "not_applicable", sanitize_line(observed)


def error(observed: object) -> ProbeResult:
    """Return a result for a check that failed to run."""
    return "error", sanitize_line(observed)


def satisfied_if(condition: object, observed: object) -> ProbeResult:
    """Return ``satisfied`` or ``violated``, by ``condition``."""
    return satisfied(observed) if condition else violated(observed)


def combine(*results: ProbeResult) -> ProbeResult:
    """Combine several results: the worst outcome decides, all observations are reported."""
    observed = sanitize_line("; ".join(text for _, text in results if text))
    for outcome in WORST_FIRST:
        if any(h[0] == outcome for h in results):
            worst = "; ".join(text for result_outcome, text in results if result_outcome == outcome)
            return outcome, sanitize_line(observed if outcome == "violated" else worst)
    return "satisfied", observed


def sanitize_line(value: object) -> str:
    """Return text on one line, without control characters, truncated if it is long."""
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
    """Return the integer in a file; None if there is none."""
    text = (read(path, 64) or "").strip()
    return int(text) if text.lstrip("-").isdigit() and text.isascii() else None


def run(argv: List[str], timeout_s: float, stdin_data: bytes = b"") -> Tuple[int, str]:
    """Return exit code and output of a program; 127 if it is missing, 124 past its time limit."""
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
    """Return what follows ``prefix`` in the first line with it; empty if none has it."""
    return next((x[len(prefix) :].strip() for x in lines if x.startswith(prefix)), "")
