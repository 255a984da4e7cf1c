"""Runs probes one by one, each in a process of its own with a deadline, and prints what came."""

import contextlib
import json
import os
import select
import signal
import sys
import time
from typing import Callable, Dict, Iterable, Tuple

from .tools import TROUBLE, Half, trouble

Probe = Callable[[], Half]
_MOST = 1 << 16


def probed(probes: Iterable[Tuple[str, Probe]], budget_s: float) -> None:
    """Print one line of JSON for each probe as soon as it ended."""
    ends = time.monotonic() + budget_s
    for name, probe in probes:
        outcome, found = _apart(probe, max(1.0, ends - time.monotonic()))
        sys.stdout.write(json.dumps({"name": name, "half": [outcome, found]}) + "\n")
        sys.stdout.flush()


def told(text: str) -> Dict[str, Half]:
    """What ``probed`` printed, as far as it can be read."""
    found: Dict[str, Half] = {}
    for line in text.splitlines():
        try:
            one = json.loads(line)
            outcome, said = one["half"]
            found[str(one["name"])] = (str(outcome), str(said))
        except (ValueError, LookupError, TypeError):
            continue
    return found


def guarded(probe: Probe) -> Half:
    """What the probe came to; what goes wrong in it is an ``error`` of its own."""
    try:
        return probe()
    except TROUBLE as e:
        return trouble(f"{type(e).__name__}: {e}")
    except RuntimeError as e:  # torch's word for everything
        return trouble(f"{type(e).__name__}: {e}")


def _apart(probe: Probe, timeout_s: float) -> Half:
    """The probe in a process of its own: it may crash, hang or spoil its process."""
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ear)
        os.setpgid(0, 0)
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):  # what packages print would spoil the answers
            os.dup2(silent, stream)
        try:
            os.write(mouth, json.dumps(guarded(probe)).encode()[:_MOST])
        finally:
            os._exit(0)  # whatever the probe raised: this process must not go on as its parent
    os.close(mouth)
    heard = b""
    ends = time.monotonic() + timeout_s
    while select.select([ear], [], [], max(0.0, ends - time.monotonic()))[0]:
        part = os.read(ear, _MOST)
        if not part:
            break
        heard += part
    os.close(ear)
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if heard:
        outcome, found = json.loads(heard)
        return outcome, found
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        return trouble(f"ended by signal {os.WTERMSIG(status)}")
    if os.WIFEXITED(status):
        return trouble("ended without an answer")
    return trouble(f"did not end within {timeout_s:.0f} s")
