"""Results of DISA's own SCAP content give the same checklists as those of upstream's content."""

import json
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import cycle

import pytest

from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.content.benchmark import read_benchmark
from hardpan.scanners.content.scap_xml import parse_data_stream
from hardpan.scanners.model.scan import Verdict
from hardpan.scanners.openscap import evaluate
from hardpan.scanners.openscap.arf.results import ArfRuleResult
from hardpan.scanners.report.registry import Report, load_renderer
from hardpan.scanners.report.stig.checklist_model import assess_requirements
from hardpan.scanners.stig.manual_stig import StigRequirement
from tests.content_differential.disa import DISA
from tests.content_differential.stream import (
    OVAL_SYSTEM,
    data_stream,
    definition_id,
    element,
    file_oval,
)
from tests.unit.evidence import samples
from tests.unit.report import stig_samples
from tests.unit.report.test_reports import report_of

_UPSTREAM = "xccdf_org.ssgproject.content_"
_PROFILE = "profile_x"
_HREFS = {
    "https://www.cyber.mil/stigs/srg-stig-tools/": "rule_id",
    "https://www.cyber.mil/stigs/downloads/?_dl_facet_stigs=operating-systems%2Cunix-linux": (
        "stig_id"
    ),
}
_NIST_HREF = "http://nvlpubs.nist.gov/nistpubs/SpecialPublications/NIST.SP.800-53r4.pdf"
# The first requirement has an older revision, the last one is not in the content.
_REQUIREMENTS = (
    replace(stig_samples.HIGH, rule_id="SV-257777r1_rule"),
    *stig_samples.stig().requirements[1:-1],
    replace(stig_samples.MEDIUM, group_id="V-1", rule_id="SV-1r1_rule", stig_id="RHEL-09-1"),
)


def _upstream_rule(requirement: StigRequirement) -> str:
    references = "".join(
        element("reference", getattr(requirement, field), href=href)
        for href, field in _HREFS.items()
    )
    references += "".join(
        element("reference", place, href=_NIST_HREF)
        for place in stig_samples.stig().references_of(requirement.ccis)
    )
    return _rule(f"{_UPSTREAM}rule_{_name(requirement)}", "medium", "", references)


def _disa_rule(requirement: StigRequirement) -> str:
    idents = "".join(
        element("ident", cci, system="http://cyber.mil/cci") for cci in requirement.ccis
    )
    rule = _rule(
        f"{DISA}rule_{requirement.rule_id}",
        requirement.severity,
        element("version", requirement.stig_id),
        idents,
    )
    return element(
        "Group",
        f"<title>{requirement.group_title}</title>{rule}",
        id=f"{DISA}group_{requirement.group_id}",
    )


def _rule(rule_id: str, severity: str, version: str, identifiers: str) -> str:
    reference = element("check-content-ref", href="t-oval.xml", name=definition_id("root"))
    check = element("check", reference, system=OVAL_SYSTEM)
    content = f"{version}<title>T</title><description>D</description>{identifiers}{check}"
    return element("Rule", content, id=rule_id, severity=severity, selected="true")


def _name(requirement: StigRequirement) -> str:
    return f"check_{requirement.group_id.removeprefix('V-')}"


