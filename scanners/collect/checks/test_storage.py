"""File systems as they are mounted now, not as fstab says."""
# ruff: noqa: D103, S101

from testinfra.host import Host  # type: ignore[import-untyped]

from hardpan.scanners.collect.base import ExpectedState
from hardpan.scanners.collect.checks import queries

PARAMETERS = {"test_mount_has_required_options": lambda e: e.mounts}


def read_mounts(target: Host) -> dict[str, set[str]]:
    lines = (x.split(" ", 1) for x in target.check_output(queries.MOUNTS).splitlines() if " " in x)
    return {mount_point: set(options.split(",")) for mount_point, options in lines}


def test_mount_has_required_options(
    target: Host, expected: ExpectedState, mount_point: str
) -> None:
    mounts = read_mounts(target)

    assert mount_point in mounts, f"{mount_point} is not mounted"
    missing = set(expected.mounts[mount_point]) - mounts[mount_point]
    assert not missing, f"{mount_point} lacks {', '.join(sorted(missing))}"


def test_no_world_writable_file_in_system_folders(target: Host) -> None:
    assert target.run(queries.WORLD_WRITABLE).stdout.strip() == ""
