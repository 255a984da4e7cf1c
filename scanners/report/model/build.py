"""Build the documents of a scan. Text from the target is sanitized for display here."""

import math
from dataclasses import asdict
from typing import cast

from hardpan.profiles.schema.ssg import RULE_PREFIX
from hardpan.scanners.fips.describe import describe_fips
from hardpan.scanners.model.results import (
    CheckResult,
    CompatibilityOutcome,
    CompatibilityResult,
    HostCheck,
    SmokeReport,
)
from hardpan.scanners.model.scan import Scan, Waiver
from hardpan.scanners.report.model.build_deviations import build_tailoring, build_waiver_record
from hardpan.scanners.report.model.check_sections import CheckPart
from hardpan.scanners.report.model.content_sections import ContentPart
from hardpan.scanners.report.model.display_text import (
    clean_values,
    parse_severity,
    replace_control_characters,
)
from hardpan.scanners.report.model.documents import Findings, MeasurePart, SmokeDocument
from hardpan.scanners.report.model.scores import count_covered, count_passed, format_share
from hardpan.scanners.report.model.sections import (
    CompatibilityCheckPart,
    CompatibilityPart,
    CompatibilityResultPart,
    FipsPart,
    HostPart,
    ImagePart,
    RulePart,
    StigPart,
)
from hardpan.scanners.report.model.types import (
    HOST_KEY_TRUST_TEXT,
    VERDICTS,
    DisaSeverity,
    Number,
    RoleName,
    VerdictName,
)
from hardpan.scanners.report.model.waiver_sections import WaiverPart
from hardpan.scanners.stig.manual_stig import find_stig


def build_findings(scan: Scan) -> Findings:
    """Return the findings document of ``scan``, with the target's text sanitized."""
    evaluation = scan.evaluation
    content = evaluation.content
    rules = _build_rules(scan)
    return Findings(
        schema_version="1.0",
        profile=replace_control_characters(scan.profile),
        started=scan.started or evaluation.started,
        finished=scan.finished or evaluation.finished,
        host=_build_host(scan),
        image=_build_image(scan),
        content=ContentPart(
            name=replace_control_characters(content.name),
            version=replace_control_characters(content.version),
            date=content.date,
            source_sha256=content.source_sha256,
            derived_sha256=content.derived_sha256,
            origin=replace_control_characters(content.origin),
            origin_kind=content.origin_kind.value,
            derivation=replace_control_characters(content.derivation),
            choice=replace_control_characters(content.choice),
            tailoring=build_tailoring(evaluation),
            benchmark_id=replace_control_characters(evaluation.benchmark_id),
            profile_id=replace_control_characters(evaluation.profile_id),
            engine=replace_control_characters(evaluation.engine),
        ),
        score=f"{evaluation.score:.2f}",
        pass_ratio=format_share(*count_passed(rules)),
        coverage=format_share(*count_covered(rules)),
        differences=tuple(map(replace_control_characters, evaluation.differences)),
        used_untouched=evaluation.used_untouched,
        counts=evaluation.counts(),
        baseline_counts=None
        if scan.baseline_counts is None
        else {v: scan.baseline_counts.get(v, 0) for v in VERDICTS},
        rules=rules,
        checks=tuple(_build_check(c, scan.waivers.get(c.name)) for c in scan.checks),
        compatibility=_build_compatibility(scan),
        fips=_build_fips(scan),
        waivers=tuple(map(build_waiver_record, scan.waiver_records)),
        stig=_build_stig(evaluation.benchmark_id),
    )


def build_smoke_document(result: SmokeReport) -> SmokeDocument:
    """The smoke test's document."""
    return SmokeDocument(
        backend=replace_control_characters(result.backend),
        framework=replace_control_characters(result.framework),
        model=replace_control_characters(result.model),
        model_sha256=replace_control_characters(result.model_sha256),
        verdict=replace_control_characters(result.verdict),
        reason=replace_control_characters(result.reason),
        measures=tuple(
            MeasurePart(
                name=replace_control_characters(m.name),
                unit=replace_control_characters(m.unit),
                direction=replace_control_characters(m.direction),
                value=_to_json_number(m.value),
                n=m.n,
                minimum=_to_json_number(m.minimum),
                maximum=_to_json_number(m.maximum),
                verdict=replace_control_characters(m.verdict),
                reason=replace_control_characters(m.reason),
            )
            for m in result.measures
        ),
        environment={
            _to_ascii(k): replace_control_characters(v) for k, v in result.environment.items()
        },
    )


def _build_host(scan: Scan) -> HostPart:
    host = scan.host
    values: dict[str, object] = {name: getattr(host, name) for name in HostPart.model_fields}
    # What is not one of the ways of knowing a key claims none of them.
    trust = str(host.host_key_trust)
    values["host_key_trust"] = trust if trust in HOST_KEY_TRUST_TEXT else "unknown"
    return HostPart.model_validate(clean_values(values))


