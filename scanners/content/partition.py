"""Partition a profile's rules over several oscap processes, so that they end together."""

from collections.abc import Collection, Sequence

from hardpan.profiles.schema.ssg import RULE_PREFIX
from hardpan.scanners.content.dependencies import merge_groups

_LONG_S = 3.0
_DEFAULT_COST_S = 0.003
"""Duration of most rules."""

_SERVICE_PREFIXES = ("service_", "socket_", "timer_")
_SERVICE_COST_S = 0.2
"""Rules with these prefixes ask systemd's first process about all units. It answers one
question at a time: two oscap processes would only wait for one another. It does not depend on the
number of files, as most others do.
"""

RULE_COST_S = {
    "file_permissions_ungroupowned": 27.0,
    "no_files_unowned_by_user": 20.0,
    "no_files_or_dirs_unowned_by_user": 20.0,
    "no_files_or_dirs_ungroupowned": 20.0,
    "rpm_verify_hashes": 35.0,
    "rpm_verify_permissions": 17.0,
    "rpm_verify_ownership": 17.0,
    "dir_permissions_library_dirs": 7.0,
    "file_permissions_library_dirs": 2.7,
    "file_ownership_library_dirs": 2.4,
    "dir_perms_world_writable_sticky_bits": 3.9,
    "dir_ownership_library_dirs": 4.7,
    "dir_group_ownership_library_dirs": 5.0,
    "root_permissions_syslibrary_files": 2.4,
    "dir_perms_world_writable_system_owned": 3.7,
    "file_permissions_unauthorized_world_writable": 5.0,
    "audit_rules_privileged_commands": 7.0,
    "file_permissions_binary_dirs": 1.0,
    "selinux_all_devicefiles_labeled": 0.3,
    "no_user_host_based_files": 2.5,
    "no_host_based_files": 2.5,
    "file_groupownership_system_commands_dirs": 0.5,
    "file_ownership_binary_dirs": 0.6,
}
"""Processor seconds that rules took alone on ``_FILE_COUNT`` files (oscap 1.3.7, 2.5 GHz); only
their ratios matter. Rules that the RHEL 9 STIG lacks, and those about services: measured elsewhere,
scaled to the rest."""

_FILE_COUNT = 180_000
_MAX_SERVICE_FACTOR = 16
"""A system with fewer files than ``_FILE_COUNT`` / 16 is no host with services."""

_SCRIPT_COST_S = 1.0
"""Duration of a rule that searches all file systems by a script with ``find``."""

_FURTHER_SHARE = 0.1
"""Part of its own cost that a rule adds to a search that another rule of the process needs."""


def partition(
    rule_groups: Sequence[Sequence[str]],
    part_count: int,
    *,
    order: Sequence[str],
    file_count: int = 0,
    shared_searches: Collection[Sequence[str]] = (),
    script_rules: Collection[str] = (),
) -> tuple[tuple[str, ...], ...]:
    """Return at most ``part_count`` groups of rule ids, each in ``order``, of similar duration.

    The rules of a group in ``rule_groups`` stay together, and rules that share a search.
    ``script_rules`` are evaluated by script checks. ``file_count`` is the target's number of files,
    0 if it is unknown; it is rounded to a power of two, so that a host gets the same parts again.
    Longest first, each to the part with the lowest cost: the same input gives the same parts.
    """
    connected = merge_groups(map(tuple, rule_groups), map(tuple, shared_searches))
    searches = {frozenset(ids) for ids in shared_searches}
    service_factor = _compare_file_count(file_count)
    costs = [
        (_estimate_group_s(b, searches, script_rules), b) for b in _merge_service_groups(connected)
    ]
    costs = [(c * service_factor if any(map(_queries_systemd, b)) else c, b) for c, b in costs]
    loads = [0.0] * part_count
    assignments: list[list[str]] = [[] for _ in range(part_count)]
    for cost, rule_group in sorted(costs, key=lambda c: (-c[0], c[1])):
        index = min(range(part_count), key=lambda i: (loads[i], i))
        loads[index] += cost
        assignments[index] += rule_group
    position_by_id = {rule_id: i for i, rule_id in enumerate(order)}
    return tuple(tuple(sorted(d, key=position_by_id.__getitem__)) for d in assignments if d)


def takes_long(rule_id: str) -> bool:
    """Return whether a rule searches so many files that it takes seconds."""
    return RULE_COST_S.get(rule_id.removeprefix(RULE_PREFIX), 0.0) > _LONG_S


def _merge_service_groups(rule_groups: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the groups, those with rules about services merged."""
    other_groups = [tuple(b) for b in rule_groups if not any(map(_queries_systemd, b))]
    services = tuple(r for b in rule_groups if any(map(_queries_systemd, b)) for r in b)
    return [*other_groups, services] if services else other_groups


def _queries_systemd(rule_id: str) -> bool:
    return rule_id.removeprefix(RULE_PREFIX).startswith(_SERVICE_PREFIXES)


def _compare_file_count(file_count: int) -> int:
    """Return how many times more files ``RULE_COST_S`` is for, a power of two."""
    factor = 1
    while file_count and factor < _MAX_SERVICE_FACTOR and file_count * factor * 3 < _FILE_COUNT * 2:
        factor *= 2
    return factor


def _estimate_group_s(
    rule_ids: Sequence[str],
    searches: Collection[frozenset[str]],
    script_rules: Collection[str],
) -> float:
    cost_by_id = {
        rule_id: _SCRIPT_COST_S if rule_id in script_rules else _estimate_cost_s(rule_id)
        for rule_id in rule_ids
    }
    for ids in searches:
        _, *further = sorted(ids & cost_by_id.keys(), key=lambda i: -cost_by_id[i]) or [""]
        for rule_id in further:
            cost_by_id[rule_id] = min(
                cost_by_id[rule_id], _FURTHER_SHARE * _estimate_cost_s(rule_id)
            )
    return sum(cost_by_id.values())


def _estimate_cost_s(rule_id: str) -> float:
    default_s = _SERVICE_COST_S if _queries_systemd(rule_id) else _DEFAULT_COST_S
    return RULE_COST_S.get(rule_id.removeprefix(RULE_PREFIX), default_s)
