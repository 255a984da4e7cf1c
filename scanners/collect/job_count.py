"""How many oscap processes evaluate the content at once on a target, and how many files it has."""

import re

MIB_PER_JOB = 250
"""Memory of one process: its part of the content, what it collects, and its results."""

MAX_JOBS = 4
"""More are only used on request: the search of all file systems is one job, and the longest."""

FALLBACK_JOBS = 2
"""If the target does not report its processors."""

_AVAILABLE = re.compile(r"^MemAvailable:\s+([0-9]{1,15}) kB$", re.MULTILINE | re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)
_USED_INODES = re.compile(r"^/dev/\S+ +[0-9]{1,15} +([0-9]{1,15}) ", re.MULTILINE | re.ASCII)
"""Second number of a line of ``df -Pil``: only of disks, not of file systems in memory."""


def choose_job_count(processors: str, meminfo: str) -> int:
    """Return the number of processes for a target, from its ``nproc`` and ``/proc/meminfo``.

    Up to two processors are used completely, of more than four at most half, and at most half of
    the available memory: a scan must not starve what the host is for. Hostile text gives the
    fallback or a number from 1 to ``MAX_JOBS``.
    """
    if not _NUMBER.fullmatch(processors):
        return FALLBACK_JOBS
    processor_count = int(processors)
    jobs = min(MAX_JOBS, max(min(processor_count, 2), processor_count // 2))
    available = _AVAILABLE.search(meminfo)
    if available is not None:
        jobs = min(jobs, int(available[1]) // 1024 // 2 // MIB_PER_JOB)
    return max(1, jobs)


def count_files(inodes: str) -> int:
    """Return the number of files on a target's disks, from its ``df -Pil``; 0 if it is unknown."""
    return sum(map(int, _USED_INODES.findall(inodes)))
