import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import pytest
from lxml import etree

from hardpan.errors import InputError
from hardpan.identifiers import OSCAL_NAMESPACE
from hardpan.scanners.model import HostKeyTrust, Scan, Verdict
from hardpan.scanners.report import fill, summary
from hardpan.scanners.report.base import FORMATS, Report, renderer
from hardpan.scanners.report.fields import HOST_KEY_TRUST
from hardpan.scanners.report.literal import inline
from hardpan.scanners.trials import Check, Held, Paired, PairVerdict
from tests.unit.evidence import samples

DOCS = Path(__file__).parents[3] / "docs" / "formats.md"
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b\x00&amp;]]>"


def report_of(scan: Scan) -> Report:
    return Report(
        findings=fill.findings(scan),
        smoke=None if scan.smoke is None else fill.smoke(scan.smoke),
        signer_sha256="ab" * 32,
        predicate_type="https://example.org/x",
    )


def evil() -> Scan:
    host: dict[str, Any] = {
        f.name: EVIL for f in fields(samples.HOST) if f.name != "fips_kernel_flag"
    }
    rules = tuple(
        samples.rule(
            n,
            verdict,
            title=EVIL,
            cce=EVIL,
            found=(EVIL,),
            rationale=EVIL,
            fix_text=EVIL,
            nist=(EVIL,),
            stig_ids=(EVIL,),
            sv_ids=(EVIL,),
            engine=EVIL,
        )
        for n, verdict in enumerate(Verdict)
        if verdict is not Verdict.NOT_SELECTED
    )
    assert samples.SMOKE.measures
    return samples.scan(
        profile=EVIL,
        host=replace(samples.HOST, **host),
        evaluation=replace(samples.scan().evaluation, results=rules),
        waivers={rules[1].rule_id: replace(samples.WAIVER, reason=EVIL)},
        checks=tuple(
            Check(name=EVIL, outcome=o, message=EVIL, took_s=0.5)
            for o in ("passed", "failed", "error", "skipped")
        ),
        paired=Paired(
            confinement=EVIL,
            pairs=tuple(
                samples.pair(
                    EVIL,
                    verdict,
                    samples.half(held, EVIL),
                    samples.half(held, EVIL),
                    title=EVIL,
                    rules=(EVIL,),
                    content=("r001",),
                    resolution=EVIL,
                    reason=EVIL,
                )
                for verdict, held in zip(PairVerdict, Held, strict=True)
            ),
        ),
        fips=replace(
            samples.FIPS,
            crypto_policy=EVIL,
            provider_version=EVIL,
            pqc_kex=EVIL,
            table_as_of=EVIL,
            modules=tuple(replace(m, nevra=EVIL, reason=EVIL) for m in samples.FIPS.modules),
        ),
        smoke=replace(
            samples.SMOKE,
            model=EVIL,
            reason=EVIL,
            measures=(replace(samples.SMOKE.measures[0], name=EVIL, unit=EVIL, reason=EVIL),),
        ),
    )


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"pdf"}))
@pytest.mark.parametrize(
    "scan",
    [samples.scan(), evil(), samples.scan(smoke=None, checks=(), before=None, fips=None)],
)
def test_every_report_in_the_table_draws_every_scan_twice_alike(name: str, scan: Scan) -> None:
    # Finding the PDF's libraries starts a process: tests/interop draws it.
    drawn = renderer(name).render(report_of(scan))

    assert drawn == renderer(name).render(report_of(scan))
    assert b"\x1b" not in drawn
    assert b"\x00" not in drawn


def test_the_docs_have_one_row_for_every_format_of_the_table() -> None:
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:4]]
        for line in DOCS.read_text("utf-8").partition("## ")[0].splitlines()
        if line.startswith("| `") and not line.startswith("| `--as`")
    ]
    found = {name: (file, carried.partition(" ")[0].strip(",")) for name, file, carried in rows}

    assert len(rows) == len(found)
    assert found == {
        name: (
            f.file,
            "never"
            if not f.attached
            else "with"
            if f.of_smoke or f.of_stig or f.of_changes
            else "always",
        )
        for name, f in FORMATS.items()
    }


def test_an_unknown_format_is_an_input_error() -> None:
    with pytest.raises(InputError, match="no format 'docx'"):
        renderer("docx")


def test_junit_of_the_checks_counts_and_escapes() -> None:
    suite = etree.fromstring(renderer("junit").render(report_of(samples.scan())))[0]

    assert {str(k): str(v) for k, v in suite.attrib.items()} == {
        "name": "hardpan checks",
        "hostname": "lab",
        "timestamp": samples.FINISHED,
        "tests": "2",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
    }
    assert suite[1].get("classname") == "hardpan.test_ssh"
    assert suite[1][0].tag == "failure"
    assert suite[1][0].get("message") == "expected 22"
    assert suite[1][0].text == "expected 22\nis 23"


