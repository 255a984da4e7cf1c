import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import pytest
from lxml import etree

from hardpan.core.errors import InputError
from hardpan.core.identifiers import OSCAL_NAMESPACE
from hardpan.scanners.model.results import (
    CompatibilityOutcome,
    CompatibilityReport,
    CompatibilityVerdict,
    HostCheck,
)
from hardpan.scanners.model.scan import Scan, Verdict
from hardpan.scanners.report.formats import text_summary
from hardpan.scanners.report.model import build
from hardpan.scanners.report.model.markdown_escape import escape_inline
from hardpan.scanners.report.model.types import HOST_KEY_TRUST_TEXT
from hardpan.scanners.report.registry import FORMATS, Report, load_renderer
from hardpan.ssh.host_key_trust import HostKeyTrust
from tests.unit.evidence import samples

DOCS = Path(__file__).parents[3] / "docs" / "formats.md"
HIDDEN = "".join(
    chr(c)
    for first, last in ((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2069), (0xFEFF, 0xFEFF))
    for c in range(first, last + 1)
)
EVIL = f"<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b\x00&amp;]]>{HIDDEN}"


def report_of(scan: Scan) -> Report:
    return Report(
        findings=build.build_findings(scan),
        smoke=None if scan.smoke is None else build.build_smoke_document(scan.smoke),
        signer_sha256="ab" * 32,
        predicate_type="https://example.org/x",
    )


def hostile_scan() -> Scan:
    names = {f.name for f in fields(samples.HOST)} - {"fips_kernel_flag", "clock_difference_s"}
    host: dict[str, Any] = dict.fromkeys(names, EVIL)
    rules = tuple(
        samples.rule(
            n,
            verdict,
            title=EVIL,
            cce=EVIL,
            evidence_lines=(EVIL,),
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
            HostCheck(name=EVIL, outcome=o, message=EVIL, duration_s=0.5)
            for o in ("passed", "failed", "error", "skipped")
        ),
        compatibility=CompatibilityReport(
            confinement=EVIL,
            results=tuple(
                samples.compatibility_result(
                    EVIL,
                    verdict,
                    samples.check_result(outcome_name, EVIL),
                    samples.check_result(outcome_name, EVIL),
                    title=EVIL,
                    rules=(EVIL,),
                    content=("r001",),
                    resolution=EVIL,
                    reason=EVIL,
                )
                for verdict, outcome_name in zip(
                    CompatibilityVerdict, CompatibilityOutcome, strict=True
                )
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
    [
        samples.scan(),
        hostile_scan(),
        samples.scan(smoke=None, checks=(), baseline_counts=None, fips=None),
    ],
)
def test_every_format_renders_deterministically(name: str, scan: Scan) -> None:
    # Finding the PDF's libraries starts a process: tests/interop draws it.
    rendered = load_renderer(name).render(report_of(scan))

    assert rendered == load_renderer(name).render(report_of(scan))
    assert b"\x1b" not in rendered
    assert b"\x00" not in rendered
    text = rendered.decode().lower()
    for c in HIDDEN:
        assert c not in text
        for escape in (f"\\u{ord(c):04x}", f"&#x{ord(c):x};", f"&#{ord(c)};"):
            assert escape not in text


@pytest.mark.parametrize("name", ["findings", "html", "summary", "oscal-ar", "hdf"])
def test_reports_quote_the_reason_for_the_content(name: str) -> None:
    rendered = load_renderer(name).render(report_of(samples.scan()))

    assert b"content for Hardpan Lab 9; profile: the default" in rendered


@pytest.mark.parametrize(
    ("difference_s", "text"),
    [
        (86_400, "86400 s (1.0 days) ahead of the scanner's"),
        (-61, "61 s behind the scanner's"),
        (60, ""),
        (-60, ""),
        (None, ""),
    ],
)
@pytest.mark.parametrize("name", ["html", "summary", "oscal-ar"])
def test_reports_warn_about_the_clock_of_the_target(
    name: str, difference_s: int | None, text: str
) -> None:
    host = replace(samples.HOST, clock_difference_s=difference_s)
    report = report_of(samples.scan(host=host))

    rendered = load_renderer(name).render(report).decode().replace("&#39;", "'")
    lines = text_summary.format_summary(report.findings, report.smoke)

    assert ("the target's clock is" in rendered) == (text != "")
    assert text in rendered
    warnings = [line for line in lines if line.startswith("clock ")]
    assert len(warnings) == (1 if text else 0)
    assert all(f"warning: the target's clock is {text}" in line for line in warnings)
    assert report.findings.to_json()["host"]["clockDifferenceS"] == difference_s  # type: ignore[index]


def test_docs_list_every_format() -> None:
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:4]]
        for line in DOCS.read_text("utf-8").partition("## ")[0].splitlines()
        if line.startswith("| `") and not line.startswith("| `--as`")
    ]
    documented = {
        name: (file, attachment.partition(" ")[0].strip(",")) for name, file, attachment in rows
    }

    assert len(rows) == len(documented)
    assert documented == {
        name: (
            spec.filename,
            "never"
            if not spec.is_attached
            else "with"
            if spec.requires_smoke or spec.requires_stig or spec.requires_changes
            else "always",
        )
        for name, spec in FORMATS.items()
    }


