import re
from pathlib import Path

import pytest
from lxml import etree

from hardpan.core.errors import InputError, ToolError, TrustError
from hardpan.core.files import sha256_bytes
from hardpan.scanners.content import (
    apt,
    benchmark,
    derive,
    fixes,
    oval_dedup,
    partition,
    scap_xml,
    tailor,
)
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.prepare import prepare
from hardpan.scanners.model.scan import ContentOrigin
from tests.unit.content.minimal_datastream import MINIMAL_DATASTREAM, PROFILE, RULE

STIG = PROFILE + "stig"


def make_source(data: bytes = MINIMAL_DATASTREAM) -> ContentSource:
    return ContentSource(
        name="tiny-ds.xml",
        version="0.1",
        date="",
        origin="a test",
        origin_kind=ContentOrigin.FILE,
        sha256=sha256_bytes(data),
        data=data,
    )


def element_ids(root: scap_xml.Element) -> set[str]:
    return {e.get("id", "") for e in root.iter("{*}*") if e.get("id")}


def test_rule_is_parsed_with_all_ids() -> None:
    parsed = benchmark.read_benchmark(
        scap_xml.parse_data_stream(MINIMAL_DATASTREAM, "tiny"), STIG, "tiny"
    )

    first_rule = parsed.rules[0]
    assert (first_rule.rule_id, first_rule.title, first_rule.severity) == (
        RULE + "one",
        "Title of one",
        "high",
    )
    assert (first_rule.stig_ids, first_rule.sv_ids) == (("RHEL-09-1",), ("SV-1r1_rule",))
    assert (first_rule.nist, first_rule.cce, first_rule.fix_text) == (
        ("CM-6(a)",),
        "CCE-80000-1",
        "Do one.",
    )


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "expected a source data stream, got an empty file"),
        (b"!<arch>\ndebian-binary", "expected a source data stream, got a package"),
        (b"%PDF-1.7", "not XML"),
        (MINIMAL_DATASTREAM[:500], "not XML"),
        (b"<html/>", "expected a source data stream, got <html>"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "has a DOCTYPE"),
        (b"<!--" + b"x" * 9000 + b"--><!DOCTYPE a><a/>", "has a DOCTYPE"),
        (
            '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a><a/>'.encode("utf-16"),
            "has a DOCTYPE",
        ),
        (
            MINIMAL_DATASTREAM.replace(b"x:Benchmark", b"x:Other"),
            "expected one XCCDF 1.2 benchmark, got 0",
        ),
    ],
)
def test_invalid_data_stream_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        prepare(make_source(data), "stig")


def test_rule_texts_have_values_of_the_profile_and_lines() -> None:
    sub = '<x:sub idref="v_limit" use="legacy"/>'
    html = 'xmlns:h="http://www.w3.org/1999/xhtml"'
    texts = (
        f"<x:title>At most {sub}</x:title>"
        f"<x:description>Set:<h:pre {html}>limit = {sub}\nretry = 1</h:pre></x:description>"
    )
    data = MINIMAL_DATASTREAM.replace(
        b"<x:title>Title of one</x:title><x:description>Do one.</x:description>", texts.encode()
    ).replace(b"<x:rationale>Because.", f"<x:rationale>More than {sub}\nis bad.".encode())

    rule = prepare(make_source(data), "stig").benchmark.rules[0]

    assert (rule.title, rule.rationale) == ("At most 3", "More than 3 is bad.")
    assert rule.fix_text == "Set:\n    limit = 3\n    retry = 1"


def test_rule_without_title_gets_its_id() -> None:
    data = MINIMAL_DATASTREAM.replace(b"<x:title>Title of one</x:title>", b"")

    assert prepare(make_source(data), "stig").benchmark.rules[0].title == RULE + "one"


def test_unknown_profile_error_lists_available_profiles() -> None:
    with pytest.raises(InputError, match="no profile") as caught:
        prepare(make_source(), "sitg")

    assert caught.value.hint == "it has: other, stig"


