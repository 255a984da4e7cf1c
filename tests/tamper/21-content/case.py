"""Weaker content or a weaker profile."""

from dataclasses import replace

from hardpan.scanners.model.waiver_status import WaiverStatus
from tests.tamper.kit import Evidence
from tests.unit.evidence import samples

_PROFILE = "xccdf_org.ssgproject.content_profile_stig"
_RULE = {
    "source_sha256": [samples.CONTENT.source_sha256],
    "derived_sha256": [samples.CONTENT.derived_sha256],
    "profile_ids": [_PROFILE],
}
_ENDED = replace(samples.WAIVER, expires="2026-11-20", is_active=False)


def _content(kit, **fields):
    evaluation = samples.slim_scan().evaluation
    content = replace(evaluation.content, **fields)
    return Evidence(
        files=kit.sign_scan(evaluation=replace(evaluation, content=content)),
        policy={"content": _RULE},
    )


def _profile(kit):
    evaluation = replace(samples.slim_scan().evaluation, profile_id="xccdf_weaker")
    return Evidence(files=kit.sign_scan(evaluation=evaluation), policy={"content": _RULE})


def _ended(kit, **fields):
    return Evidence(
        files=kit.sign_scan(waivers={samples.RULES[2].rule_id: replace(_ENDED, **fields)}),
        policy={"max_open": {"medium": 0}},
    )


def _first_waiver(kit, **fields):
    def change(f):
        next(r for r in f["rules"] if r["waiver"])["waiver"].update(fields)

    return Evidence(files=kit.resign_changed_findings(change))


def _waiver_record(kit, **fields):
    def change(f):
        f["waivers"][0].update(fields)

    return Evidence(files=kit.resign_changed_findings(change))


def _no_waiver_records(kit):
    return Evidence(files=kit.resign_changed_findings(lambda f: f.update(waivers=[])))


def _expired_waiver_marked_active(kit):
    """Rule and record agree; the last day does not."""
    ended = replace(samples.WAIVER, expires="2026-11-20", is_active=True)
    scan = samples.slim_scan(waivers={samples.RULES[2].rule_id: ended})
    records = tuple(replace(r, status=WaiverStatus.ACTIVE) for r in scan.waiver_records)
    return Evidence(files=kit.sign_scan(waivers=scan.waivers, waiver_records=records))


VARIANTS = {
    "control": _content,
    "an edited data stream": lambda kit: _content(kit, derived_sha256="0" * 64),
    "another source": lambda kit: _content(kit, source_sha256="0" * 64),
    "a weaker profile": _profile,
    "expired waiver leaves the rule open": _ended,
    "expired waiver marked active": lambda kit: _first_waiver(kit, expires="2026-11-20"),
    "a waiver prolonged in the findings": lambda kit: _first_waiver(kit, expires="2099-01-01"),
    "expired waiver marked active everywhere": _expired_waiver_marked_active,
    "a waiver without its record": _no_waiver_records,
    "an unmatched waiver hidden as active": lambda kit: _waiver_record(kit, ruleIds=[]),
    "a record with another reason": lambda kit: _waiver_record(kit, reason="approved"),
    "a record for another rule": lambda kit: _waiver_record(
        kit, ruleIds=[samples.RULES[1].rule_id]
    ),
    "a record with a wrong state": lambda kit: _waiver_record(kit, status="stale"),
}
