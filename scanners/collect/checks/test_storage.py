"""File systems as they are mounted now, not as fstab says."""
# ruff: noqa: D103, S101

from testinfra.host import Host  # type: ignore[import-untyped]

from hardpan.scanners.collect.base import ExpectedState
from hardpan.scanners.collect.checks import queries
from hardpan.scanners.collect.checks.answers import Observe, ask, read_output

PARAMETERS = {"test_mount_has_required_options": lambda e: e.mounts}


def read_mounts(target: Host) -> dict[str, set[str]]:
    lines = (line.split(" ") for line in read_output(target, queries.MOUNTS).splitlines())
    return {fields[1]: set(fields[3].split(",")) for fields in lines if len(fields) > 3}


def test_mount_has_required_options(
    target: Host, expected: ExpectedState, observe: Observe, mount_point: str
) -> None:
    mounts = read_mounts(target)

    assert mount_point in mounts, f"{mount_point} is not mounted"
    observe(f"{mount_point}: {','.join(sorted(mounts[mount_point]))}")
    missing = set(expected.mounts[mount_point]) - mounts[mount_point]
    assert not missing, f"{mount_point} lacks {', '.join(sorted(missing))}"


def test_no_world_writable_file_in_system_folders(target: Host, observe: Observe) -> None:
    path = ask(target, queries.WORLD_WRITABLE).stdout.strip()
    observe(f"world-writable: {path or 'none'}")

    assert not path, f"world-writable: {path}"
