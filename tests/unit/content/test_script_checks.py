"""Which rules the content's scripts evaluate with ``--engine sce``."""

import pytest

from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.content import datastream
from hardpan.scanners.content.benchmark import expand_profile_id, read_benchmark
from hardpan.scanners.content.partition import partition
from hardpan.scanners.content.prepare import prepare
from hardpan.scanners.content.scap_xml import (
    OVAL,
    OVAL_SYSTEM,
    SCE_SYSTEM,
    XCCDF,
    Element,
    find_benchmark,
    parse_data_stream,
    serialize,
)
from hardpan.scanners.content.script_checks import CheckEngine, select_script_checks
from hardpan.scanners.model.scan import ContentOrigin
from tests.unit.content.minimal_datastream import RULE
from tests.unit.content.test_content import make_source
from tests.unit.content.test_oval_optimize import FILES, make_tree

_LISTED = {
    ("rhel9", "stig"): (
        "dir_perms_world_writable_sticky_bits",
        "dir_perms_world_writable_system_owned",
        "file_permissions_ungroupowned",
        "no_files_unowned_by_user",
    ),
    ("rhel10", "cis"): (
        "dir_perms_world_writable_sticky_bits",
        "file_permissions_unauthorized_world_writable",
        "no_files_or_dirs_ungroupowned",
        "no_files_or_dirs_unowned_by_user",
    ),
}
"""Product and profile -> rules, as ``docs/scan.md`` lists them."""


@pytest.mark.parametrize(("product", "profile"), _LISTED)
def test_listed_rules_of_shipped_content_have_a_script_and_no_oval(
    product: str, profile: str
) -> None:
    source = datastream.find(product, ContentOrigin.SHIPPED)
    root = parse_data_stream(source.data, source.name)
    profile_rules = read_benchmark(root, expand_profile_id(profile), source.name).rules
    bench = find_benchmark(root, source.name)
    before = {r.get("id", ""): _list_systems(r) for r in bench.iter(XCCDF + "Rule")}

    changed_ids = select_script_checks(root, bench, [r.rule_id for r in profile_rules])

    assert tuple(sorted(map(shorten_id, changed_ids))) == _LISTED[product, profile]
    for rule in bench.iter(XCCDF + "Rule"):
        rule_id = rule.get("id", "")
        expected = before[rule_id]
        if rule_id in changed_ids:
            assert {OVAL_SYSTEM, SCE_SYSTEM} <= set(expected)
            expected = [s for s in expected if s != OVAL_SYSTEM]
        assert _list_systems(rule) == expected


def _list_systems(rule: Element) -> list[str]:
    return [c.get("system", "") for c in rule.iter(XCCDF + "check")]


RULES = [RULE + name for name in ("one", "two", "three", "four")]


def _make_tree(files: str = FILES) -> Element:
    """Content in which the checks of the rules "two" and "three" search all file systems."""
    root = make_tree(files=files)
    for extended in root.iter(OVAL + "extend_definition"):
        extended.set("definition_ref", "d3")
    for child in find_benchmark(root, "tiny").iter("{*}*"):
        child.tail = child.tail or "\n"  # without white space, content is not reduced
    return root


def _select(files: str = FILES, change: tuple[str, str] = ("", "")) -> tuple[str, ...]:
    root = _make_tree(files)
    bench = find_benchmark(root, "tiny")
    for check in bench.iter(XCCDF + "check"):
        if change[0] and check.get("system") == change[0]:
            check.set(*change[1].split("="))
    return tuple(map(shorten_id, select_script_checks(root, bench, RULES)))


def test_only_rules_that_search_all_file_systems_are_changed() -> None:
    everything = _select()

    assert everything == ("two", "three")
    mount_points = '<u:path var_ref="oval:ssg-var_x_local_mountpoints:var:1"/>'
    assert _select(FILES.replace("<u:path>/</u:path>", mount_points)) == everything
    for other in (
        FILES.replace("<u:path>/</u:path>", "<u:path>/etc</u:path>"),
        FILES.replace("<u:path>/</u:path>", '<u:path operation="pattern match">/</u:path>'),
        FILES.replace('direction="down"', 'direction="down" max_depth="1"'),
        FILES.replace('direction="down"', 'direction="none"'),
    ):
        assert _select(other) == ()


@pytest.mark.parametrize(
    "change",
    [
        (SCE_SYSTEM, "system=urn:other"),
        (SCE_SYSTEM, f"system={OVAL_SYSTEM}"),
        (OVAL_SYSTEM, "selector=x"),
        (SCE_SYSTEM, "selector=x"),
    ],
)
def test_rule_without_a_certain_script_check_is_not_changed(change: tuple[str, str]) -> None:
    assert _select(change=change) == ()


def test_prepared_content_names_the_engine_and_the_rules() -> None:
    source = make_source(serialize(_make_tree()))
    oval, script = (prepare(source, "stig", engine=e) for e in CheckEngine)

    names = _select()
    ids = {RULE + name for name in names}
    assert all(not part.script_rule_ids for part in oval.parts)
    assert {i for part in script.parts for i in part.script_rule_ids} == ids
    assert all(part.script_rule_ids <= set(part.rule_ids) for part in script.parts)
    line = f"removed the OVAL check of {', '.join(names)}: engine SCE, by the content's scripts"
    assert line in script.content.derivation.splitlines()
    assert "SCE" not in oval.content.derivation
    assert script.untouched == oval.untouched
    for content, expected in ((oval, {OVAL_SYSTEM}), (script, {SCE_SYSTEM})):
        for part in content.parts:
            root = parse_data_stream(part.data, "part")
            for rule in root.iter(XCCDF + "Rule"):
                if rule.get("id") in ids.intersection(part.rule_ids):
                    assert set(_list_systems(rule)) == expected


def test_script_rules_cost_less_than_their_search_by_oval() -> None:
    groups = [(RULE + name,) for name in ("file_permissions_ungroupowned", "rpm_verify_ownership")]
    groups.append((RULE + "dir_permissions_library_dirs",))
    order = [i for ids in groups for i in ids]

    searches = partition(groups, 2, order=order)
    scripts = partition(groups, 2, order=order, script_rules=groups[0])

    assert searches == ((order[0],), (order[1], order[2]))
    assert scripts == ((order[1],), (order[0], order[2]))


def test_services_cost_more_than_searches_of_few_files() -> None:
    searches = ["file_permissions_ungroupowned", "no_files_unowned_by_user"]
    order = [RULE + n for n in (*searches, *(f"service_{n}_enabled" for n in range(26)))]
    groups = [(rule_id,) for rule_id in order]

    many, few = (partition(groups, 2, order=order, file_count=n) for n in (180_000, 25_000))

    assert many == partition(groups, 2, order=order) == ((order[0],), tuple(order[1:]))
    assert few == (tuple(order[2:]), tuple(order[:2]))
    assert partition(groups, 2, order=order, file_count=16_000) == few
