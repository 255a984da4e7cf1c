"""A rule has many names; a waiver or a tailoring may use any of them."""

import pytest

from hardpan.profiles.constraints.stig_requirements import (
    KERNEL_ARGUMENTS,
    SEPARATE_FILE_SYSTEMS,
    TUNED_REMOVAL,
)
from hardpan.profiles.schema.rule_names import (
    RuleNames,
    find_near_matches,
    iter_names,
    matches_rule,
    shorten_id,
)
from hardpan.scanners.content import datastream
from hardpan.scanners.content.benchmark import expand_profile_id, read_benchmark
from hardpan.scanners.content.scap_xml import parse_data_stream
from hardpan.scanners.content.store import Product

AIDE = RuleNames(
    rule_id="xccdf_org.ssgproject.content_rule_package_aide_installed",
    stig_ids=("RHEL-09-651010",),
    sv_ids=("SV-258134r1155620_rule",),
    cce="CCE-90843-4",
)
DISA_RULE = RuleNames(rule_id="xccdf_mil.disa.stig_rule_SV-257777r991589_rule")


@pytest.mark.parametrize(
    "selector",
    [
        "package_aide_installed",
        "xccdf_org.ssgproject.content_rule_package_aide_installed",
        "RHEL-09-651010",
        "rhel-09-651010",
        "SV-258134r1155620_rule",
        "SV-258134r1155620",
        "SV-258134_rule",
        "SV-258134",
        "sv-258134",
        "V-258134",
        "CCE-90843-4",
        "package_aide_*",
        "xccdf_*_package_aide_installed",
        "RHEL-09-6510[0-9][0-9]",
        "SV-258134*",
        "CCE-9084?-4",
    ],
)
def test_rule_matches_each_of_its_names(selector: str) -> None:
    assert matches_rule(selector, AIDE)


@pytest.mark.parametrize(
    "selector",
    [
        "package_aide",
        "aide_installed",
        "Package_aide_installed",
        "RHEL-09-65101",
        "SV-25813",
        "SV-258134r1",
        "SV-258134r11556201_rule",
        "V-25813",
        "CCE-90843",
        "package_aide_installed*?",
        "xccdf_other_rule_package_aide_installed",
    ],
)
def test_rule_does_not_match_other_names(selector: str) -> None:
    assert not matches_rule(selector, AIDE)


@pytest.mark.parametrize("selector", ["SV-257777r991589_rule", "SV-257777", "V-257777"])
def test_rule_of_disa_benchmark_matches_its_sv_and_v_id(selector: str) -> None:
    assert matches_rule(selector, DISA_RULE)


def test_revision_is_compared_if_both_ids_have_a_revision() -> None:
    rule = RuleNames(rule_id="x", sv_ids=("SV-257796",))

    assert matches_rule("SV-257796r1044847_rule", rule)
    assert not matches_rule("SV-257797r1044847_rule", rule)


def test_short_id_is_the_name_of_any_namespace() -> None:
    assert shorten_id("xccdf_org.example_rule_a_rule_b") == "a_rule_b"
    assert shorten_id("package_aide_installed") == "package_aide_installed"


def test_near_matches_ignore_case_and_namespace() -> None:
    names = tuple(iter_names(AIDE))

    assert find_near_matches("Package_aide_instaled", names) == ("package_aide_installed",)
    assert find_near_matches("xccdf_x_rule_package_aide_instaled", names)
    assert find_near_matches("kernel_module_usb", names) == ()


@pytest.mark.parametrize("product", ["rhel9", "rhel10"])
def test_names_of_constraint_rules_are_those_of_the_content(product: Product) -> None:
    source = datastream.find(product)
    root = parse_data_stream(source.data, source.name)
    rules = read_benchmark(root, expand_profile_id("stig"), source.name).rules
    for names in (*KERNEL_ARGUMENTS.values(), *SEPARATE_FILE_SYSTEMS.values(), TUNED_REMOVAL):
        (rule,) = (r for r in rules if r.rule_id == names.rule_id)
        assert set(rule.stig_ids) <= set(names.stig_ids)
        assert {sv_id.partition("r")[0] for sv_id in rule.sv_ids} <= set(names.sv_ids)
