"""Build the parts of findings.json about tailoring and waivers."""

from dataclasses import asdict

from hardpan.core.files import sha256_bytes
from hardpan.scanners.model.scan import Evaluation, WaiverRecord
from hardpan.scanners.report.model.content_sections import TailoringPart
from hardpan.scanners.report.model.display_text import (
    clean_values,
    parse_severity,
    replace_control_characters,
)
from hardpan.scanners.report.model.waiver_sections import WaiverRecordPart


def build_tailoring(evaluation: Evaluation) -> TailoringPart | None:
    """The tailoring, as far as it agrees with the rules that OpenSCAP reported."""
    tailoring = evaluation.content.tailoring
    if tailoring is None:
        return None
    severities = {r.rule_id: parse_severity(r.severity) for r in evaluation.results}
    values = asdict(tailoring)
    del values["data"]
    values["unselected"] = [asdict(r) for r in tailoring.unselected if r.rule_id not in severities]
    values["selected"] = [asdict(r) for r in tailoring.selected if r.rule_id in severities]
    values["settings"] = [
        asdict(setting)
        if setting.name != "severity"
        else {**asdict(setting), "value": severities[setting.rule_id]}
        for setting in tailoring.settings
        if not setting.rule_id or setting.rule_id in severities
    ]
    for name in ("unselected", "selected", "settings"):
        values[name] = [clean_values(entry) for entry in values[name]]
    values["notes"] = [replace_control_characters(note) for note in tailoring.notes]
    rule_ids = sorted(replace_control_characters(rule_id) for rule_id in severities)
    values["rules_sha256"] = sha256_bytes("".join(f"{i}\n" for i in rule_ids).encode())
    return TailoringPart.model_validate(clean_values(values))


def build_waiver_record(record: WaiverRecord) -> WaiverRecordPart:
    """The record of one name of a waiver."""
    return WaiverRecordPart(
        selector=replace_control_characters(record.selector),
        source=replace_control_characters(record.source),
        reason=replace_control_characters(record.reason),
        owner=replace_control_characters(record.owner),
        expires=record.expires,
        rule_ids=tuple(map(replace_control_characters, record.rule_ids)),
        status=record.status.value,
    )