def test_derived_content_applies_to_rebuilds_and_retains_references() -> None:
    root = scap_xml.parse_data_stream(MINIMAL_DATASTREAM, "tiny")

    added = derive.derive(root, "tiny")

    derived = scap_xml.serialize(root).decode()
    for cpe in (
        *("rocky:rocky:9", "almalinux:almalinux:9", "centos:centos:9", "hardpan:lab:9"),
        "hardpan:like_rhel:9",
    ):
        assert f'<x:platform idref="cpe:/o:{cpe}"/>' in derived
        assert f'<cpe-dict:cpe-item name="cpe:/o:{cpe}">' in derived
    assert derived.count("RHEL-09-1") == 5
    assert "was not reviewed, certified or" in derived
    assert "OVAL definition oval:hardpan-rocky9:def:1: package rocky-release has" in added[0]
    ids = [e.get("id") for e in root.iter("{*}*") if "hardpan-" in e.get("id", "")]
    assert len(ids) == len(set(ids)) == 4 * 4 + 5


def test_relatives_are_recognized_by_two_lines_of_os_release() -> None:
    data = MINIMAL_DATASTREAM.replace(b"redhat:enterprise_linux:9", b"debian:debian_linux:12")
    root = scap_xml.parse_data_stream(data, "tiny")

    added = derive.derive(root, "tiny")

    assert len(added) == 4
    patterns = [e.text or "" for e in root.iter(derive.INDEPENDENT + "pattern")]
    for line, pattern in zip(
        ("ID_LIKE=debian", "VERSION_CODENAME=bookworm"), patterns, strict=True
    ):
        assert re.search(pattern, line)
    assert not re.search(patterns[1], "VERSION_CODENAME=trixie")


def test_missing_sections_are_created_in_order() -> None:
    data = MINIMAL_DATASTREAM.replace(b"<o:tests/><o:objects/><o:states/>", b"")
    root = scap_xml.parse_data_stream(data, "tiny")

    derive.derive(root, "tiny")

    rocky = next(d for d in root.iter(scap_xml.OVAL + "definition") if "rocky" in d.get("id", ""))
    oval = next(rocky.iterancestors(scap_xml.OVAL + "oval_definitions"))
    sections = [etree.QName(e).localname for e in oval]
    assert sections == ["definitions", "tests", "objects", "states"]


def test_content_without_dictionary_is_unchanged() -> None:
    data = MINIMAL_DATASTREAM.replace(
        b'<cpe-dict:cpe-item name="cpe:/o:redhat', b'<cpe-dict:cpe-item name="cpe:/o:x'
    )
    root = scap_xml.parse_data_stream(data, "tiny")

    assert derive.derive(root, "tiny") == ()


def test_conflict_with_a_missing_rule_is_removed_and_recorded() -> None:
    data = MINIMAL_DATASTREAM.replace(
        f'<x:conflicts idref="{RULE}five"/>'.encode(), b'<x:conflicts idref="none"/>'
    )

    prepared = prepare(make_source(data), "stig")

    assert f"removed the conflict of {RULE}three with none" in prepared.content.derivation
    assert all(b"conflicts" not in part.data for part in (*prepared.parts, prepared.untouched))


def test_derivation_is_idempotent() -> None:
    root = scap_xml.parse_data_stream(MINIMAL_DATASTREAM, "tiny")
    derive.derive(root, "tiny")

    assert derive.derive(root, "tiny") == ()


def test_content_for_other_systems_is_unchanged() -> None:
    root = scap_xml.parse_data_stream(
        MINIMAL_DATASTREAM.replace(b"redhat:enterprise_linux:9", b"suse:linux:15"), "tiny"
    )
    before = scap_xml.serialize(root)

    assert derive.derive(root, "tiny") == ()
    assert scap_xml.serialize(root) == before


def test_tailored_content_has_only_profile_content() -> None:
    root = scap_xml.parse_data_stream(MINIMAL_DATASTREAM, "tiny")

    tailor.tailor(root, STIG, "tiny")

    remaining = element_ids(root)
    assert {RULE + r for r in ("one", "two", "three", "four")} <= remaining
    assert {"d1", "d2", "t1", "o1", "s1", "s2", "var1", "comp_cpe", "g_b"} <= remaining
    assert PROFILE + "other" not in remaining
    assert not {"comp_ocil", "cref_ocil", "ecomp_sh", "cref_sh"} & remaining
    assert b"fix" not in scap_xml.serialize(root)


def test_rules_that_decide_about_a_selected_rule_are_retained() -> None:
    root = scap_xml.parse_data_stream(MINIMAL_DATASTREAM, "tiny")

    tailor.tailor(root, STIG, "tiny", only=[RULE + "three"])

    assert [r.get("id") for r in root.iter(scap_xml.XCCDF + "Rule")] == [
        RULE + "three",
        RULE + "five",
    ]
    assert b"conflicts" in scap_xml.serialize(root)


