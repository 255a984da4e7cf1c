"""--fail-on, max_open of policies and 'ledger check' count the same open rules."""

from dataclasses import replace
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.core.errors import Exit
from hardpan.profiles.schema.ssg import SEVERITIES
from hardpan.scanners.model.scan import RuleResult, Verdict
from hardpan.scanners.report.model.build import build_findings
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import EvidenceFixture, create_fixture
from tests.unit.ledger.samples import scan_of_rules

RULE = samples.rule(7, Verdict.FAIL)
RULES = {
    "high": replace(RULE, severity="high"),
    "medium": replace(RULE, severity="medium"),
    "low": replace(RULE, severity="low"),
    "unknown": replace(RULE, severity="unknown"),
    "info": replace(RULE, severity="info"),
    "unknown, high for DISA": replace(RULE, severity="unknown", disa_severity="high"),
    "low, high for DISA": replace(RULE, severity="low", disa_severity="high"),
    "high, low for DISA": replace(RULE, severity="high", disa_severity="low"),
    "error": replace(RULE, severity="low", verdict=Verdict.ERROR),
    "passed": replace(RULE, severity="high", verdict=Verdict.PASS),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> EvidenceFixture:
    return create_fixture(tmp_path_factory.mktemp("lab"))


def _severities_from(threshold: str) -> tuple[str, ...]:
    return () if threshold == "none" else SEVERITIES[: SEVERITIES.index(threshold) + 1]


@pytest.mark.parametrize("waived", [False, True])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_gates_agree(lab: EvidenceFixture, tmp_path: Path, rule: RuleResult, waived: bool) -> None:
    waivers = {rule.rule_id: samples.WAIVER} if waived else None
    scan = scan_of_rules(samples.rule(1, Verdict.PASS), rule, waivers=waivers)
    evidence = samples.write_evidence(scan, lab.scan, tmp_path)
    ledger = ["--ledger", str(tmp_path / "ledger.sqlite")]
    added = cli.run(["ledger", "add", str(evidence), "--policy", str(lab.ring.policy), *ledger])
    assert added in (Exit.OK, Exit.FINDINGS)  # the policy of new keys allows no open high rule

    for threshold in (*SEVERITIES, "none"):
        gate = build_findings(scan).has_open_rules(threshold)
        limits = ", ".join(f"{s}: 0" for s in _severities_from(threshold))
        policy = tmp_path / "trust.yaml"
        text = lab.ring.policy.read_text().partition("max_open")[0]
        policy.write_text(f"{text}max_open: {{{limits}}}\n")
        for name in ("scan.pub", "build.pub"):
            (tmp_path / name).write_bytes((lab.ring.policy.parent / name).read_bytes())

        verified = cli.run(["verify", str(evidence), "--policy", str(policy)])
        checked = cli.run(["ledger", "check", "lab", "--fail-on", threshold, *ledger])

        assert verified == checked == (Exit.FINDINGS if gate else Exit.OK), threshold


def test_gates_fail_for_an_open_rule_of_unknown_severity() -> None:
    """The test above would pass as well if no gate ever failed."""
    findings = build_findings(scan_of_rules(RULES["unknown"]))

    assert [findings.has_open_rules(s) for s in SEVERITIES] == [False, True, True]
