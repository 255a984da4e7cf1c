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


def _sign_tailored(kit):
    scan = samples.tailored_scan(samples.slim_scan())
    return kit.sign_scan(evaluation=scan.evaluation, raw=scan.raw)


def _tailored(kit, **rule):
    return Evidence(files=_sign_tailored(kit), policy={"content": rule})


def _change_tailoring(kit, change):
    """Change the findings of a tailored scan, and sign again; the policy allows any tailoring."""
    tailored = replace(kit, valid_files=_sign_tailored(kit))
    return Evidence(files=tailored.resign_changed_findings(lambda f: change(f["content"])))


def _update_tailoring(kit, **fields):
    return _change_tailoring(kit, lambda content: content["tailoring"].update(fields))


def _hide_evaluated_rule(kit):
    def change(content):
        content["tailoring"]["unselected"][0]["ruleId"] = samples.RULES[1].rule_id

    return _change_tailoring(kit, change)


def _replace_tailoring_file(kit):
    tailored = replace(kit, valid_files=_sign_tailored(kit))
    return Evidence(files=tailored.resign_with_files({"tailoring.yaml": b"select: {}\n"}))


def _attach_tailoring(kit):
    files = {"tailoring.yaml": samples.TAILORING.data}
    return Evidence(files=kit.resign_with_files(files))


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
    "control: a tailoring that the policy lists": lambda kit: _tailored(
        kit, tailoring_sha256=[samples.TAILORING.sha256]
    ),
    "a tailoring, none allowed": lambda kit: _tailored(kit, require_untailored=True),
    "a tailoring of a listed profile": lambda kit: _tailored(
        kit, profile_ids=[samples.TAILORING.profile_id]
    ),
    "another tailoring than the listed one": lambda kit: _tailored(
        kit, tailoring_sha256=["0" * 64]
    ),
    "a tailoring hidden in the findings": lambda kit: _change_tailoring(
        kit, lambda content: content.update(tailoring=None)
    ),
    "a tailoring without its rules": lambda kit: _update_tailoring(kit, unselected=[]),
    "a tailoring with another author": lambda kit: _update_tailoring(kit, author="auditor"),
    "a tailoring with another digest": lambda kit: _update_tailoring(kit, sha256="0" * 64),
    "a tailoring of other rules": lambda kit: _update_tailoring(kit, rulesSha256="0" * 64),
    "an evaluated rule listed as not evaluated": _hide_evaluated_rule,
    "another tailoring file": _replace_tailoring_file,
    "a tailoring file without a record": _attach_tailoring,
}
