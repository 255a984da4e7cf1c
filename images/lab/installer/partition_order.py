# SPDX-License-Identifier: GPL-2.0-or-later
"""The order in which blivet allocates partitions. Pure.

Read in blivet's branches rhel9-branch and rhel10-branch: ``partition_compare`` in
``blivet/partitioning.py`` and ``_get_weight`` in ``blivet/devices/partition.py``.
"""

import functools
from collections.abc import Iterable

from .plan import Firmware, PartitionKind, PartitionSpec

_BOOT_LOADER_WEIGHT = 5000
_BOOT_WEIGHT = 2000


def compute_weight(partition: PartitionSpec, *, firmware: Firmware, major: int) -> int:
    """The weight of a partition: what the firmware reads comes first.

    In EL 9 only the partition of the firmware that the installer was started by has a
    weight; in EL 10 both have.
    """
    if partition.mount == "/boot":
        return _BOOT_WEIGHT
    firmware_by_kind = {PartitionKind.EFI: Firmware.UEFI, PartitionKind.BIOSBOOT: Firmware.BIOS}
    if partition.kind in firmware_by_kind and (
        major != 9 or firmware_by_kind[partition.kind] is firmware
    ):
        return _BOOT_LOADER_WEIGHT
    return 0


def order_partitions(
    partitions: Iterable[PartitionSpec], *, firmware: Firmware, major: int
) -> tuple[PartitionSpec, ...]:
    """The partitions in blivet's order."""

    def compare_partitions(first: PartitionSpec, second: PartitionSpec) -> int:
        score = compute_weight(second, firmware=firmware, major=major)
        score -= compute_weight(first, firmware=firmware, major=major)
        # Fixed sizes before growing ones, then larger ones before smaller ones.
        score += _compare(first.grow, second.grow) * 100
        score -= _compare(first.size_mib, second.size_mib) * 50
        if first.grow and second.grow:
            score += _compare_limits(first.max_mib, second.max_mib)
        if _is_mounted(first) and _is_mounted(second):
            score += _compare(first.mount, second.mount) * 10
        return score

    return tuple(sorted(partitions, key=functools.cmp_to_key(compare_partitions)))


def _compare_limits(first: int | None, second: int | None) -> int:
    """What grows without a limit comes first, then what has the larger limit."""
    if first is None or second is None:
        return 25 * ((first is not None) - (second is not None))
    return -25 * _compare(first, second)


def _is_mounted(partition: PartitionSpec) -> bool:
    return partition.mount.startswith("/")


def _compare(first: int | str, second: int | str) -> int:
    if isinstance(first, str) or isinstance(second, str):
        return (str(first) > str(second)) - (str(first) < str(second))
    return (first > second) - (first < second)
