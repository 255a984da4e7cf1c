import json
import re
from collections import Counter
from pathlib import Path

import pytest

from hardpan.scanners.stig import manual_stig
from hardpan.scanners.stig.manual_stig import (
    STIG_FILES,
    find_stig,
    normalize_control,
    parse_group_id,
)

BENCHMARK = "xccdf_org.ssgproject.content_benchmark_"


@pytest.mark.parametrize(
    ("name", "revision", "by_severity"),
    [
        ("RHEL-9", "V2R9", {"high": 28, "medium": 402, "low": 15}),
        ("RHEL-10", "V1R2", {"high": 30, "medium": 399, "low": 5}),
    ],
)
def test_shipped_stigs_are_complete(name: str, revision: str, by_severity: dict[str, int]) -> None:
    stig = find_stig(BENCHMARK + name)

    assert stig is not None
    assert stig.revision == revision
    assert Counter(r.severity for r in stig.requirements) == by_severity
    prefix = f"RHEL-{int(name.removeprefix('RHEL-')):02}"
    for r in stig.requirements:
        assert re.fullmatch(rf"{prefix}-\d{{6}}", r.stig_id)
        assert parse_group_id(r.rule_id) == r.group_id
        assert re.fullmatch(r"SRG-OS-\d{6}-GPOS-\d{5}", r.group_title)
        assert r.ccis
        assert all(re.fullmatch(r"CCI-\d{6}", c) for c in r.ccis)
        assert r.title
        assert r.discussion
        assert r.check
        assert r.fix
    for field in ("stig_id", "group_id", "rule_id", "check_id", "fix_id"):
        assert len({getattr(r, field) for r in stig.requirements}) == len(stig.requirements)


@pytest.mark.parametrize("file", sorted(STIG_FILES.values()))
def test_stig_files_name_their_source(file: str) -> None:
    document = json.loads(Path(manual_stig.__file__).with_name(file).read_bytes())

    assert re.fullmatch(r"\d{4}-\d\d-\d\d", document["as_of"])
    assert "public domain" in document["licence"]
    assert "ComplianceAsCode/content" in document["origin"]
    assert document["stig"]["source_sha256"] in document["files"].values()
    assert all(re.fullmatch(r"[0-9a-f]{64}", d) for d in document["files"].values())


def test_ccis_and_groups_are_joined_whatever_the_revision() -> None:
    stig = find_stig(BENCHMARK + "RHEL-9")
    assert stig is not None
    exact, older = "SV-257779r958390_rule", "SV-257779r1_rule"

    assert stig.requirements_by_group["V-257779"].rule_id == exact
    assert stig.groups_of([older, "SV-1r1_rule", "V-257779", "<x>"]) == ("V-257779",)
    assert stig.ccis_of([older]) == stig.ccis_of([exact])
    assert stig.ccis_of([exact])[:2] == ("CCI-000048", "CCI-001384")
    assert stig.ccis_of([]) == ()
    assert stig.controls_of(["CCI-000366", "CCI-000015", "CCI-999999"]) == ("AC-2(1)", "CM-6")


def test_references_are_those_of_revision_4_or_else_5() -> None:
    stig = find_stig(BENCHMARK + "RHEL-10")
    assert stig is not None
    only_in_rev5 = sorted(stig.controls.keys() - stig.controls_rev4.keys())
    only_in_rev4 = sorted(stig.controls_rev4.keys() - stig.controls.keys())

    assert len(only_in_rev5) == 19
    assert only_in_rev4
    assert stig.references_of(["CCI-000015", only_in_rev5[0], only_in_rev4[0], "CCI-9"]) == tuple(
        sorted({"AC-2 (1)", stig.controls[only_in_rev5[0]], stig.controls_rev4[only_in_rev4[0]]})
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("RHEL-9", "RHEL_9_STIG V2R9 of 2026-07-01"),
        ("RHEL-10", "RHEL_10_STIG V1R2 of 2026-07-01"),
    ],
)
def test_release_is_described_with_its_day(name: str, text: str) -> None:
    stig = find_stig(BENCHMARK + name)

    assert stig is not None
    assert stig.describe() == text
    assert stig.cci_list_date == "2022-03-09"
    assert "Benchmark Date: 01 Jul 2026" in stig.release_info


def test_unlisted_benchmark_has_no_stig() -> None:
    assert find_stig(BENCHMARK + "SLE-15") is None
    assert find_stig("") is None


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("CM-6 b", "CM-6"),
        ("AC-2 (1)", "AC-2(1)"),
        ("AC-1 a 1 (a)", "AC-1"),
        ("AC-17 (9) (b)", "AC-17(9)"),
        ("something else", "something else"),
    ],
)
def test_reference_is_normalized_to_its_control(place: str, expected: str) -> None:
    assert normalize_control(place) == expected


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
def test_only_disa_rule_ids_have_a_group(sv: str, group: str) -> None:
    assert parse_group_id(sv) == group
