"""Waiver records of hostile findings take no more time than those of a scan."""

import time

import pytest

from hardpan.scanners.evidence.verify.waiver_records import are_waivers_consistent
from hardpan.scanners.model.waiver_status import MAX_WAIVER_MATCHES
from hardpan.scanners.report.model.build import build_findings
from hardpan.scanners.report.model.documents import Findings
from tests.unit.evidence import samples

RULE_ID = samples.RULES[2].rule_id


def _with_record(**changes: object) -> Findings:
    findings = build_findings(samples.scan())
    record = findings.waivers[0].model_copy(update=changes)
    return findings.model_copy(update={"waivers": (record,)})


def test_records_of_a_scan_are_consistent() -> None:
    assert are_waivers_consistent(_with_record())
    assert are_waivers_consistent(_with_record(selector="*_r00[0-9]"))
    assert not are_waivers_consistent(_with_record(selector="*_r009"))


@pytest.mark.parametrize("selector", [RULE_ID, "*" + "a*" * 120, "[z-a]*"])
def test_endless_records_are_rejected_in_a_short_time(selector: str) -> None:
    ids = (RULE_ID,) * (MAX_WAIVER_MATCHES + 1)

    started = time.monotonic()
    assert not are_waivers_consistent(_with_record(selector=selector, rule_ids=ids))
    assert time.monotonic() - started < 1


def test_rule_with_endless_ids_is_rejected() -> None:
    findings = _with_record()
    rules = list(findings.rules)
    rules[2] = rules[2].model_copy(update={"stig_ids": ("RHEL-09-1",) * 101})

    assert not are_waivers_consistent(findings.model_copy(update={"rules": tuple(rules)}))
