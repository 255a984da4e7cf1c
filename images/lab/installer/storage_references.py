# SPDX-License-Identifier: GPL-2.0-or-later
"""Names that storage commands use without defining them, or define twice. Pure.

Anaconda finds these when it configures storage, not when it parses the kickstart; the
sentences are those of its ``custom_partitioning.py``.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

from .plan import PartitionKind, PartitionSpec, Volume, VolumeGroup

_Value = TypeVar("_Value")


def find_reference_problems(
    partitions: Sequence[PartitionSpec],
    groups: Sequence[VolumeGroup],
    volumes: Sequence[Volume],
) -> tuple[str, ...]:
    """Every problem, in the order in which Anaconda would meet them."""
    pvs = [p.mount for p in partitions if p.kind is PartitionKind.PV]
    return (
        *(f'PV partition "{pv}" is defined multiple times.' for pv in _repeated(pvs)),
        *_find_group_problems(set(pvs), groups),
        *_find_volume_problems(groups, volumes),
        *_find_mount_problems(partitions, volumes),
    )


def _find_group_problems(pvs: set[str], groups: Sequence[VolumeGroup]) -> list[str]:
    problems: list[str] = []
    for group in groups:
        problems += [
            f'Tried to use undefined partition "{pv}" in Volume Group specification'
            for pv in group.pvs
            if pv not in pvs
        ]
    problems += [
        f'The volume group name "{name}" is already in use.'
        for name in _repeated(g.name for g in groups)
    ]
    used = Counter(pv for g in groups for pv in g.pvs)
    problems += [
        f"{pv}: belongs to {used[pv]} volume groups, expected 1"
        for pv in sorted(pvs)
        if used[pv] != 1
    ]
    return problems


def _find_volume_problems(groups: Sequence[VolumeGroup], volumes: Sequence[Volume]) -> list[str]:
    names = {g.name for g in groups}
    problems = [
        f'No volume group exists with the name "{v.group}".  Specify volume groups before '
        "logical volumes."
        for v in volumes
        if v.group not in names
    ]
    problems += [
        f'Logical volume name "{name}" is already in use in volume group "{group}".'
        for group, name in _repeated((v.group, v.name) for v in volumes)
    ]
    extent_kib = {g.name: g.extent_kib for g in groups}
    problems += [
        f'Logical volume size "{v.size_mib} MiB" must be larger than the volume group extent '
        f'size of "{extent_kib[v.group]} KiB".'
        for v in volumes
        if v.group in extent_kib and not v.grow and v.size_mib * 1024 < extent_kib[v.group]
    ]
    return problems


def _find_mount_problems(
    partitions: Sequence[PartitionSpec], volumes: Sequence[Volume]
) -> list[str]:
    mounts = [*(p.mount for p in partitions), *(v.mount for v in volumes)]
    return [
        f"mount point {mount} is given more than once"
        for mount in _repeated(m for m in mounts if m.startswith("/"))
    ]


def _repeated(values: Iterable[_Value]) -> list[_Value]:
    return [value for value, count in Counter(values).items() if count > 1]
