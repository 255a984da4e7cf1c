"""Weaker content or a weaker profile."""

from dataclasses import replace

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


VARIANTS = {
    "control": _content,
    "an edited data stream": lambda kit: _content(kit, derived_sha256="0" * 64),
    "another source": lambda kit: _content(kit, source_sha256="0" * 64),
    "a weaker profile": _profile,
    "expired waiver leaves the rule open": _ended,
    "expired waiver marked active": lambda kit: _first_waiver(kit, expires="2026-11-20"),
    "a waiver prolonged in the findings": lambda kit: _first_waiver(kit, expires="2099-01-01"),
}