def test_rules_without_connection_are_removed() -> None:
    root = scap_xml.parse_data_stream(MINIMAL_DATASTREAM, "tiny")

    tailor.tailor(root, STIG, "tiny", only=[RULE + "four"], has_unselected=False)

    remaining = element_ids(root)
    assert {RULE + "four", "g_b", "d1", "t1", "v_limit"} <= remaining
    assert not {RULE + "five", "d3", "t3", "o3", "s3", "var3", "g_a", "g_c"} & remaining


def test_tailoring_retains_whitespace_that_oscap_needs() -> None:
    root = scap_xml.parse_data_stream(MINIMAL_DATASTREAM, "tiny")

    tailor.tailor(root, STIG, "tiny")

    definitions = next(root.iter(scap_xml.OVAL + "definitions"))
    assert (definitions.text or "").isspace()


def test_duplicate_oval_elements_are_merged_with_their_references() -> None:
    duplicate = b'<o:o id="o3" comment="once more"><o:filter>s3</o:filter></o:o>'
    root = scap_xml.parse_data_stream(
        MINIMAL_DATASTREAM.replace(b'<o:o id="o3"/>', duplicate), "tiny"
    )

    removed_count = oval_dedup.merge_duplicates(root)

    # The states s1 to s3 are alike; then so are the objects that filter by them.
    assert removed_count == 3
    assert not {"s2", "s3", "o3"} & element_ids(root)
    assert [o.get("object_ref") for o in root.iter(scap_xml.OVAL + "object")] == ["o1", "o1"]
    assert [f.text for f in root.iter(scap_xml.OVAL + "filter")] == ["s1"]
    assert {"var1", "var3"} <= element_ids(root), (
        "the benchmark sets external variables by their ids"
    )


def test_different_oval_elements_are_not_merged() -> None:
    other = b'<o:s id="s2"><o:v>1</o:v></o:s><o:s id="s3"><o:v>2</o:v></o:s>'
    content = MINIMAL_DATASTREAM.replace(b'<o:s id="s2"/><o:s id="s3"/>', other)
    root = scap_xml.parse_data_stream(content, "tiny")

    assert oval_dedup.merge_duplicates(root) == 0
    assert scap_xml.serialize(root) == scap_xml.serialize(
        scap_xml.parse_data_stream(content, "tiny")
    )


@pytest.mark.parametrize("text", ["a<!-- x -->b", "a<![CDATA[b]]>"])
def test_texts_that_oscap_reads_differently_are_not_merged(text: str) -> None:
    other = f'<o:s id="s2"><o:v>ab</o:v></o:s><o:s id="s3"><o:v>{text}</o:v></o:s>'
    content = MINIMAL_DATASTREAM.replace(b'<o:s id="s2"/><o:s id="s3"/>', other.encode())

    assert oval_dedup.merge_duplicates(scap_xml.parse_data_stream(content, "tiny")) == 0


def test_dependent_rules_are_grouped() -> None:
    root = scap_xml.parse_data_stream(MINIMAL_DATASTREAM, "tiny")

    rule_groups = tailor.connected_rules(root, tailor.tailor(root, STIG, "tiny"))

    assert (RULE + "one", RULE + "two") in rule_groups
    assert len(rule_groups) == 3


def test_expensive_rule_gets_a_separate_part() -> None:
    cheap = [f"{RULE}r{n}" for n in range(50)]
    expensive = RULE + "file_permissions_ungroupowned"

    parts = partition.partition([[r] for r in [*cheap, expensive]], 2, order=[*cheap, expensive])

    assert (expensive,) in parts
    assert sorted(sum(parts, ())) == sorted([*cheap, expensive])


def test_service_rules_share_a_part() -> None:
    services = [f"{RULE}service_s{n}_enabled" for n in range(10)]
    expensive = [RULE + "no_files_unowned_by_user", RULE + "dir_permissions_library_dirs"]

    parts = partition.partition(
        [[r] for r in [*services, *expensive]], 2, order=[*services, *expensive]
    )

    assert any(set(services) <= set(part) for part in parts)


def test_rules_that_share_a_search_share_a_part_and_its_cost() -> None:
    shared = [RULE + "file_permissions_ungroupowned", RULE + "no_files_unowned_by_user"]
    others = [RULE + "rpm_verify_permissions", RULE + "rpm_verify_ownership"]
    order = [*shared, *others]

    parts = partition.partition([[r] for r in order], 2, order=order, shared_searches=[shared])
    alone = partition.partition([[r] for r in order], 2, order=order)

    assert set(parts) == {tuple(shared), tuple(others)}
    assert set(alone) != set(parts)


