from pathlib import Path

import pytest

from hardpan.errors import InputError, ToolError, TrustError
from hardpan.files import sha256_bytes
from hardpan.scanners.content import apt, benchmark, derive, remedies, slim, split, twins, xml
from hardpan.scanners.content.datastream import Source
from hardpan.scanners.content.prepare import prepare
from hardpan.scanners.model import ContentOrigin
from tests.unit.content.tiny import PROFILE, RULE, TINY

STIG = PROFILE + "stig"


def source(data: bytes = TINY) -> Source:
    return Source(
        name="tiny-ds.xml",
        version="0.1",
        date="",
        origin="a test",
        origin_kind=ContentOrigin.FILE,
        sha256=sha256_bytes(data),
        data=data,
    )


def ids(root: xml.Element) -> set[str]:
    return {e.get("id", "") for e in root.iter("{*}*") if e.get("id")}


def test_a_rule_is_read_with_all_its_ids() -> None:
    found = benchmark.read(xml.load(TINY, "tiny"), STIG, "tiny")

    one = found.rules[0]
    assert (one.rule_id, one.title, one.severity) == (RULE + "one", "Title of one", "high")
    assert (one.stig_ids, one.sv_ids) == (("RHEL-09-1",), ("SV-1r1_rule",))
    assert (one.nist, one.cce, one.fix_text) == (("CM-6(a)",), "CCE-80000-1", "Do one.")
    assert [r.conditional for r in found.rules] == [False, True, True, False]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not XML"),
        (TINY[:500], "not XML"),
        (b"<html/>", "expected a source data stream, found <html>"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "has a DOCTYPE"),
        (TINY.replace(b"x:Benchmark", b"x:Other"), "expected one XCCDF 1.2 benchmark, found 0"),
    ],
)
def test_an_odd_data_stream_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        prepare(source(data), "stig")


def test_an_unknown_profile_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(InputError, match="no profile") as caught:
        prepare(source(), "sitg")

    assert caught.value.hint == "it has: other, stig"


def test_derived_content_applies_to_rocky_and_the_lab_and_keeps_every_reference() -> None:
    root = xml.load(TINY, "tiny")

    added = derive.derive(root, "tiny")

    made = xml.save(root).decode()
    assert 'idref="cpe:/o:rocky:rocky:9"' in made
    assert 'idref="cpe:/o:hardpan:lab:9"' in made
    assert made.count("RHEL-09-1") == 5
    assert "was not reviewed, certified or" in made
    assert sum("rocky-release" in line for line in added) == 4


def test_what_is_derived_twice_is_derived_once() -> None:
    root = xml.load(TINY, "tiny")
    derive.derive(root, "tiny")

    assert derive.derive(root, "tiny") == ()


def test_content_for_another_system_is_left_as_it_is() -> None:
    root = xml.load(TINY.replace(b"redhat:enterprise_linux:9", b"suse:linux:15"), "tiny")
    before = xml.save(root)

    assert derive.derive(root, "tiny") == ()
    assert xml.save(root) == before


def test_slim_content_keeps_what_the_profile_needs_and_nothing_else() -> None:
    root = xml.load(TINY, "tiny")

    slim.slim(root, STIG, "tiny")

    left = ids(root)
    assert {RULE + r for r in ("one", "two", "three", "four")} <= left
    assert {"d1", "d2", "t1", "o1", "s1", "s2", "var1", "comp_cpe", "g_b"} <= left
    assert not {RULE + "five", "d3", "t3", "o3", "s3", "var3", "g_c", PROFILE + "other"} & left
    assert not {"comp_ocil", "cref_ocil", "ecomp_sh", "cref_sh"} & left
    assert b"fix" not in xml.save(root)


def test_a_conflict_with_a_rule_that_is_gone_goes_too() -> None:
    root = xml.load(TINY, "tiny")

    slim.slim(root, STIG, "tiny")

    assert b"conflicts" not in xml.save(root)
    assert b"requires" in xml.save(root)


def test_whitespace_stays_for_oscap_crashes_without_it() -> None:
    root = xml.load(TINY, "tiny")

    slim.slim(root, STIG, "tiny")

    definitions = next(root.iter(xml.OVAL + "definitions"))
    assert (definitions.text or "").isspace()


def test_what_says_the_same_becomes_one_and_every_reference_follows() -> None:
    twin = b'<o:o id="o3" comment="once more"><o:filter>s3</o:filter></o:o>'
    root = xml.load(TINY.replace(b'<o:o id="o3"/>', twin), "tiny")

    gone = twins.merge_twins(root)

    # The states s1 to s3 are alike; then so are the objects that filter by them.
    assert gone == 3
    assert not {"s2", "s3", "o3"} & ids(root)
    assert [o.get("object_ref") for o in root.iter(xml.OVAL + "object")] == ["o1", "o1"]
    assert [f.text for f in root.iter(xml.OVAL + "filter")] == ["s1"]
    assert {"var1", "var3"} <= ids(root), "the benchmark sets external variables by their ids"


