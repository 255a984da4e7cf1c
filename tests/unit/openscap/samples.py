"""ARFs in the small, and content that goes with them."""

from hardpan.core.files import Sha256
from hardpan.scanners.content.benchmark import Benchmark, BenchmarkRule
from hardpan.scanners.content.prepare import PreparedContent, StreamPart
from hardpan.scanners.model.scan import ContentOrigin, ScapContent, Verdict
from hardpan.scanners.openscap.arf.results import Arf, ArfRuleResult

NONE = Sha256("0" * 64)

ARF = """<?xml version="1.0"?>
<arf:asset-report-collection xmlns:arf="http://scap.nist.gov/schema/asset-reporting-format/1.1">
<arf:reports><arf:report id="xccdf1"><arf:content>
<TestResult xmlns="http://checklists.nist.gov/xccdf/1.2" version="0.1.82"
 start-time="2026-11-21T05:00:00+00:00" end-time="2026-11-21T05:01:00+00:00">
<profile idref="stig"/><platform idref="cpe:/o:rocky:rocky:9"/>
<rule-result idref="one"><result>fail</result><check
 system="http://oval.mitre.org/XMLSchema/oval-definitions-5">
 <check-content-ref href="#oval0" name="d1"/></check></rule-result>
<rule-result idref="two"><result>notselected</result></rule-result>
<rule-result idref="three"><result>pass</result><message>odd \x85 words</message>
 <check system="http://open-scap.org/page/SCE"><check-import import-name="stdout">line 1
line 2</check-import><check-content-ref href="#x"/></check></rule-result>
<score system="urn:xccdf:scoring:default" maximum="100">50.5</score></TestResult>
</arf:content></arf:report>
<arf:report id="oval0"><arf:content>
<oval_results xmlns="http://oval.mitre.org/XMLSchema/oval-results-5">
<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5"><tests>
<file_test id="t1" comment="the mode of /etc/x is 0600"/></tests></oval_definitions>
<results><system><definitions><definition definition_id="d1"><criteria>
<extend_definition definition_ref="d2"/></criteria></definition>
<definition definition_id="d2"><criteria><criterion test_ref="t1"/></criteria></definition>
</definitions><tests><test test_id="t1" result="false"><tested_item item_id="7"/></test></tests>
<oval_system_characteristics
 xmlns="http://oval.mitre.org/XMLSchema/oval-system-characteristics-5"><collected_objects>
<object id="o1" flag="FLAG"><reference item_ref="7"/></object></collected_objects><system_data>
<file_item id="7"><filepath>/etc/x</filepath><type>regular</type></file_item></system_data>
</oval_system_characteristics></system></results></oval_results>
</arf:content></arf:report></arf:reports></arf:asset-report-collection>
"""


def make_rule(rule_id: str, *groups: str) -> BenchmarkRule:
    return BenchmarkRule(
        rule_id=rule_id,
        title=f"Title of {rule_id}",
        severity="medium",
        weight=1.0,
        groups=tuple((g, 1.0) for g in groups),
        has_check=True,
        stig_ids=("RHEL-09-1",),
    )


def make_prepared(rules: tuple[BenchmarkRule, ...], *parts: tuple[str, ...]) -> PreparedContent:
    content = ScapContent(
        name="x-ds.xml",
        version="1",
        source_sha256=NONE,
        derived_sha256=NONE,
        origin="",
        origin_kind=ContentOrigin.FILE,
        date="",
        derivation="",
    )
    bench = Benchmark(
        benchmark_id="b",
        version="1",
        profile_id="stig",
        rules=rules,
        platforms=("cpe:/o:rocky:rocky:9",),
    )
    stream_parts = tuple(StreamPart(data=b"", sha256=NONE, rule_ids=ids) for ids in parts)
    untouched = StreamPart(data=b"<whole/>", sha256=NONE, rule_ids=tuple(r.rule_id for r in rules))
    return PreparedContent(
        content=content, benchmark=bench, parts=stream_parts, untouched=untouched
    )


def make_arf(*, incomplete: bool = False, **verdicts: str) -> Arf:
    return Arf(
        benchmark_version="1",
        profile_id="stig",
        started="2026-11-21T05:00:00+00:00",
        finished="2026-11-21T05:01:00+00:00",
        score=0.0,
        rules={
            k: ArfRuleResult(
                rule_id=k,
                verdict=Verdict(v),
                severity="medium",
                engine="OVAL",
                evidence_lines=(),
                incomplete=incomplete,
            )
            for k, v in verdicts.items()
        },
        not_selected=(),
        values={},
        platforms=(),
    )
