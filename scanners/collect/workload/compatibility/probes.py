"""Run probes one by one, each in a child process with a time limit, and print the results."""

import contextlib
import json
import os
import select
import signal
import sys
import time
from typing import Callable, Dict, Iterable, Tuple

from .tools import PROBE_ERRORS, ProbeResult, error

Probe = Callable[[], ProbeResult]
_MAX_RESULT_BYTES = 1 << 16


def run_probes(probes: Iterable[Tuple[str, Probe]], budget_s: float) -> None:
    """Print one line of JSON for each probe as soon as it ended."""
    deadline = time.monotonic() + budget_s
    for name, probe in probes:
        outcome, observed = _run_in_child(probe, max(1.0, deadline - time.monotonic()))
        sys.stdout.write(json.dumps({"name": name, "result": [outcome, observed]}) + "\n")
        sys.stdout.flush()


def parse_output(text: str) -> Dict[str, ProbeResult]:
    """Parse the readable lines of ``run_probes``."""
    results: Dict[str, ProbeResult] = {}
    for line in text.splitlines():
        try:
            record = json.loads(line)
            outcome, observed = record["result"]
            results[str(record["name"])] = (str(outcome), str(observed))
        except (ValueError, LookupError, TypeError):
            continue
    return results


def run_guarded(probe: Probe) -> ProbeResult:
    """Return the result of the probe; an exception is an ``error``."""
    try:
        return probe()
    except PROBE_ERRORS as e:
        return error(f"{type(e).__name__}: {e}")
    except RuntimeError as e:  # torch raises it for everything
        return error(f"{type(e).__name__}: {e}")


def _run_in_child(probe: Probe, timeout_s: float) -> ProbeResult:
    """Run the probe in a child process: it may crash, hang or corrupt its process."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        os.setpgid(0, 0)
        devnull = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):  # output of packages would corrupt the results
            os.dup2(devnull, stream)
        try:
            os.write(write_end, json.dumps(run_guarded(probe)).encode()[:_MAX_RESULT_BYTES])
        finally:
            os._exit(0)  # whatever the probe raised: this process must not continue as its parent
    os.close(write_end)
    data = b""
    deadline = time.monotonic() + timeout_s
    while select.select([read_end], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(read_end, _MAX_RESULT_BYTES)
        if not chunk:
            break
        data += chunk
    os.close(read_end)
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if data:
        outcome, observed = json.loads(data)
        return outcome, observed
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        return error(f"ended by signal {os.WTERMSIG(status)}")
    if os.WIFEXITED(status):
        return error("ended without an answer")
    return error(f"did not end within {timeout_s:.0f} s")