def _build_fips(scan: Scan) -> FipsPart | None:
    if scan.fips is None:
        return None
    # Its texts fit narrow patterns already; cleaning them again costs nothing.
    modules = [clean_values(asdict(m)) for m in scan.fips.modules]
    crypto_files = [clean_values(asdict(x)) for x in scan.fips.non_system_crypto]
    statement = replace_control_characters(describe_fips(scan.fips))
    values = clean_values({**asdict(scan.fips), "statement": statement})
    return FipsPart.model_validate(
        {**values, "modules": modules, "non_system_crypto": crypto_files}
    )


def _build_stig(benchmark_id: str) -> StigPart | None:
    stig = find_stig(benchmark_id)
    if stig is None:
        return None
    field_names = StigPart.model_fields
    return StigPart.model_validate({name: getattr(stig, name) for name in field_names})


def _build_image(scan: Scan) -> ImagePart | None:
    if scan.image is None:
        return None
    return ImagePart(
        name=replace_control_characters(scan.image.name),
        sha256=scan.image.sha256,
        provenance_statement_sha256=scan.image.provenance_statement_sha256,
    )


def _build_check(check: HostCheck, waiver: Waiver | None) -> CheckPart:
    part = CheckPart(
        name=replace_control_characters(check.name),
        outcome=check.outcome,
        message=replace_control_characters(check.message),
        observed=replace_control_characters(check.observed),
        duration_s=_to_json_number(check.duration_s) or 0,
    )
    definition = check.definition
    if definition is None:
        return part
    return part.model_copy(
        update={
            "title": definition.title,
            "severity": definition.severity,
            "nist": definition.nist,
            "rationale": definition.rationale,
            "remedy": definition.remedy,
            "waiver": _build_waiver(waiver),
        }
    )


def _build_compatibility(scan: Scan) -> CompatibilityPart | None:
    if scan.compatibility is None:
        return None
    return CompatibilityPart(
        confinement=replace_control_characters(scan.compatibility.confinement),
        results=tuple(_build_compatibility_result(p, scan) for p in scan.compatibility.results),
    )


def _build_compatibility_result(result: CompatibilityResult, scan: Scan) -> CompatibilityResultPart:
    return CompatibilityResultPart(
        conflict=replace_control_characters(result.conflict),
        row=replace_control_characters(result.row),
        title=replace_control_characters(result.title),
        rules=tuple(map(replace_control_characters, result.rules)),
        resolution=replace_control_characters(result.resolution),
        verdict=result.verdict.value,
        reason=replace_control_characters(result.reason),
        waiver=_find_compatibility_waiver(result, scan),
        control=_build_compatibility_check(result.control),
        workload=_build_compatibility_check(result.workload),
    )


def _find_compatibility_waiver(result: CompatibilityResult, scan: Scan) -> WaiverPart | None:
    """Why the control is left as it is, where that alone failed and a rule of it is waived."""
    if result.control.outcome is not CompatibilityOutcome.VIOLATED or result.workload.outcome in (
        CompatibilityOutcome.VIOLATED,
        CompatibilityOutcome.ERROR,
    ):
        return None
    ids = (RULE_PREFIX + name for name in result.content)
    return next((_build_waiver(scan.waivers[i]) for i in ids if i in scan.waivers), None)


def _build_waiver(waiver: Waiver | None) -> WaiverPart | None:
    if waiver is None:
        return None
    return WaiverPart(
        reason=replace_control_characters(waiver.reason),
        owner=replace_control_characters(waiver.owner),
        expires=waiver.expires,
        is_active=waiver.is_active,
    )


def _build_compatibility_check(result: CheckResult) -> CompatibilityCheckPart:
    return CompatibilityCheckPart(
        outcome=result.outcome.value,
        inspected=replace_control_characters(result.inspected),
        expected=replace_control_characters(result.expected),
        observed=replace_control_characters(result.observed),
    )


def _build_rules(scan: Scan) -> tuple[RulePart, ...]:
    return tuple(
        RulePart(
            rule_id=replace_control_characters(r.rule_id),
            title=replace_control_characters(r.title),
            severity=parse_severity(r.severity),
            disa_severity=cast(DisaSeverity, r.disa_severity),
            role=cast(RoleName, r.role),
            verdict=cast(VerdictName, r.verdict.value),
            waiver=_build_waiver(scan.waivers.get(r.rule_id)),
            stig_ids=tuple(map(replace_control_characters, r.stig_ids)),
            sv_ids=tuple(map(replace_control_characters, r.sv_ids)),
            nist=tuple(map(replace_control_characters, r.nist)),
            ccis=tuple(map(replace_control_characters, r.ccis)),
            group_ids=tuple(map(replace_control_characters, r.group_ids)),
            cce=replace_control_characters(r.cce),
            engine=replace_control_characters(r.engine),
            evidence_lines=tuple(map(replace_control_characters, r.evidence_lines)),
            rationale=replace_control_characters(r.rationale),
            fix_text=replace_control_characters(r.fix_text),
        )
        for r in scan.evaluation.results
    )


def _to_ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()


def _to_json_number(number: float) -> Number | None:
    if not math.isfinite(number) or abs(number) > 2**53:
        return None
    rounded = round(number, 4)
    return int(rounded) if rounded == int(rounded) else rounded
