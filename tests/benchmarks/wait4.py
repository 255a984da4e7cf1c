"""Run one program and measure it: ``python wait4.py RESULT PROGRAM ARGUMENT…``.

A process of its own that imports next to nothing: the kernel
counts the memory of the parent into the peak memory of a program.
"""

import json
import os
import sys
import time


def main(result: str, *argv: str) -> int:
    """Write seconds, processor seconds and peak memory to ``result``; the program's exit code."""
    start = time.monotonic()
    pid = os.posix_spawnp(argv[0], argv, os.environ)
    _, status, used = os.wait4(pid, 0)
    measurement = {
        "wall_s": time.monotonic() - start,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mib": used.ru_maxrss / 1024,
    }
    with open(result, "w", encoding="utf-8") as f:  # noqa: PTH123
        json.dump(measurement, f)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(abs(main(*sys.argv[1:])))
