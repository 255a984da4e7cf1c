"""report.html: its content, its content security policy, and that it works without its script."""

import base64
import hashlib
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from lxml import html as parser

from hardpan.scanners.model.scan import Evaluation, RuleResult, Scan, Verdict
from hardpan.scanners.report.html import charts, view_models
from hardpan.scanners.report.model import build
from hardpan.scanners.report.model.documents import MeasurePart, SmokeDocument
from hardpan.scanners.report.model.expected_signatures import ExpectedSignatures
from hardpan.scanners.report.model.scan_changes import AttributeChange, RuleChange, ScanChanges
from hardpan.scanners.report.registry import Report, load_renderer
from tests.tools import report_sample
from tests.unit.evidence import samples
from tests.unit.report.test_reports import hostile_scan, report_of

EVIL_ID = '"><script>alert(1)</script>'


def _render(report: Report) -> str:
    return load_renderer("html").render(report).decode()


def _render_scan(scan: Scan) -> str:
    return _render(report_of(scan))


def _parse(page: str) -> Any:
    return parser.fromstring(page)


def _text(tree: Any) -> str:
    return " ".join(" ".join(map(str, tree.itertext())).split())


def _scan_with_results(results: tuple[RuleResult, ...], **overrides: object) -> Scan:
    evaluation: Evaluation = replace(samples.scan().evaluation, results=results)
    return samples.scan(evaluation=evaluation, **overrides)


def test_hostile_text_adds_no_markup() -> None:
    page = _render_scan(hostile_scan())
    tree = _parse(page)

    assert not tree.xpath("//img | //iframe | //link | //object | //base | //form | //embed")
    assert len(tree.xpath("//script")) == 1
    assert not [a for e in tree.iter() for a in e.attrib if str(a).lower().startswith("on")]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("<script") == 1
    assert page.count("</script") == 1
    assert str(tree.xpath("string(//h1)")).startswith("Compliance scan of <script>alert(1)")


def test_csp_allows_only_embedded_style_and_script() -> None:
    page = _render_scan(samples.scan())
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    digests = [
        base64.b64encode(
            hashlib.sha256(
                page.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0].encode()
            ).digest()
        ).decode()
        for tag in ("style", "script")
    ]

    assert policy is not None
    assert policy[1] == (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    )


def test_page_loads_no_external_resources() -> None:
    page = _render(report_sample.add_changes(report_sample.load_sample()))
    tree = _parse(page)

    assert not tree.xpath(
        "//@style | //@src | //@srcset | //@data | //@xlink:href", namespaces={"xlink": "x"}
    )
    assert all(str(link).startswith("#") for link in tree.xpath("//@href"))
    assert "url(" not in page
    assert "@import" not in page


def test_links_resolve_and_ids_are_unique() -> None:
    tree = _parse(_render(report_sample.add_changes(report_sample.load_sample())))
    ids = [str(i) for i in tree.xpath("//@id")]

    assert len(ids) == len(set(ids))
    assert {str(link)[1:] for link in tree.xpath("//@href")} <= set(ids)


def test_heading_levels_are_not_skipped() -> None:
    tree = _parse(_render(report_sample.add_changes(report_sample.load_sample())))
    levels = [int(e.tag[1]) for e in tree.iter("h1", "h2", "h3", "h4")]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_trust_section_precedes_findings_and_names_the_key() -> None:
    page = _render_scan(samples.scan())
    trust = _parse(page).get_element_by_id("trust")

    assert page.index('id="verdict"') < page.index('id="trust"') < page.index('id="open"')
    assert "This report alone proves nothing" in _text(trust)
    assert f"sha256:{'ab' * 32}" in _text(trust)
    assert "hardpan verify FILE.evidence.zip" in _text(trust)
    assert "on (kernel flag) a setting of this host; it is not FIPS validation" in _text(trust)
    assert re.search(r"FIPS validation \d of 5 modules runs? a build", _text(trust))
    assert "FIPS validation not checked" in _text(_parse(_render_scan(samples.scan(fips=None))))


ECDSA = ExpectedSignatures(algorithm="ecdsa-p256-sha256")


