import json
import re
from collections import Counter
from pathlib import Path

import pytest

from hardpan.scanners.stig import table
from hardpan.scanners.stig.table import FILES, control, group_of, stig_for

BENCHMARK = "xccdf_org.ssgproject.content_benchmark_"


@pytest.mark.parametrize(
    ("name", "revision", "by_severity"),
    [
        ("RHEL-9", "V2R9", {"high": 28, "medium": 402, "low": 15}),
        ("RHEL-10", "V1R2", {"high": 30, "medium": 399, "low": 5}),
    ],
)
def test_the_shipped_stigs_are_whole(name: str, revision: str, by_severity: dict[str, int]) -> None:
    stig = stig_for(BENCHMARK + name)

    assert stig is not None
    assert stig.revision == revision
    assert Counter(r.severity for r in stig.requirements) == by_severity
    prefix = f"RHEL-{int(name.removeprefix('RHEL-')):02}"
    for r in stig.requirements:
        assert re.fullmatch(rf"{prefix}-\d{{6}}", r.stig_id)
        assert group_of(r.rule_id) == r.group_id
        assert re.fullmatch(r"SRG-OS-\d{6}-GPOS-\d{5}", r.group_title)
        assert r.ccis
        assert all(re.fullmatch(r"CCI-\d{6}", c) for c in r.ccis)
        assert r.title
        assert r.discussion
        assert r.check
        assert r.fix
    for field in ("stig_id", "group_id", "rule_id", "check_id", "fix_id"):
        assert len({getattr(r, field) for r in stig.requirements}) == len(stig.requirements)


@pytest.mark.parametrize("file", sorted(FILES.values()))
def test_each_file_says_where_it_is_from(file: str) -> None:
    made = json.loads(Path(table.__file__).with_name(file).read_bytes())

    assert re.fullmatch(r"\d{4}-\d\d-\d\d", made["as_of"])
    assert "public domain" in made["licence"]
    assert "ComplianceAsCode/content" in made["origin"]
    assert made["stig"]["source_sha256"] in made["files"].values()
    assert all(re.fullmatch(r"[0-9a-f]{64}", d) for d in made["files"].values())


def test_ccis_and_groups_are_joined_whatever_the_revision() -> None:
    stig = stig_for(BENCHMARK + "RHEL-9")
    assert stig is not None
    exact, older = "SV-257779r958390_rule", "SV-257779r1_rule"

    assert stig.by_group["V-257779"].rule_id == exact
    assert stig.groups_of([older, "SV-1r1_rule", "V-257779", "<x>"]) == ("V-257779",)
    assert stig.ccis_of([older]) == stig.ccis_of([exact])
    assert stig.ccis_of([exact])[:2] == ("CCI-000048", "CCI-001384")
    assert stig.ccis_of([]) == ()
    assert stig.controls_of(["CCI-000366", "CCI-000015", "CCI-999999"]) == ("AC-2(1)", "CM-6")


def test_a_benchmark_that_is_not_on_record_has_no_stig() -> None:
    assert stig_for(BENCHMARK + "SLE-15") is None
    assert stig_for("") is None


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("CM-6 b", "CM-6"),
        ("AC-2 (1)", "AC-2(1)"),
        ("AC-1 a 1 (a)", "AC-1"),
        ("AC-17 (9) (b)", "AC-17(9)"),
        ("something else", "something else"),
    ],
)
def test_a_place_is_reduced_to_its_control(place: str, told: str) -> None:
    assert control(place) == told


@pytest.mark.parametrize(
    ("sv", "group"),
    [
        ("SV-257777r1155676_rule", "V-257777"),
        ("SV-257777_rule", ""),
        ("xSV-257777r1_rule", ""),
        ("SV-257777r1_rule\n", ""),
        ("SV-\u0662\u0665\u0667r1_rule", ""),
    ],
)
def test_only_a_rule_id_of_disas_names_a_group(sv: str, group: str) -> None:
    assert group_of(sv) == group
