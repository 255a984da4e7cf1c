"""File systems as they are mounted now, not as fstab says."""
# ruff: noqa: D103, S101

from testinfra.host import Host  # type: ignore[import-untyped]

from hardpan.scanners.collect.base import ExpectedState
from hardpan.scanners.collect.checks import queries

EACH = {"test_the_file_system_is_mounted_with_its_options": lambda e: e.mounts}


def read_mounts(target: Host) -> dict[str, set[str]]:
    lines = (x.split(" ", 1) for x in target.check_output(queries.MOUNTS).splitlines() if " " in x)
    return {mount_point: set(options.split(",")) for mount_point, options in lines}


def test_the_file_system_is_mounted_with_its_options(
    target: Host, expected: ExpectedState, mount_point: str
) -> None:
    mounts = read_mounts(target)

    assert mount_point in mounts, f"{mount_point} is not mounted"
    missing = set(expected.mounts[mount_point]) - mounts[mount_point]
    assert not missing, f"{mount_point} lacks {', '.join(sorted(missing))}"


def test_system_folders_have_no_world_writable_files(target: Host) -> None:
    assert target.run(queries.WORLD_WRITABLE).stdout.strip() == ""