@pytest.mark.parametrize(
    ("signatures", "rows"),
    [
        (
            ECDSA,
            {
                "Signing key": f"ecdsa-p256-sha256, sha256:{'ab' * 32}",
                "Second signature": "not expected the statement has no post-quantum signature",
                "Timestamp": "not expected only the signer states the signing time",
                "Host signature": "not expected only the scanning host states",
            },
        ),
        (
            replace(ECDSA, post_quantum="ml-dsa-87", has_timestamp=True, has_host_signature=True),
            {
                "Signing key": f"ecdsa-p256-sha256, sha256:{'ab' * 32}",
                "Second signature": "expected: ml-dsa-87, post-quantum",
                "Timestamp": "expected: RFC 3161 timestamp token over the signature",
                "Host signature": f"expected: with the host key {samples.HOST_KEY}",
            },
        ),
        (
            replace(ECDSA, algorithm="rsa-pkcs1v15-sha256", has_timestamp=True),
            {
                "Signing key": "rsa-pkcs1v15-sha256, sha256:",
                "Second signature": "not expected",
                "Timestamp": "expected: ",
                "Host signature": "not expected",
            },
        ),
    ],
)
def test_trust_section_lists_expected_signatures(
    signatures: ExpectedSignatures, rows: dict[str, str]
) -> None:
    page = _render(replace(report_of(samples.scan()), expected_signatures=signatures))
    trust = _parse(page).get_element_by_id("trust")
    text_by_term = dict(
        zip(map(_text, trust.xpath(".//dt")), map(_text, trust.xpath(".//dd")), strict=True)
    )

    assert {name: text_by_term[name][: len(prefix)] for name, prefix in rows.items()} == rows
    assert list(text_by_term)[:5] == [
        "Signing key",
        "Second signature",
        "Scan time",
        "Timestamp",
        "Host",
    ]
    assert "hardpan verify checks each one" in _text(trust)
    assert not re.search(r"\b(verified|valid|genuine)\b", _text(trust))


def test_trust_section_omits_unknown_signatures() -> None:
    trust = _parse(_render_scan(samples.scan())).get_element_by_id("trust")

    assert _text(trust.xpath(".//dd")[0]).startswith(f"sha256:{'ab' * 32}")
    assert "xpected" not in _text(trust)


def test_page_shows_baseline_current_open_and_waived() -> None:
    tree = _parse(_render_scan(samples.scan()))
    text = _text(tree)

    assert "✗ 2 open (1 waived until 2027-01-31) " in text
    assert (
        "Gate, which does not count waived rules ( --fail-on ): high, medium and low fail." in text
    )
    assert "1 open CAT I high 1 open CAT II 1 waived 0 open CAT III low" in _figures(tree)
    assert "Verdict Before After Change ✓ pass 0 1 +1 ✗ fail 3 2 -1" in text
    assert "PermitRootLogin yes" in text
    assert "echo 'PermitRootLogin no'" in text
    assert "needed by the build, see T-1" in text
    assert "41.23" in text
    assert "expected 22" in text


def _figures(tree: Any) -> str:
    """The figures of the verdict in reading order, number first."""
    return " ".join(
        f"{_text(d.xpath('.//dd')[0])} {_text(d.xpath('.//dt')[0])}"
        for d in tree.xpath("//*[@id='verdict']//dl/div")
    )


@pytest.mark.parametrize(
    ("results", "stig", "look", "title"),
    [
        ((1,), False, "good", "✓ None open"),
        ((1, 5), False, "warn", "! None open; 1 rule not checked"),
        ((1,), True, "warn", "! None open; 445 STIG requirements not reviewed"),
        ((1, 3), False, "bad", "✗ 1 open (all waived until 2027-01-31)"),
    ],
)
def test_verdict_is_green_only_if_nothing_is_open_or_unchecked(
    results: tuple[int, ...], stig: bool, look: str, title: str
) -> None:
    scan = _scan_with_results(tuple(samples.RULES[n - 1] for n in results), checks=())
    if not stig:
        scan = replace(scan, evaluation=replace(scan.evaluation, benchmark_id="x"))
    (line,) = _parse(_render_scan(scan)).xpath("//p[starts-with(@class,'verdict ')]")

    assert (line.get("class"), _text(line)) == (f"verdict {look}", title)


def test_page_without_open_rules() -> None:
    text = _render_scan(_scan_with_results(samples.RULES[:1], baseline_counts=None))

    assert "None. Every selected rule passes" in text
    assert "Before and after" not in text


