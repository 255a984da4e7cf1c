from xml.etree import ElementTree as ET

import pytest

from hardpan.core.errors import InputError
from images.lab.groups import PackageGroups, load_groups, render_comps, select_core
from images.lab.media_definition import load_definition

NOT_IN_CORE = ("attr", "bc", "bzip2", "file", "jq", "rsync", "tar", "zstd")
"""Programs that a minimal EL installation lacks: Rocky 9's core does not name them."""


@pytest.fixture
def groups() -> PackageGroups:
    return PackageGroups.model_validate(
        {
            "groups": {
                "core": {
                    "name": "Core",
                    "description": "Minimal",
                    "mandatory": [["bash", "gone"]],
                    "default": [["NetworkManager"], ["old"]],
                    "optional": [["rdma-core"]],
                },
                "standard": {
                    "name": "Standard",
                    "description": "More",
                    "mandatory": [["tar"]],
                    "default": [],
                },
            },
            "environments": {
                "minimal-environment": {
                    "name": "Minimal Install",
                    "description": "Basic",
                    "groups": ["core"],
                    "options": ["standard"],
                }
            },
            "absent": {"gone": "not in Debian"},
            "absent_in_10": {"old": "removed"},
        }
    )


def test_core_is_mandatory_and_default_members(groups: PackageGroups) -> None:
    available = ["bash", "NetworkManager", "old", "rdma-core", "tar"]

    assert select_core(groups, available, "9") == ("bash", "NetworkManager", "old")
    assert select_core(groups, available, "10") == ("bash", "NetworkManager")


def test_member_that_is_missing_without_reason_is_refused(groups: PackageGroups) -> None:
    with pytest.raises(InputError, match="entry in 'absent': NetworkManager, old"):
        select_core(groups, ["bash"], "9")


def test_absent_member_is_in_no_group_even_if_the_media_carry_it(groups: PackageGroups) -> None:
    available = ["bash", "NetworkManager", "old", "gone"]

    assert "gone" not in select_core(groups, available, "9")
    assert ">gone<" not in render_comps(groups, available)


def test_comps_lists_available_members_by_type(groups: PackageGroups) -> None:
    root = ET.fromstring(render_comps(groups, ["bash", "NetworkManager", "tar"]))  # noqa: S314

    core = root.find("group[id='core']")
    assert core is not None
    members = {(m.get("type"), m.text) for m in core.iter("packagereq")}
    assert members == {("mandatory", "bash"), ("default", "NetworkManager")}
    environment = root.find("environment[id='minimal-environment']")
    assert environment is not None
    assert [g.text for g in environment.findall("grouplist/groupid")] == ["core"]
    assert [g.text for g in environment.findall("optionlist/groupid")] == ["standard"]


def test_comps_without_group_has_no_environment_that_needs_it(groups: PackageGroups) -> None:
    root = ET.fromstring(render_comps(groups, ["tar"]))  # noqa: S314

    assert [g.findtext("id") for g in root.findall("group")] == ["standard"]
    assert not root.findall("environment")


def test_shipped_base_names_no_program_that_el_core_lacks() -> None:
    core = load_groups().groups["core"].members("mandatory", "default")

    assert not set(NOT_IN_CORE) & {*core, *load_definition().base_packages}