def test_unknown_format_is_input_error() -> None:
    with pytest.raises(InputError, match="no format 'docx'"):
        load_renderer("docx")


def test_junit_counts_and_escapes_checks() -> None:
    suite = etree.fromstring(load_renderer("junit").render(report_of(samples.scan())))[0]

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


def test_junit_has_compatibility_suite() -> None:
    scan = samples.scan(compatibility=samples.COMPATIBILITY)
    checks, compatibility = etree.fromstring(load_renderer("junit").render(report_of(scan)))
    tags = [[child.tag for child in case] for case in compatibility]

    assert checks.get("name") == "hardpan checks"
    assert compatibility.get("name") == "hardpan compatibility checks"
    assert tags == [[], ["failure"], ["skipped"], ["skipped"], ["error"]]
    assert compatibility[1][0].get("message") == "fail: because"
    assert "workload violated: 3 packets" in str(compatibility[1][0].text)
    assert (
        compatibility.get("tests"),
        compatibility.get("failures"),
        compatibility.get("errors"),
    ) == ("5", "1", "1")


def test_rule_waiver_applies_to_failed_control_check_only() -> None:
    violated, satisfied = (
        samples.check_result(CompatibilityOutcome.VIOLATED),
        samples.check_result(CompatibilityOutcome.SATISFIED),
    )
    control_failed = samples.compatibility_result(
        "a", CompatibilityVerdict.FAIL, violated, satisfied
    )
    workload_failed = samples.compatibility_result(
        "b", CompatibilityVerdict.FAIL, satisfied, violated
    )
    all_failed = samples.compatibility_result("c", CompatibilityVerdict.FAIL, violated, violated)
    report = report_of(
        samples.scan(
            compatibility=CompatibilityReport(
                confinement="", results=(control_failed, workload_failed, all_failed)
            )
        )
    )
    suite = etree.fromstring(load_renderer("junit").render(report))[1]

    assert report.findings.compatibility is not None
    waivers = [
        (p.verdict, p.waiver and p.waiver.reason) for p in report.findings.compatibility.results
    ]
    # A waiver of a control does not waive an AI action that fails in the same conflict.
    assert waivers == [("fail", "needed by the build, see T-1"), ("fail", None), ("fail", None)]
    tags = [[child.tag for child in case] for case in suite]
    assert tags == [["skipped"], ["failure"], ["failure"]]
    text = "\n".join(text_summary.format_summary(report.findings, None))
    assert "0 pass, 3 fail (1 waived)" in text
    page = load_renderer("html").render(report).decode()
    assert page.count("needed by the build, see T-1 (build team, until 2027-01-31)") == 1


def test_scan_without_compatibility_checks_does_not_mention_them() -> None:
    report = report_of(samples.scan())

    assert 'id="compatibility"' not in load_renderer("html").render(report).decode()
    assert "compatibility" not in load_renderer("junit").render(report).decode()
    assert "compatibility" not in "\n".join(
        text_summary.format_summary(report.findings, report.smoke)
    )


def test_summary_counts_compatibility_results_and_names_failures() -> None:
    report = report_of(samples.scan(compatibility=samples.COMPATIBILITY))
    text = "\n".join(text_summary.format_summary(report.findings, report.smoke))

    assert (
        "compatibility  1 pass, 1 fail (0 waived), "
        "1 not checked, 1 in error, 1 not applicable" in text
    )
    assert "egress: fail, because" in text
    assert "perf: error, because" in text
    assert "audit:" not in text


def test_junit_rules_skips_waived_and_unchecked_rules() -> None:
    suite = etree.fromstring(load_renderer("junit-rules").render(report_of(samples.scan())))[0]
    tags = [[child.tag for child in case] for case in suite]

    assert tags == [[], ["failure"], ["skipped"], ["skipped"], ["skipped"]]
    assert (
        suite[2][0].get("message")
        == "fail, waiver: needed by the build, see T-1 (build team, until 2027-01-31)"
    )
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "1", "3")