def test_open_rules_are_sorted_by_category_and_listed_once() -> None:
    results = (
        samples.rule(1, Verdict.FAIL, severity="low"),
        samples.rule(2, Verdict.ERROR, severity="high"),
        samples.rule(3, Verdict.UNKNOWN, severity="medium"),
        samples.rule(4, Verdict.NOT_CHECKED, severity="high"),
    )
    tree = _parse(_render_scan(_scan_with_results(results, waivers={})))
    headings = [_text(h) for h in tree.xpath("//section[@id='open']//h3")]

    assert headings == [
        "CAT I, severity high 1",
        "CAT II, severity medium 1",
        "CAT III, severity low 1",
    ]
    assert [str(i)[-4:] for i in tree.xpath("//details[@class='rule']/summary/@id")] == [
        "r002", "r003", "r001", "r004",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ids", "anchors"),
    [
        (("xccdf_a_rule_b", "xccdf_a_rule_c"), ("xccdf_a_rule_b", "xccdf_a_rule_c")),
        (("xccdf_a_rule_b", "xccdf_a_rule_b"), ("xccdf_a_rule_b", "rule-2")),
        (("theme", "filter", "__proto__"), ("rule-1", "rule-2", "rule-3")),
        (("rule-2", "x"), ("rule-1", "rule-2")),
        (("xccdf_a b", EVIL_ID, ""), ("rule-1", "rule-2", "rule-3")),
        (("xccdf_" + "a" * 300,), ("rule-1",)),
    ],
)
def test_rule_anchors_are_unique(ids: tuple[str, ...], anchors: tuple[str, ...]) -> None:
    rule = build.build_findings(samples.scan()).rules[0]
    rule_rows = view_models.build_rows(
        [rule.model_copy(update={"rule_id": i}) for i in ids], samples.FINISHED
    )

    assert tuple(r.anchor for r in rule_rows) == anchors


@pytest.mark.parametrize(
    ("expires", "active", "verdict", "state", "expected_text"),
    [
        ("2027-01-31", True, "fail", "active", "active"),
        ("2026-12-21", True, "fail", "expiring", "expires 30 days after the scan"),
        ("2026-12-22", True, "fail", "active", "active"),
        ("2026-11-22", True, "error", "expiring", "expires 1 day after the scan"),
        ("2026-11-21", True, "fail", "expiring", "expires on the day of the scan"),
        ("2026-11-20", False, "fail", "expired", "expired 1 day before the scan: the rule is open"),
        (
            "2026-11-11",
            False,
            "fail",
            "expired",
            "expired 10 days before the scan: the rule is open",
        ),
        ("2027-01-31", True, "pass", "unused", "not needed: the rule did not fail"),
        ("2026-01-31", False, "pass", "unused", "not needed: the rule did not fail"),
        ("2026-02-31", False, "fail", "expired", "expired 1 day before the scan: the rule is open"),
    ],
)
def test_waiver_state_is_relative_to_scan_date(
    expires: str, active: bool, verdict: str, state: str, expected_text: str
) -> None:
    rule = build.build_findings(samples.scan()).rules[2]
    assert rule.waiver is not None
    part = rule.waiver.model_copy(update={"expires": expires, "is_active": active})
    changed_rule = rule.model_copy(update={"verdict": verdict, "waiver": part})
    (row,) = view_models.build_rows([changed_rule], samples.FINISHED)

    assert row.waiver is not None
    assert (row.waiver.state, row.waiver.expiry_text) == (state, expected_text)


def test_rule_with_expired_waiver_is_open_and_marked() -> None:
    expired = replace(samples.WAIVER, expires="2026-11-20", is_active=False)
    tree = _parse(_render_scan(samples.scan(waivers={samples.RULES[2].rule_id: expired})))
    open_section = tree.get_element_by_id("open")

    assert "waiver expired 2026-11-20" in _text(open_section)
    assert "expired 1 day before the scan: the rule is open" in _text(
        tree.get_element_by_id("waivers")
    )
    assert not tree.xpath("//*[contains(@class,'group waived')]")


def test_evidence_lines_are_parsed_and_limited() -> None:
    lines = ("[true] a", "[false] b", "[not evaluated] c", "file: d", *(f"e{n}" for n in range(30)))
    (row,) = view_models.build_rows(
        [
            build.build_findings(samples.scan())
            .rules[1]
            .model_copy(update={"evidence_lines": lines})
        ],
        samples.FINISHED,
    )

    assert [(e.truth, e.text) for e in row.evidence[:4]] == [
        ("true", "a"), ("false", "b"), ("not evaluated", "c"), ("", "file: d"),
    ]  # fmt: skip
    assert row.omitted_lines == 4
    page = _render_scan(_scan_with_results((samples.rule(1, Verdict.FAIL, evidence_lines=lines),)))
    assert "and 4 more in findings.json" in page
    assert "e25" in page
    assert "e26" not in page


def test_compatibility_results_show_both_checks_failures_first() -> None:
    tree = _parse(_render_scan(samples.scan(compatibility=samples.COMPATIBILITY)))
    text = _text(tree.get_element_by_id("compatibility"))

    assert "1 pass, 1 fail, 1 could not be tested completely, 1 do not apply" in text
    assert "of hardpan-llm.service; user ai-llm" in text
    assert "observed 3 packets" in text
    assert "expected a state" in text
    order = ["About perf", "About egress", "About audit", "About tmp-noexec", "About nouveau"]
    assert [_text(n) for n in tree.xpath("//*[@id='compatibility']//*[@class='name']")] == order


