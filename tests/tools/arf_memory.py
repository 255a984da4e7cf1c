"""Reads one packed ARF as a scan does and says what that took: ``python -m … FILE MEMORY_MIB``."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hardpan.core.redaction import SecretFilter
from hardpan.scanners import pipeline  # what a scan has loaded by then
from hardpan.scanners.collect.openscap_results import read_results
from hardpan.scanners.openscap.arf.process import LIMITS

_NAME = "arf-0.xml"
_SAMPLE_INTERVAL_S = 0.02


def main(file: str, memory_mib: str) -> None:
    """Print seconds, MiB of this process and its reader together, and what was read."""
    archive = _pack_archive(Path(file))
    start = time.monotonic()
    limits = replace(LIMITS, memory_mib=int(memory_mib))
    with _peak_mib() as peak:
        arf, packed = read_results(archive, 1, SecretFilter(["correct horse"]), limits=limits)[
            _NAME
        ]
    answer = {
        "took_s": time.monotonic() - start,
        "mib": peak[0],
        "answer": f"{type(arf).__name__} {getattr(arf, 'reason', '')}",
        "packed": packed is not None,
        "scans": pipeline.__name__,
    }
    sys.stdout.write(json.dumps(answer))


@contextmanager
def _peak_mib() -> Iterator[list[int]]:
    """The most resident memory of this process and its children together, in MiB."""
    peak, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_INTERVAL_S):
            peak[0] = max(peak[0], sum(map(_resident_mib, _processes())))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _processes() -> list[str]:
    children = (p.read_text("ascii") for p in Path("/proc/self/task").glob("*/children"))
    return ["self", *" ".join(children).split()]


def _resident_mib(process: str) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text("utf-8").splitlines()
    except OSError:  # it ended
        return 0
    return sum(int(x.split()[1]) for x in lines if x.startswith("VmRSS:")) >> 10


def _pack_archive(file: Path) -> bytes:
    """What the target sends."""
    data = file.read_bytes()
    return b"rc0 2\n2\narf0.xml.gz %d\n" % len(data) + data + b"end 0\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
