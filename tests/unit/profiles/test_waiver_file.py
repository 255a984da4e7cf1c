"""Waivers of a file: every problem with its location, no setting ignored."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.profiles.loader.profile_file import load_located_profile
from hardpan.profiles.loader.waiver_file import load_waivers, locate_profile_waivers

GOOD = """\
waivers:
  - rule: package_aide_installed
    reason: Another tool checks integrity.
    owner: site
    expires: 2027-11-30
  - rules:
      - RHEL-09-231190
      - "partition_for_var*"
    reason: r
    owner: o
    expires: 2027-01-01
"""


def test_waiver_file_has_location_of_each_name(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(GOOD)

    first, second = load_waivers(path)

    assert (first.source, first.waiver.selectors) == ("site.yaml", ("package_aide_installed",))
    assert first.selector_locations == (f"{path}:2:11",)
    assert second.waiver.selectors == ("RHEL-09-231190", "partition_for_var*")
    assert second.selector_locations == (f"{path}:7:9", f"{path}:8:9")


@pytest.mark.parametrize(
    ("original", "replacement", "problem"),
    [
        ("    owner: site\n", "", ":2:5: waivers[0].owner: is missing"),
        ("owner: site", "owner: site\n    until: x", ":5:12: waivers[0].until: unknown setting"),
        ("waivers:", "exceptions:", ":1:1: exceptions: unknown setting"),
        ("2027-11-30", "soon", ":5:14: waivers[0].expires: expected a day"),
        ("2027-11-30", "2027-02-30", ":5:14: waivers[0].expires: expected a day"),
        ("package_aide_installed", '"*"', ":2:11: waivers[0].rule: expected the id of a rule"),
        ("package_aide_installed", '"**a*"', ":2:11: waivers[0].rule: expected the id of a rule"),
        ("- rule:", "- rules: [a_b_c]\n    rule:", "waivers[0]: expected one of rule and rules"),
        ("  - rule: package_aide_installed\n    reason", "  - reason", "expected one of rule and"),
        ("reason: r\n", "reason:\n", ":9:5: waivers[1].reason: expected text"),
    ],
)
def test_invalid_waiver_file_reports_location(
    tmp_path: Path, original: str, replacement: str, problem: str
) -> None:
    path = tmp_path / "site.yaml"
    assert original in GOOD
    path.write_text(GOOD.replace(original, replacement, 1))

    with pytest.raises(InputError) as e:
        load_waivers(path)

    assert problem in str(e.value)


def test_waiver_file_without_waivers_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("waivers: []\n")

    with pytest.raises(InputError, match="waivers: expected at least one entry"):
        load_waivers(path)


def test_waivers_of_a_profile_have_the_location_in_its_file(
    profile_file: Callable[..., Path], good: str
) -> None:
    path = profile_file(good)
    loaded = load_located_profile(path)

    (waiver,) = locate_profile_waivers(loaded.profile, loaded.tree)

    assert waiver.source == f"profile {loaded.profile.name}"
    (location,) = waiver.selector_locations
    line_number = int(location.removeprefix(f"{path}:").split(":")[0])
    assert waiver.waiver.label in path.read_text().splitlines()[line_number - 1]


def test_waivers_without_a_file_have_the_path_of_the_setting() -> None:
    profile = load_located_profile("lab-stig").profile

    waivers = locate_profile_waivers(profile)

    assert waivers[1].selector_locations == ("profile lab-stig: stig.waivers[1].rule",)
