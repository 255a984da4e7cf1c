"""Deals a profile's rules out to several oscap processes, so that they end together."""

from collections.abc import Sequence

from scanners.content.benchmark import RULE_PREFIX

_USUAL_S = 0.15
"""What most rules take, by and large: the share of loading what they need."""

HEAVY_S = {
    "file_permissions_ungroupowned": 60.6,
    "no_files_unowned_by_user": 17.6,
    "no_files_or_dirs_unowned_by_user": 17.6,
    "no_files_or_dirs_ungroupowned": 17.6,
    "rpm_verify_hashes": 40.0,
    "rpm_verify_permissions": 20.0,
    "rpm_verify_ownership": 20.0,
    "dir_permissions_library_dirs": 4.4,
    "dir_ownership_library_dirs": 3.5,
    "dir_group_ownership_library_dirs": 3.1,
    "dir_perms_world_writable_system_owned": 3.1,
    "dir_perms_world_writable_sticky_bits": 2.6,
    "file_permissions_unauthorized_world_writable": 2.6,
    "file_permissions_library_dirs": 1.7,
    "file_ownership_library_dirs": 1.7,
    "root_permissions_syslibrary_files": 1.7,
    "audit_rules_privileged_commands": 10.0,
}
"""Seconds that whole-filesystem rules took (oscap 1.3.7, 151,000 files)."""


def deal(
    bundles: Sequence[Sequence[str]], parts: int, *, order: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """At most ``parts`` groups of rule ids, each in ``order``, of about the same length.

    ``bundles`` are rules that must not be parted. Longest first, each to the
    group that has least to do: the same input is dealt the same way.
    """
    costs = [(sum(_cost(r) for r in b), tuple(b)) for b in bundles]
    loads = [0.0] * parts
    dealt: list[list[str]] = [[] for _ in range(parts)]
    for cost, bundle in sorted(costs, key=lambda c: (-c[0], c[1])):
        least = min(range(parts), key=lambda i: (loads[i], i))
        loads[least] += cost
        dealt[least] += bundle
    place = {rule_id: i for i, rule_id in enumerate(order)}
    return tuple(tuple(sorted(d, key=place.__getitem__)) for d in dealt if d)


def _cost(rule_id: str) -> float:
    return HEAVY_S.get(rule_id.removeprefix(RULE_PREFIX), 0.0) + _USUAL_S
