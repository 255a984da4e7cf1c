"""A tailoring in YAML or XCCDF: its ids, its effect, and what it does not say."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from hardpan.core.errors import InputError
from hardpan.core.files import sha256_bytes
from hardpan.scanners.content.datastream import ContentSource, from_file
from hardpan.scanners.deviations.tailoring import find_base_profile, prepare_content
from hardpan.scanners.deviations.tailoring_file import load_tailoring
from hardpan.scanners.model.tailoring import Tailoring
from tests.unit.content.minimal_datastream import MINIMAL_DATASTREAM, PROFILE, RULE

XCCDF = "http://checklists.nist.gov/xccdf/1.2"
YAML = """\
title: Web servers
author: security officer
extends: stig
unselect:
  four: Another tool does this.
select:
  five: The vendor recommends it.
set:
  v_limit: {value: 12, reason: Longer than the benchmark's.}
severity:
  one: {severity: low, reason: Not reachable.}
"""
XML = f"""\
<Tailoring xmlns="{XCCDF}" id="xccdf_site_tailoring_web">
 <benchmark href="/usr/share/xml/scap/ssg/content/x-ds.xml"/>
 <version time="2026-11-30T00:00:00">3</version>
 <metadata><dc:creator xmlns:dc="http://purl.org/dc/elements/1.1/">web team</dc:creator></metadata>
 <Profile id="xccdf_site_profile_web" extends="{PROFILE}stig"><title>Web</title>
  <select idref="{RULE}four" selected="false"><remark>No reason to check.</remark></select>
  <select idref="g_c" selected="true"/>
  <select idref="{RULE}five" selected="true"/>
  <refine-value idref="v_limit" selector=""/>
 </Profile>
</Tailoring>
"""

Write = Callable[[str], Path]


@pytest.fixture
def source(tmp_path: Path) -> ContentSource:
    path = tmp_path / "x-ds.xml"
    path.write_bytes(MINIMAL_DATASTREAM)
    return from_file(path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str) -> Path:
        path = tmp_path / ("t.xml" if text.startswith("<") else "t.yaml")
        path.write_text(text)
        return path

    return write_file


def tailor(source: ContentSource, path: Path, requested: str = "") -> Tailoring:
    file = load_tailoring(path)
    base = find_base_profile(file, requested)
    content = prepare_content(source, base or "stig", file, requested, part_count=2)
    tailoring = content.content.tailoring
    assert tailoring is not None
    assert tailoring.sha256 == sha256_bytes(tailoring.data)
    assert content.benchmark.profile_id == tailoring.profile_id
    return tailoring


def error_of(source: ContentSource, path: Path, requested: str = "") -> str:
    with pytest.raises(InputError) as e:
        tailor(source, path, requested)
    return str(e.value).replace(f"{path.parent}/", "")


def test_yaml_tailoring_changes_rules_values_and_severities(
    source: ContentSource, write: Write
) -> None:
    tailoring = tailor(source, write(YAML))

    assert (tailoring.file, tailoring.format, tailoring.author) == (
        "t.yaml",
        "yaml",
        "security officer",
    )
    assert (tailoring.base_profile_id, tailoring.profile_id, tailoring.title) == (
        PROFILE + "stig",
        PROFILE + "stig_tailored",
        "Web servers",
    )
    assert [(r.rule_id, r.reason) for r in tailoring.selected] == [
        (RULE + "five", "The vendor recommends it.")
    ]
    assert [(s.name, s.rule_id, s.base, s.value, s.reason) for s in tailoring.settings] == [
        ("v_limit", "", "3", "12", "Longer than the benchmark's."),
        ("severity", RULE + "one", "high", "low", "Not reachable."),
    ]


def test_rule_that_follows_from_another_is_listed_with_that_reason(
    source: ContentSource, write: Write
) -> None:
    """Rule three excludes rule five."""
    tailoring = tailor(source, write(YAML))

    assert [(r.rule_id, r.reason) for r in tailoring.unselected] == [
        (RULE + "three", "it requires or excludes another rule, which is tailored"),
        (RULE + "four", "Another tool does this."),
    ]


def test_rules_have_the_disa_ids_of_their_requirements(source: ContentSource, write: Write) -> None:
    tailoring = tailor(source, write("unselect: {one: Not here., two: Not here.}\n"), "stig")

    assert [(r.rule_id, r.sv_ids) for r in tailoring.unselected] == [
        (RULE + "one", ("SV-1r1_rule",)),
        (RULE + "two", ("SV-1r1_rule",)),
    ]


def test_yaml_tailoring_without_extends_changes_the_profile_of_the_scan(
    source: ContentSource, write: Write
) -> None:
    path = write("unselect: {five: Not here., '*one': Not here.}\nselect: {four: Here.}\n")

    tailoring = tailor(source, path, "other")

    assert tailoring.base_profile_id == PROFILE + "other"
    assert tailoring.author == ""
    assert [r.rule_id for r in tailoring.unselected] == [RULE + "five"]


def test_yaml_tailoring_may_select_a_group_or_a_selector(
    source: ContentSource, write: Write
) -> None:
    text = (
        "extends: stig\nunselect: {g_b: Not used.}\nset: {v_limit: {selector: strict, reason: x}}\n"
    )

    tailoring = tailor(source, write(text))

    assert [(r.rule_id, r.reason) for r in tailoring.unselected] == [(RULE + "four", "Not used.")]
    assert tailoring.settings == ()


def test_xccdf_tailoring_has_author_version_and_reasons(
    source: ContentSource, write: Write
) -> None:
    tailoring = tailor(source, write(XML))

    assert (tailoring.format, tailoring.author, tailoring.title) == ("xccdf", "web team", "Web")
    assert tailoring.version == "3 of 2026-11-30T00:00:00"
    assert [(r.rule_id, r.reason) for r in tailoring.unselected][1:] == [
        (RULE + "four", "No reason to check.")
    ]
    assert [(r.rule_id, r.reason) for r in tailoring.selected] == [(RULE + "five", "")]
    assert [(s.name, s.base, s.value) for s in tailoring.settings] == [("v_limit", "3", "9")]
    assert tailoring.notes == (
        "ignored the benchmark that the tailoring names: /usr/share/xml/scap/ssg/content/x-ds.xml",
    )


def test_setting_that_oscap_skips_is_noted(source: ContentSource, write: Write) -> None:
    text = XML.replace('selected="true"/>\n  <select', 'selected="true"/><select')

    tailoring = tailor(source, write(text))

    assert tailoring.selected == ()
    assert tailoring.notes[-1] == (
        f"ignored select {RULE}five in line 7, as OpenSCAP does: there is no white space before it"
    )


def test_profile_with_the_id_of_its_base_is_compared_with_the_benchmark(
    source: ContentSource, write: Write
) -> None:
    text = XML.replace("xccdf_site_profile_web", PROFILE + "stig")

    tailoring = tailor(source, write(text), "stig")

    assert tailoring.profile_id == tailoring.base_profile_id == PROFILE + "stig"
    assert RULE + "four" in {r.rule_id for r in tailoring.unselected}


def test_profile_without_a_base_has_nothing_to_compare_with(
    source: ContentSource, write: Write
) -> None:
    tailoring = tailor(source, write(XML.replace(f' extends="{PROFILE}stig"', "")))

    assert (tailoring.base_profile_id, tailoring.unselected, tailoring.selected) == ("", (), ())


def test_tailoring_in_a_data_stream_is_extracted(source: ContentSource, write: Write) -> None:
    head = "<s:data-stream-collection xmlns:s='http://scap.nist.gov/schema/scap/source/1.2'>"
    component = f"<s:component id='c'>{XML}</s:component>"
    path = write(f"{head}{component}</s:data-stream-collection>")

    tailoring = tailor(source, path)

    assert etree.fromstring(tailoring.data).tag == f"{{{XCCDF}}}Tailoring"
    assert tailoring.profile_id == "xccdf_site_profile_web"


SECOND = (
    '<Profile id="xccdf_site_profile_db" extends="xccdf_site_profile_web">'
    "<title>D</title></Profile>"
)


@pytest.mark.parametrize(
    ("requested", "profile_id"),
    [
        ("web", "xccdf_site_profile_web"),
        ("db", "xccdf_site_profile_db"),
        ("xccdf_site_profile_db", "xccdf_site_profile_db"),
    ],
)
def test_profile_is_chosen_by_id_or_short_name(
    source: ContentSource, write: Write, requested: str, profile_id: str
) -> None:
    path = write(XML.replace("</Tailoring>", SECOND + "</Tailoring>"))

    tailoring = tailor(source, path, requested)

    assert (tailoring.profile_id, tailoring.base_profile_id) == (profile_id, PROFILE + "stig")


@pytest.mark.parametrize(
    ("requested", "problem"),
    [
        ("", "t.xml: expected one profile, got 2"),
        ("stig", "t.xml: expected one profile 'stig' or one that extends it, got 2"),
        ("cis", "t.xml: expected one profile 'cis' or one that extends it, got 0"),
    ],
)
def test_ambiguous_or_unknown_profile_lists_those_of_the_tailoring(
    source: ContentSource, write: Write, requested: str, problem: str
) -> None:
    path = write(XML.replace("</Tailoring>", SECOND + "</Tailoring>"))

    with pytest.raises(InputError) as e:
        tailor(source, path, requested)

    assert str(e.value).endswith(problem)
    assert e.value.hint == "choose with --profile: web, db"


def test_every_missing_id_of_yaml_is_reported_with_near_matches(
    source: ContentSource, write: Write
) -> None:
    text = """\
extends: stig
unselect:
  foru: x
  RHEL-09-999999: x
set:
  v_limt: {value: 1, reason: x}
  v_limit: {selector: stict, reason: x}
severity:
  g_a: {severity: low, reason: x}
"""

    assert error_of(source, write(text)).splitlines() == [
        "t.yaml:3:9: unselect.foru: no such rule or group; did you mean four?",
        "t.yaml:4:19: unselect.RHEL-09-999999: no such rule or group",
        "t.yaml:6:3: set.v_limt: no such value; did you mean v_limit?",
        "t.yaml:7:3: set.v_limit: no selector 'stict'; it has: strict",
        "t.yaml:9:3: severity.g_a: no such rule",
    ]


def test_rule_with_two_entries_is_an_error(source: ContentSource, write: Write) -> None:
    text = f"extends: stig\nunselect: {{four: x}}\nselect: {{{RULE}four: y}}\n"

    assert "four is set by unselect.four too" in error_of(source, write(text))


def test_every_missing_id_of_xccdf_is_reported_with_its_line(
    source: ContentSource, write: Write
) -> None:
    text = XML.replace(f"{RULE}four", f"{RULE}foru").replace('idref="v_limit"', 'idref="g_a"')
    text = text.replace(f'extends="{PROFILE}stig"', f'extends="{PROFILE}stg"')

    assert error_of(source, write(text)).splitlines() == [
        f"t.xml:5: extends: no profile {PROFILE}stg; did you mean {PROFILE}stig?",
        f"t.xml:6: select: no Rule or Group {RULE}foru; did you mean {RULE}four?",
        "t.xml:9: refine-value: g_a: expected a Value, got a Group",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("unselect: {four: }\n", "t.yaml:1:12: unselect.four: expected text"),
        ("unselect: [four]\n", "unselect: expected settings as 'name: value'"),
        ("set: {v_limit: {value: 3}}\n", "set.v_limit.reason: is missing"),
        ("set: {v_limit: {reason: x}}\n", "set.v_limit: expected one of value and selector"),
        ("set: {v_limit: {value: true, reason: x}}\n", "set.v_limit.value: expected text"),
        ("severity: {one: high}\n", "severity.one: expected settings as 'name: value'"),
        ("severity: {one: {severity: worst, reason: x}}\n", "severity.one.severity: expected high"),
        ("remove: {four: x}\n", "t.yaml:1:1: remove: unknown setting"),
        ("title: x\n", "expected unselect, select, set or severity"),
        ("extends: other\nunselect: {five: x}\n", "t.yaml:1:10: extends: expected stig, the"),
        ("<Tailoring/>", "t.xml: expected one XCCDF 1.2 Tailoring, got <Tailoring>"),
        ("<Tailoring", "t.xml: not XML"),
        ("<!DOCTYPE x><x/>", "t.xml: has a DOCTYPE"),
    ],
)
def test_invalid_file_is_rejected(
    source: ContentSource, write: Write, text: str, problem: str
) -> None:
    assert problem in error_of(source, write(text), "stig")
