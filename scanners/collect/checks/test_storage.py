"""File systems as they are mounted now, not as fstab says."""
# ruff: noqa: D103, S101

from testinfra.host import Host  # type: ignore[import-untyped]

from hardpan.scanners.collect.base import Expected
from hardpan.scanners.collect.checks import asked

EACH = {"test_the_file_system_is_mounted_with_its_options": lambda e: e.mounts}


def mounted(target: Host) -> dict[str, set[str]]:
    lines = (x.split(" ", 1) for x in target.check_output(asked.MOUNTS).splitlines() if " " in x)
    return {place: set(options.split(",")) for place, options in lines}


def test_the_file_system_is_mounted_with_its_options(
    target: Host, expected: Expected, place: str
) -> None:
    found = mounted(target)

    assert place in found, f"{place} is not mounted"
    missing = set(expected.mounts[place]) - found[place]
    assert not missing, f"{place} lacks {', '.join(sorted(missing))}"


def test_no_file_that_anyone_may_change_lies_in_system_folders(target: Host) -> None:
    assert target.run(asked.WORLD_WRITABLE).stdout.strip() == ""