def test_partition_has_no_empty_part() -> None:
    assert partition.partition([["a"]], 4, order=["a"]) == (("a",),)


def test_parts_cover_every_rule_once_and_are_reproducible() -> None:
    first, second = (
        prepare(make_source(), "stig", part_count=2),
        prepare(make_source(), "stig", part_count=2),
    )

    rule_ids = [r for p in first.parts for r in p.rule_ids]
    assert sorted(rule_ids) == sorted(r.rule_id for r in first.benchmark.rules)
    assert first == second
    assert (
        first.content.source_sha256
        == sha256_bytes(MINIMAL_DATASTREAM)
        != first.content.derived_sha256
    )
    assert all(p.sha256 in first.content.derivation for p in first.parts)


def test_fixes_have_profile_values_in_benchmark_order() -> None:
    rule_ids = [RULE + "four", RULE + "one"]

    collected = fixes.collect_fixes(
        scap_xml.parse_data_stream(MINIMAL_DATASTREAM, "tiny"), STIG, rule_ids, "tiny"
    )

    assert [f.rule_id for f in collected] == [RULE + "one", RULE + "four"]
    assert [f.script for f in collected] == ["set 3!\n", "set 3!\n"]
    assert collected[0].severity == "high"


def test_fix_for_unselected_rule_is_refused() -> None:
    with pytest.raises(InputError, match=r"does not select .*_five"):
        fixes.collect_fixes(
            scap_xml.parse_data_stream(MINIMAL_DATASTREAM, "tiny"), STIG, [RULE + "five"], "tiny"
        )


def test_apt_output_is_parsed() -> None:
    madison = (
        "ssg-nondebian | 0.1.82-1 | http://x/debian sid/main amd64 Packages\n"
        "ssg-nondebian | 0.1.76-1 | http://x/debian trixie/main amd64 Packages\n"
    )
    listed = (
        "Debian|bookworm-security|main|http://x/security/\n"
        "Other|bookworm|main|http://o/\nDebian|bookworm|main|http://x/debian/\n"
    )

    assert apt.parse_madison(madison, "ssg-nondebian") == ("0.1.82-1", "sid")
    assert apt.parse_archive(listed) == "http://x/debian/"
    assert apt.parse_archive("") == ""


@pytest.mark.parametrize(
    ("line", "percent"),
    [
        ("dlstatus:1:0.6940:Retrieving file 1 of 1", 0.694),
        ("dlstatus:1:100.0000:Retrieving file 1 of 1", 100.0),
        ("dlstatus:1:x:Retrieving", None),
        ("E: Unable to fetch some archives: 50 percent", None),
    ],
)
def test_apt_status_lines_have_a_percentage(line: str, percent: float | None) -> None:
    assert apt.parse_percentage(line) == percent


def test_apt_source_always_requires_signed_metadata(tmp_path: Path) -> None:
    """A line's own options win over apt.conf.d, where a machine may allow it for its sources."""
    apt._create_private_apt(tmp_path, "http://x/debian")

    lines = (tmp_path / "sources.list").read_text("utf-8").splitlines()
    options = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg allow-insecure=no"
    options += " allow-weak=no allow-downgrade-to-insecure=no"
    assert lines == [f"deb [{options}] http://x/debian {suite} main" for suite in apt.SUITES]


@pytest.mark.parametrize(
    ("tail", "is_untrusted"),
    [
        ("W: GPG error: x InRelease: signatures couldn't be verified: NO_PUBKEY 04EE", True),
        ("E: The repository 'http://x sid Release' is not signed.", True),
        ("E: Release file for http://x is expired (invalid since 1d)", True),
        ("E: Failed to fetch http://x/p.deb  Hash Sum mismatch", True),
        ("E: Failed to fetch http://x/p.deb  Could not connect to x", False),
        ("", False),
    ],
)
def test_apt_signature_and_digest_failures_break_trust(tail: str, is_untrusted: bool) -> None:
    error = ToolError(["apt-get"], "exited with 100", output_tail=f"Get:1 http://x\n{tail}")

    if is_untrusted:
        with pytest.raises(TrustError, match="http://x: is not what Debian signed: apt-get says"):
            apt._raise_if_untrusted(error, "http://x")
    assert bool(apt._UNTRUSTED.search(error.output_tail)) is is_untrusted