@cache
def _report(form: str) -> Report:
    """Return the report of content in one form; the verdicts are the same in both."""
    prefix, benchmark, render = {
        "upstream": (_UPSTREAM, "benchmark_RHEL-9", _upstream_rule),
        "disa": (DISA, "benchmark_RHEL_9_STIG", _disa_rule),
    }[form]
    content = (
        f'<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.2" id="{prefix}{benchmark}">'
        '<status date="2026-07-01">accepted</status><title>B</title><version>1</version>'
        f'<Profile id="{prefix}{_PROFILE}"><title>P</title></Profile>'
        f"{''.join(map(render, _REQUIREMENTS))}</Benchmark>"
    )
    stream = data_stream(content, {"t-oval.xml": file_oval(("root",))}, {})
    bench = read_benchmark(parse_data_stream(stream, form), f"{prefix}{_PROFILE}", form)
    verdicts = cycle(v for v in Verdict if v is not Verdict.NOT_SELECTED)
    results = {
        rule.rule_id: ArfRuleResult(
            rule_id=rule.rule_id,
            verdict=verdict,
            severity=rule.severity,
            engine="OVAL",
            evidence_lines=("/etc/x: mode 0644",),
            incomplete=False,
        )
        for rule, verdict in zip(bench.rules, verdicts, strict=False)
    }
    evaluation = replace(
        samples.scan().evaluation,
        benchmark_id=bench.benchmark_id,
        results=evaluate._build_results(bench, results),
    )
    waivers = {r.rule_id: samples.WAIVER for r in evaluation.results[:20]}
    return report_of(samples.scan(evaluation=evaluation, waivers=waivers))


def _render(form: str, name: str) -> str:
    """Render a format; the names of DISA's rules are replaced by those of upstream's."""
    text = load_renderer(name).render(_report(form)).decode()
    if form == "disa":
        for requirement in _REQUIREMENTS:
            rule_id = f"{DISA}rule_{requirement.rule_id}"
            text = text.replace(rule_id, f"{_UPSTREAM}rule_{_name(requirement)}")
            # Not the SV id alone, which is in the rows themselves.
            for before, after in (("", ": "), ("", " ("), ("Waiver for ", "")):
                short = f"{before}{shorten_id(rule_id)}{after}"
                text = text.replace(short, f"{before}{_name(requirement)}{after}")
    return text


def test_content_covers_all_statuses_of_a_checklist() -> None:
    for form in ("upstream", "disa"):
        report = _report(form)
        assessed = assess_requirements(report.findings, stig_samples.stig())

        assert len(report.findings.rules) == len(_REQUIREMENTS) == 445
        assert set(Counter(a.status for a in assessed).values()) - {0, 1}
        assert assessed[0].outdated_rule_ids == ("SV-257777r1_rule",)
        assert assessed[-1].rules == ()


@pytest.mark.parametrize("name", ["ckl", "cklb"])
def test_checklists_of_both_forms_are_equal(name: str) -> None:
    assert _render("disa", name) == _render("upstream", name)


def test_hdf_controls_of_both_forms_are_equal() -> None:
    profiles = [json.loads(_render(form, "hdf"))["profiles"] for form in ("upstream", "disa")]
    by_id = [{c["id"]: c for c in profile[0]["controls"]} for profile in profiles]
    # The rule without a requirement in the release is a control of its own.
    extra = [controls.popitem()[1] for controls in by_id]

    assert by_id[0] == by_id[1]
    assert len(by_id[0]) == 445
    for control in by_id[1].values():
        tags = control["tags"]
        assert all(tags[k] for k in ("gid", "rid", "stig_id", "gtitle", "cci", "nist", "severity"))
        assert [d["label"] for d in control["descriptions"] if d["data"]] == ["check", "fix"]
    places = list(stig_samples.stig().references_of(stig_samples.MEDIUM.ccis))
    assert [c["tags"]["nist"] for c in extra] == [places, places]


def test_oscal_controls_of_both_forms_are_equal() -> None:
    targets = []
    for form in ("upstream", "disa"):
        (result,) = json.loads(_render(form, "oscal-ar"))["assessment-results"]["results"]
        targets.append(Counter(f["target"]["target-id"] for f in result["findings"]))

    assert targets[0] == targets[1]
    assert not [t for t in targets[1] if t.startswith("rule_")]
    assert targets[1]["cm-6_smt.b"] > 50


def test_both_forms_report_that_the_release_differs() -> None:
    for form in ("upstream", "disa"):
        target = json.loads(_render(form, "cklb"))["target_data"]

        assert (
            "Warning: the content does not follow RHEL_9_STIG V2R9 of 2026-07-01: it checks "
            "another revision of 1 requirement (V-257777) and 1 requirement that it does not have "
            "(V-1)."
        ) in target["comments"]