def test_what_differs_stays() -> None:
    other = b'<o:s id="s2"><o:v>1</o:v></o:s><o:s id="s3"><o:v>2</o:v></o:s>'
    content = TINY.replace(b'<o:s id="s2"/><o:s id="s3"/>', other)
    root = xml.load(content, "tiny")

    assert twins.merge_twins(root) == 0
    assert xml.save(root) == xml.save(xml.load(content, "tiny"))


def test_rules_that_need_one_another_stay_together() -> None:
    root = xml.load(TINY, "tiny")

    bundles = slim.together(root, STIG, "tiny")

    assert (RULE + "one", RULE + "two") in bundles
    assert len(bundles) == 3


def test_a_heavy_rule_gets_a_process_of_its_own() -> None:
    light = [f"{RULE}r{n}" for n in range(50)]
    heavy = RULE + "file_permissions_ungroupowned"

    dealt = split.deal([[r] for r in [*light, heavy]], 2, order=[*light, heavy])

    assert (heavy,) in dealt
    assert sorted(sum(dealt, ())) == sorted([*light, heavy])


def test_what_asks_systemd_is_asked_by_one_process() -> None:
    services = [f"{RULE}service_s{n}_enabled" for n in range(10)]
    heavy = [RULE + "no_files_unowned_by_user", RULE + "dir_permissions_library_dirs"]

    dealt = split.deal([[r] for r in [*services, *heavy]], 2, order=[*services, *heavy])

    assert any(set(services) <= set(part) for part in dealt)


def test_there_is_no_empty_part() -> None:
    assert split.deal([["a"]], 4, order=["a"]) == (("a",),)


def test_every_rule_is_in_one_part_and_the_bytes_are_the_same_each_time() -> None:
    first, second = prepare(source(), "stig", parts=2), prepare(source(), "stig", parts=2)

    dealt = [r for p in first.parts for r in p.rule_ids]
    assert sorted(dealt) == sorted(r.rule_id for r in first.benchmark.rules)
    assert first == second
    assert first.content.source_sha256 == sha256_bytes(TINY) != first.content.derived_sha256
    assert all(p.sha256 in first.content.derivation for p in first.parts)


def test_a_fix_has_the_profiles_values_and_comes_in_the_benchmarks_order() -> None:
    wanted = [RULE + "four", RULE + "one"]

    found = remedies.remedies(xml.load(TINY, "tiny"), STIG, wanted, "tiny")

    assert [f.rule_id for f in found] == [RULE + "one", RULE + "four"]
    assert [f.script for f in found] == ["set 3!\n", "set 3!\n"]
    assert found[0].severity == "high"


def test_a_fix_for_a_rule_that_is_not_selected_is_refused() -> None:
    with pytest.raises(InputError, match=r"does not select .*_five"):
        remedies.remedies(xml.load(TINY, "tiny"), STIG, [RULE + "five"], "tiny")


def test_apts_answer_is_read() -> None:
    madison = (
        "ssg-nondebian | 0.1.82-1 | http://x/debian sid/main amd64 Packages\n"
        "ssg-nondebian | 0.1.76-1 | http://x/debian trixie/main amd64 Packages\n"
    )
    listed = (
        "Debian|bookworm-security|main|http://x/security/\n"
        "Other|bookworm|main|http://o/\nDebian|bookworm|main|http://x/debian/\n"
    )

    assert apt.newest_of(madison) == ("0.1.82-1", "sid")
    assert apt.found_archive(listed) == "http://x/debian/"
    assert apt.found_archive("") == ""


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
    assert apt.percentage(line) == percent


def test_apt_source_refuses_unsigned_metadata_whatever_the_machine_allows(tmp_path: Path) -> None:
    """A line's own options win over apt.conf.d, where a machine may allow it for its sources."""
    apt._private_apt(tmp_path, "http://x/debian")

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
def test_apts_refusal_of_a_signature_or_digest_is_no_failure_of_the_network(
    tail: str, is_untrusted: bool
) -> None:
    error = ToolError(["apt-get"], "exited with 100", tail=f"Get:1 http://x\n{tail}")

    if is_untrusted:
        with pytest.raises(TrustError, match="http://x: is not what Debian signed: apt-get says"):
            apt._refuse_untrusted(error, "http://x")
    assert bool(apt._UNTRUSTED.search(error.tail)) is is_untrusted
