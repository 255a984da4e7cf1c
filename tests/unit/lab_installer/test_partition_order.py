"""Order of partitions: blivet's, by firmware and release."""

import itertools

import pytest

from images.lab.installer.partition_order import order_partitions
from images.lab.installer.plan import Firmware, MiB, PartitionKind, PartitionSpec

BIOSBOOT = PartitionSpec(
    kind=PartitionKind.BIOSBOOT, mount="biosboot", fstype="biosboot", size_mib=MiB(1)
)
ESP = PartitionSpec(kind=PartitionKind.EFI, mount="/boot/efi", fstype="efi", size_mib=MiB(256))
BOOT = PartitionSpec(kind=PartitionKind.FILESYSTEM, mount="/boot", fstype="xfs", size_mib=MiB(1024))
PV = PartitionSpec(kind=PartitionKind.PV, mount="pv.01", fstype="lvmpv", size_mib=MiB(1), grow=True)


def _make_partition(
    mount: str, size: int, *, grow: bool = False, max_mib: int | None = None
) -> PartitionSpec:
    return PartitionSpec(
        kind=PartitionKind.FILESYSTEM,
        mount=mount,
        fstype="xfs",
        size_mib=MiB(size),
        grow=grow,
        max_mib=MiB(max_mib) if max_mib else None,
    )


@pytest.mark.parametrize(
    ("firmware", "major", "expected"),
    [
        (Firmware.BIOS, 9, ["biosboot", "/boot", "/boot/efi", "pv.01"]),
        (Firmware.UEFI, 9, ["/boot/efi", "/boot", "biosboot", "pv.01"]),
        # EL 10 gives both firmwares' partitions the same weight; the larger one comes first.
        (Firmware.BIOS, 10, ["/boot/efi", "biosboot", "/boot", "pv.01"]),
        (Firmware.UEFI, 10, ["/boot/efi", "biosboot", "/boot", "pv.01"]),
    ],
)
def test_order_depends_on_firmware_and_release_only(
    firmware: Firmware, major: int, expected: list[str]
) -> None:
    orders = {
        tuple(p.mount for p in order_partitions(partitions, firmware=firmware, major=major))
        for partitions in itertools.permutations([BIOSBOOT, ESP, BOOT, PV])
    }

    assert orders == {tuple(expected)}


@pytest.mark.parametrize(
    ("partitions", "expected"),
    [
        # Fixed before growing, larger before smaller, then by mount point.
        ([("/a", 10, True), ("/b", 1, False)], ["/b", "/a"]),
        ([("/a", 1, False), ("/b", 2, False)], ["/b", "/a"]),
        ([("/b", 1, False), ("/a", 1, False)], ["/a", "/b"]),
    ],
)
def test_other_partitions_are_ordered_by_growth_size_and_mount_point(
    partitions: list[tuple[str, int, bool]], expected: list[str]
) -> None:
    specs = [_make_partition(m, size, grow=grow) for m, size, grow in partitions]

    ordered = order_partitions(specs, firmware=Firmware.UEFI, major=9)

    assert [p.mount for p in ordered] == expected


def test_unlimited_growth_comes_before_limited_growth() -> None:
    limited = _make_partition("/a", 5, grow=True, max_mib=10)
    larger = _make_partition("/b", 5, grow=True, max_mib=20)
    unlimited = _make_partition("/c", 5, grow=True)

    ordered = order_partitions([limited, larger, unlimited], firmware=Firmware.UEFI, major=9)

    assert [p.mount for p in ordered] == ["/c", "/b", "/a"]