def test_fips_certificates_are_listed_only_if_checked() -> None:
    page = _text(_parse(_render_scan(samples.scan())))

    assert "is listed on certificate #5116" in page
    assert "validated #5116" in page
    assert "available: yes, negotiated: no ecdh-sha2-nistp256 , validated: no" in page
    older = _render_scan(samples.scan(fips=None))
    assert "The certificates of the modules were not checked" in older


def test_changes_section_requires_previous_scan() -> None:
    report = report_of(samples.scan())
    removed_rule = RuleChange(
        rule_id=EVIL_ID,
        title=EVIL_ID,
        severity="high",
        stig_ids=(),
        baseline="fail",
        current=None,
        waived=False,
    )
    failing_rule = removed_rule.model_copy(
        update={
            "rule_id": samples.RULES[1].rule_id,
            "title": "Two",
            "baseline": "notchecked",
            "current": "fail",
            "waived": True,
        }
    )
    changes = ScanChanges(
        since="2026-10-01T00:00:00Z",
        statement_sha256="ab" * 32,
        newly_failing=(failing_rule,),
        other=(removed_rule,),
        attributes=(AttributeChange(name="kernel", baseline="6.1", current="6.12"),),
    )
    text = _text(_parse(_render(replace(report, changes=changes))).get_element_by_id("changes"))

    assert 'id="changes"' not in _render(report)
    assert f"finished 2026-10-01 00:00:00 UTC, statement sha256:{'ab' * 32} ." in text
    assert "hardpan verified that evidence before it rendered this section" in text
    assert "Newly failing 1 CAT I Two not checked → fail, waived Fixed 0 None." in text
    assert f"{EVIL_ID} fail → not scanned" in text
    assert "kernel 6.12 was 6.1" in text


def test_bar_segments_fill_the_bar() -> None:
    parts = charts.build_segments({"pass": 1, "fail": 1, "fixed": 1})

    assert [(p.verdict, p.n) for p in parts] == [("pass", 2), ("fail", 1)]
    assert sum(p.width for p in parts) == pytest.approx(100, abs=0.01)
    assert charts.build_segments({}) == ()


def _smoke_with_measures(
    *measures: tuple[str, float | None, float | None, float | None],
) -> SmokeDocument:
    document = build.build_smoke_document(samples.SMOKE)
    parts = tuple(
        MeasurePart(
            name=f"m{n}", unit=unit, direction="lower", value=value, n=3, minimum=low,
            maximum=high, verdict="pass", reason="",
        )
        for n, (unit, value, low, high) in enumerate(measures)
    )  # fmt: skip
    return document.model_copy(update={"measures": parts})


def test_measures_of_the_same_unit_share_an_axis() -> None:
    ms, rate = charts.build_charts(
        _smoke_with_measures(
            ("ms", 645.6, 600, 700), ("texts/s", 0.5, 0.4, 0.6), ("ms", 1500, 1400, 1900)
        )
    )

    assert (ms.unit, ms.axis_end, rate.axis_end) == ("ms", "2,000", "0.6")
    assert [(s.median_percent, s.low_percent, s.high_percent) for s in ms.bars] == [
        (32.28, 30, 35),
        (75, 70, 95),
    ]
    assert ms.description == (
        "Medians in ms, from 0 to 2,000. m0: 645.6 (600 to 700); m2: 1,500 (1,400 to 1,900)"
    )
    assert ms.direction_label == "lower is better"


@pytest.mark.parametrize(
    ("value", "top"),
    [
        (None, "1"),
        (0, "1"),
        (-5, "1"),
        (1e-9, "1e-09"),
        (7, "8"),
        (2**53, "10,000,000,000,000,000"),
    ],
)
def test_axis_handles_extreme_values(value: float | None, top: str) -> None:
    (chart,) = charts.build_charts(_smoke_with_measures(("x", value, None, None)))

    assert chart.axis_end == top
    assert all(0 <= v <= 100 for v in (chart.bars[0].low_percent, chart.bars[0].high_percent))
    assert (chart.bars[0].median_percent is None) == (value is None)


def test_charts_have_aria_labels() -> None:
    tree = _parse(_render(report_sample.load_sample()))
    labels = [str(x) for x in tree.xpath("//*[@id='workload']//svg[@role='img']/@aria-label")]

    assert len(labels) == 3
    assert "chat, time to first token: 645.6 (611.2 to 702.9)" in labels[1]


def test_docs_sample_is_anonymized() -> None:
    text = report_sample.load_sample().findings.model_dump_json()

    assert "inference-07" in text
    assert not re.search(r"hardpan-lab[^-]*\"hostname|267dc4cd|30cbbfe7", text)