def test_summary_lines_are_printable() -> None:
    report = report_of(hostile_scan())
    lines = text_summary.format_summary(report.findings, report.smoke)

    assert all(line.isprintable() for line in lines)
    assert "score" in "\n".join(lines)
    minimal = text_summary.format_summary(
        report_of(samples.scan(smoke=None, checks=())).findings, None
    )
    assert "smoke test   did not run" in minimal
    assert "checks       none ran" in minimal


def test_summary_wraps_long_texts_below_their_label() -> None:
    message = "PyTorch is not installed; " + "install it, " * 20
    check = HostCheck(name="collect::smoke", outcome="not_checked", message=message, duration_s=0)
    lines = text_summary.format_summary(report_of(samples.scan(checks=(check,))).findings, None)
    index = next(n for n, line in enumerate(lines) if line.startswith("not checked  smoke: "))

    assert all(line.startswith(" " * 13) for line in lines[index + 1 : index + 4])
    assert max(len(line) for line in lines if "sha256" not in line) <= 13 + 100
    assert "checks       none ran" in lines


def test_summary_counts_rules_without_an_automated_verdict() -> None:
    evaluation = samples.scan().evaluation
    first, second, *others = evaluation.results
    results = (
        replace(first, verdict=Verdict.ERROR),
        replace(second, verdict=Verdict.UNKNOWN),
        *others,
    )
    scan = samples.scan(evaluation=replace(evaluation, results=results))
    lines = text_summary.format_summary(report_of(scan).findings, None)

    assert any("1 rule has no automated check: manual review required" in x for x in lines)
    assert any("2 rules are error or unknown: the HTML report lists" in x for x in lines)


def test_summary_of_a_host_outside_fips_mode_has_no_statement() -> None:
    host = replace(samples.HOST, fips_kernel_flag=False)
    text = "\n".join(text_summary.format_summary(report_of(samples.scan(host=host)).findings, None))

    assert "FIPS mode    off (kernel flag)\nhost key" in text
    assert "baseline" in text


def test_summary_omits_image_and_baseline_of_other_hosts() -> None:
    scan = samples.scan(image=None, baseline_counts=None)
    text = "\n".join(text_summary.format_summary(report_of(scan).findings, None))

    assert "image" not in text
    assert "baseline" not in text


def test_summary_warns_of_an_old_list_of_certificates_outside_fips_mode() -> None:
    host = replace(samples.HOST, fips_kernel_flag=False)
    state = replace(samples.FIPS, table_warning="the list is of 2025-01-01")
    findings = report_of(samples.scan(host=host, fips=state)).findings

    lines = text_summary.format_summary(findings, None)

    index = next(n for n, line in enumerate(lines) if line.startswith("FIPS mode"))
    assert lines[index].split() == ["FIPS", "mode", "off", "(kernel", "flag)"]
    assert lines[index + 1].strip() == "warning: the list is of 2025-01-01"


def test_summary_reports_fips_flag_and_statement() -> None:
    lines = text_summary.format_summary(report_of(samples.scan()).findings, None)
    index = lines.index("FIPS mode    on (kernel flag)")

    assert lines[index + 1].startswith("             FIPS mode is enabled. Module openssl (openssl")
    assert "The SCAP rules check settings, not certificates." in " ".join(" ".join(lines).split())
    older = "\n".join(
        text_summary.format_summary(report_of(samples.scan(fips=None)).findings, None)
    )
    assert "the certificates of its modules were not checked" in older


@pytest.mark.parametrize("trust", HostKeyTrust)
def test_reports_state_host_key_trust(trust: HostKeyTrust) -> None:
    report = report_of(samples.scan(host=replace(samples.HOST, host_key_trust=trust)))
    text = HOST_KEY_TRUST_TEXT[report.findings.host.host_key_trust]

    assert json.loads(load_renderer("findings").render(report))["host"]["hostKeyTrust"] == trust
    assert text in load_renderer("html").render(report).decode()
    assert f"- {escape_inline(text)}\n" in load_renderer("summary").render(report).decode()
    assert f'"host-key-trust","ns":"{OSCAL_NAMESPACE}","value":"{trust}"' in (
        load_renderer("oscal-ar").render(report).decode()
    )
    assert text in "\n".join(text_summary.format_summary(report.findings, report.smoke))


def test_unrecognized_host_key_trust_is_unknown() -> None:
    host = replace(samples.HOST, host_key_trust=cast(HostKeyTrust, EVIL))

    assert report_of(samples.scan(host=host)).findings.host.host_key_trust == "unknown"
