from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.profiles.loader.profile_file import load_located_profile
from hardpan.scanners.collect.plan import ScanPlan, load_plan, plan_profile

STIG = "xccdf_org.ssgproject.content_profile_stig"


def test_shipped_profile_gives_product_waivers_and_expected_state() -> None:
    plan = load_plan("lab-ai")

    loaded = load_located_profile("lab-ai")
    assert plan == plan_profile(loaded.profile, loaded.tree)
    assert (plan.name, plan.product, plan.xccdf_profile) == ("lab-ai", "rhel9", STIG)
    assert plan.expected is not None
    assert plan.server is not None
    assert [w.selector_locations[0].split("/")[-1] for w in plan.waivers[:3]] == [
        f"lab-stig.yaml:{line}:13" for line in (107, 111, 115)
    ]


def test_file_is_a_hardpan_profile(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("extends: lab-stig\nname: site\ntitle: Site\n")

    assert load_plan(str(file)).name == "site"


@pytest.mark.parametrize("name", ["stig", "cis", STIG, "xccdf_mil.disa.stig_profile_MAC-1_Public"])
def test_other_names_are_xccdf_profiles(name: str) -> None:
    plan = load_plan(name)

    assert (plan.name, plan.xccdf_profile, plan.product) == ("", name, None)
    assert (plan.expected, plan.server, plan.waivers) == (None, None, ())
    assert plan.workload is not None


def test_plan_without_a_profile_leaves_the_choice_to_the_content() -> None:
    assert load_plan(None).xccdf_profile == ""


@pytest.mark.parametrize("name", ["missing.yaml", "./missing", "a b", "", "x" * 201])
def test_names_of_neither_kind_are_rejected(name: str) -> None:
    with pytest.raises(InputError):
        load_plan(name)


@pytest.mark.parametrize(
    ("plan", "name"),
    [
        (ScanPlan(name="lab-stig"), "lab-stig"),
        (ScanPlan(), "stig"),
    ],
)
def test_display_name_is_the_hardpan_profile_or_the_short_xccdf_name(
    plan: ScanPlan, name: str
) -> None:
    assert plan.display_name(STIG) == name
