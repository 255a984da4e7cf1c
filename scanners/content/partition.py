"""Partition a profile's rules over several oscap processes, so that they end together."""

from collections.abc import Sequence

from hardpan.profiles.schema.ssg import RULE_PREFIX

_DEFAULT_COST_S = 0.05
"""Duration of most rules."""

_SERVICE_PREFIXES = ("service_", "socket_", "timer_")
_SERVICE_COST_S = 3.0
"""Rules with these prefixes ask systemd's first process about all units. It answers one
question at a time: two oscap processes would only wait for one another.
"""

RULE_COST_S = {
    "file_permissions_ungroupowned": 90.0,
    "no_files_unowned_by_user": 36.0,
    "no_files_or_dirs_unowned_by_user": 36.0,
    "no_files_or_dirs_ungroupowned": 36.0,
    "rpm_verify_hashes": 70.0,
    "rpm_verify_permissions": 35.0,
    "rpm_verify_ownership": 35.0,
    "dir_permissions_library_dirs": 17.0,
    "file_permissions_library_dirs": 18.0,
    "file_ownership_library_dirs": 10.0,
    "dir_perms_world_writable_sticky_bits": 16.0,
    "dir_ownership_library_dirs": 10.0,
    "dir_group_ownership_library_dirs": 12.0,
    "root_permissions_syslibrary_files": 13.0,
    "dir_perms_world_writable_system_owned": 14.0,
    "file_permissions_unauthorized_world_writable": 10.0,
    "audit_rules_privileged_commands": 15.0,
    "file_permissions_binary_dirs": 6.0,
    "selinux_all_devicefiles_labeled": 7.0,
    "no_user_host_based_files": 3.0,
    "no_host_based_files": 3.0,
    "file_groupownership_system_commands_dirs": 3.0,
    "file_ownership_binary_dirs": 4.0,
}
"""Seconds that rules took on the emulated lab system (oscap 1.4.2, 22,000 files); only their
ratios matter. Rules that the lab's profile lacks: measured elsewhere, scaled to the rest."""


def partition(
    rule_groups: Sequence[Sequence[str]], part_count: int, *, order: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """Return at most ``part_count`` groups of rule ids, each in ``order``, of similar duration.

    The rules of a group in ``rule_groups`` stay together. Longest first, each to the
    part with the lowest cost: the same input gives the same parts.
    """
    costs = [(sum(_estimate_cost_s(r) for r in b), b) for b in _merge_service_groups(rule_groups)]
    loads = [0.0] * part_count
    assignments: list[list[str]] = [[] for _ in range(part_count)]
    for cost, rule_group in sorted(costs, key=lambda c: (-c[0], c[1])):
        index = min(range(part_count), key=lambda i: (loads[i], i))
        loads[index] += cost
        assignments[index] += rule_group
    position_by_id = {rule_id: i for i, rule_id in enumerate(order)}
    return tuple(tuple(sorted(d, key=position_by_id.__getitem__)) for d in assignments if d)


def _merge_service_groups(rule_groups: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the groups, those with rules about services merged."""
    other_groups = [tuple(b) for b in rule_groups if not any(map(_queries_systemd, b))]
    services = tuple(r for b in rule_groups if any(map(_queries_systemd, b)) for r in b)
    return [*other_groups, services] if services else other_groups


def _queries_systemd(rule_id: str) -> bool:
    return rule_id.removeprefix(RULE_PREFIX).startswith(_SERVICE_PREFIXES)


def _estimate_cost_s(rule_id: str) -> float:
    default_s = _SERVICE_COST_S if _queries_systemd(rule_id) else _DEFAULT_COST_S
    return RULE_COST_S.get(rule_id.removeprefix(RULE_PREFIX), default_s)
