import pytest

from hardpan.scanners.collect.job_count import (
    FALLBACK_JOBS,
    MAX_JOBS,
    choose_job_count,
    count_files,
)

GIB = 1 << 20


def meminfo(available_kib: int) -> str:
    return f"MemTotal:       99999999 kB\nMemFree: 1 kB\nMemAvailable:   {available_kib} kB\n"


@pytest.mark.parametrize(
    ("processors", "available_kib", "expected"),
    [
        ("1", 8 * GIB, 1),
        ("2", 8 * GIB, 2),
        ("4", 8 * GIB, 2),
        ("6", 8 * GIB, 3),
        ("64", 8 * GIB, MAX_JOBS),
        ("64", GIB, 2),
        ("64", 300_000, 1),
        ("0", 8 * GIB, 1),
    ],
)
def test_jobs_leave_processors_and_memory_to_the_host(
    processors: str, available_kib: int, expected: int
) -> None:
    assert choose_job_count(processors, meminfo(available_kib)) == expected


@pytest.mark.parametrize("processors", ["", "many", "-1", "2\n3", "9" * 50])
def test_unusable_answers_give_the_fallback(processors: str) -> None:
    assert choose_job_count(processors, "") == FALLBACK_JOBS
    assert choose_job_count("64", "MemAvailable: -5 kB") == MAX_JOBS


INODES = """\
Filesystem           Inodes IUsed   IFree IUse% Mounted on
udev                 369996   431  369565    1% /dev
/dev/mapper/vg0-root 5242880 24000 5218880    1% /
/dev/vda2             524288   350  523938    1% /boot
/dev/vda3                  0     0       0     - /boot/efi
"""


def test_files_are_counted_on_disks_only() -> None:
    assert count_files(INODES) == 24350


@pytest.mark.parametrize("inodes", ["", "df: no file systems processed", "/dev/x 1 -5 2 1% /"])
def test_unusable_inodes_count_no_files(inodes: str) -> None:
    assert count_files(inodes) == 0