def test_junit_has_a_suite_of_the_paired_checks_where_they_ran() -> None:
    made = samples.scan(paired=samples.PAIRED)
    checks, pairs = etree.fromstring(renderer("junit").render(report_of(made)))
    tags = [[child.tag for child in case] for case in pairs]

    assert checks.get("name") == "hardpan checks"
    assert pairs.get("name") == "hardpan paired checks"
    assert tags == [[], ["failure"], ["skipped"], ["skipped"], ["error"]]
    assert pairs[1][0].get("message") == "fail: because"
    assert "action broken: 3 packets" in str(pairs[1][0].text)
    assert (pairs.get("tests"), pairs.get("failures"), pairs.get("errors")) == ("5", "1", "1")


def test_a_waiver_for_the_controls_rule_stands_beside_the_pairs_fail() -> None:
    broken, holds = samples.half(Held.BROKEN), samples.half(Held.HOLDS)
    control = samples.pair("a", PairVerdict.FAIL, broken, holds)
    action = samples.pair("b", PairVerdict.FAIL, holds, broken)
    both = samples.pair("c", PairVerdict.FAIL, broken, broken)
    report = report_of(samples.scan(paired=Paired(confinement="", pairs=(control, action, both))))
    pairs = etree.fromstring(renderer("junit").render(report))[1]

    assert report.findings.paired is not None
    told = [(p.verdict, p.waiver and p.waiver.reason) for p in report.findings.paired.pairs]
    # What excuses a control excuses no AI action that fails beside it.
    assert told == [("fail", "needed by the build, see T-1"), ("fail", None), ("fail", None)]
    tags = [[child.tag for child in case] for case in pairs]
    assert tags == [["skipped"], ["failure"], ["failure"]]
    said = "\n".join(summary.lines(report.findings, None))
    assert "0 hold both, 3 do not (1 with a waiver on record)" in said
    page = renderer("html").render(report).decode()
    assert page.count("needed by the build, see T-1 (build team, until 2027-01-31)") == 1


def test_a_scan_without_paired_checks_has_no_word_of_them() -> None:
    report = report_of(samples.scan())

    assert "paired" not in renderer("html").render(report).decode()
    assert "paired" not in renderer("junit").render(report).decode()
    assert "paired" not in "\n".join(summary.lines(report.findings, report.smoke))


def test_the_summary_counts_the_pairs_and_names_what_failed() -> None:
    report = report_of(samples.scan(paired=samples.PAIRED))
    said = "\n".join(summary.lines(report.findings, report.smoke))

    assert (
        "paired checks  1 hold both, 1 do not (0 with a waiver on record), "
        "1 not checked, 1 in error, 1 not applicable" in said
    )
    assert "egress: fail, because" in said
    assert "perf: error, because" in said
    assert "audit:" not in said


def test_junit_of_the_rules_skips_what_is_excepted_or_not_checked() -> None:
    suite = etree.fromstring(renderer("junit-rules").render(report_of(samples.scan())))[0]
    tags = [[child.tag for child in case] for case in suite]

    assert tags == [[], ["failure"], ["skipped"], ["skipped"], ["skipped"]]
    assert (
        suite[2][0].get("message")
        == "fail, waiver: needed by the build, see T-1 (build team, until 2027-01-31)"
    )
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "1", "3")


def test_the_summary_is_plain_lines() -> None:
    report = report_of(evil())
    lines = summary.lines(report.findings, report.smoke)

    assert all(line.isprintable() for line in lines)
    assert "score" in "\n".join(lines)
    said = summary.lines(report_of(samples.scan(smoke=None, checks=())).findings, None)
    assert "smoke test  did not run" in said
    assert "checks      none ran" in said


def test_the_summary_tells_the_flag_and_the_honest_sentence() -> None:
    said = summary.lines(report_of(samples.scan()).findings, None)
    at = said.index("FIPS mode   on (kernel flag)")

    assert said[at + 1].startswith("            FIPS mode is enabled. Module openssl (openssl")
    assert said[at + 1].endswith("The rules check settings, never certificates.")
    older = "\n".join(summary.lines(report_of(samples.scan(fips=None)).findings, None))
    assert "the certificates of its modules were not looked at" in older


@pytest.mark.parametrize("trust", HostKeyTrust)
def test_reports_say_how_the_host_key_was_known(trust: HostKeyTrust) -> None:
    report = report_of(samples.scan(host=replace(samples.HOST, host_key_trust=trust)))
    said = HOST_KEY_TRUST[report.findings.host.host_key_trust]

    assert json.loads(renderer("findings").render(report))["host"]["hostKeyTrust"] == trust
    assert said in renderer("html").render(report).decode()
    assert f"- {inline(said)}\n" in renderer("summary").render(report).decode()
    assert f'"host-key-trust","ns":"{OSCAL_NAMESPACE}","value":"{trust}"' in (
        renderer("oscal-ar").render(report).decode()
    )
    assert said in "\n".join(summary.lines(report.findings, report.smoke))


def test_host_key_known_in_no_known_way_is_unknown() -> None:
    host = replace(samples.HOST, host_key_trust=cast(HostKeyTrust, EVIL))

    assert report_of(samples.scan(host=host)).findings.host.host_key_trust == "unknown"
