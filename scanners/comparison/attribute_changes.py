"""Compare the attributes, counts and smoke test measurements of two scans."""

from collections.abc import Mapping

from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.comparison.model import CountChange, MeasureChange
from hardpan.scanners.report.model.content_sections import ContentPart
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.scanners.report.model.scan_changes import AttributeChange
from hardpan.scanners.report.model.types import HOST_KEY_TRUST_TEXT, SEVERITIES, VERDICTS, Number

_MAX_PERCENT = 1_000_000
_MAX_ENGINE_RULES = 12
"""Names of rules on one line."""


def compare_attributes(
    baseline: Findings,
    current: Findings,
    smoke: tuple[SmokeDocument | None, SmokeDocument | None],
) -> tuple[AttributeChange, ...]:
    """Return the attributes that differ, the most important first."""
    baseline_attributes, current_attributes = (
        {**_list_attributes(baseline), **_smoke_attributes(smoke[0])},
        {**_list_attributes(current), **_smoke_attributes(smoke[1])},
    )
    return tuple(
        AttributeChange(
            name=name,
            baseline=baseline_attributes.get(name, ""),
            current=current_attributes.get(name, ""),
        )
        for name in {**baseline_attributes, **current_attributes}
        if baseline_attributes.get(name, "") != current_attributes.get(name, "")
    )


def compare_counts(baseline: Findings, current: Findings) -> tuple[CountChange, ...]:
    """Return the counts of verdicts, open findings and checks that differ."""
    baseline_counts, current_counts = _count_all(baseline), _count_all(current)
    return tuple(
        CountChange(name=n, baseline=baseline_counts.get(n, 0), current=current_counts.get(n, 0))
        for n in {**baseline_counts, **current_counts}
        if baseline_counts.get(n, 0) != current_counts.get(n, 0)
    )


def describe_engine_changes(baseline: Findings, current: Findings) -> str:
    """List the rules that another engine evaluated, OVAL or SCE; empty if there are none."""
    engine_by_rule = {r.rule_id: r.engine for r in baseline.rules}
    names = [
        shorten_id(rule.rule_id)
        for rule in current.rules
        if rule.engine and engine_by_rule.get(rule.rule_id, "") not in ("", rule.engine)
    ]
    if not names:
        return ""
    listed = ", ".join(names[:_MAX_ENGINE_RULES])
    omitted = len(names) - _MAX_ENGINE_RULES
    more = f" and {omitted} more" if omitted > 0 else ""
    return (
        f"the engines differ (OVAL or SCE) for {listed}{more}: verdicts may differ for that reason"
    )


def compare_measures(
    baseline: SmokeDocument | None, current: SmokeDocument | None
) -> tuple[MeasureChange, ...]:
    """Return every measurement of either smoke test, with its relative change."""
    baseline_measures = {m.name: m for m in baseline.measures} if baseline else {}
    current_measures = {m.name: m for m in current.measures} if current else {}
    changes = []
    for name in {**baseline_measures, **current_measures}:
        baseline_measure, current_measure = baseline_measures.get(name), current_measures.get(name)
        measure = current_measure or baseline_measure
        # Different units under one name are not comparable.
        is_same_unit = (
            baseline_measure is not None
            and current_measure is not None
            and baseline_measure.unit == current_measure.unit
        )
        if measure is None or not (
            is_same_unit or baseline_measure is None or current_measure is None
        ):
            continue
        values = (
            _to_json_number(baseline_measure.value if baseline_measure else None),
            _to_json_number(current_measure.value if current_measure else None),
        )
        changes.append(
            MeasureChange(
                name=name,
                unit=measure.unit,
                direction=measure.direction,
                baseline=values[0],
                current=values[1],
                percent=_relative_change(*values),
            )
        )
    return tuple(changes)


def _relative_change(baseline: Number | None, current: Number | None) -> Number | None:
    if baseline is None or current is None or baseline == 0:
        return None
    percent = (current - baseline) / abs(baseline) * 100
    return _to_json_number(round(percent, 1)) if abs(percent) <= _MAX_PERCENT else None


def _to_json_number(number: Number | None) -> Number | None:
    """Round to what canonical JSON accepts; foreign evidence may contain other numbers."""
    if number is None or not -(10**15) < number < 10**15:
        return None
    rounded = round(number, 4)
    return int(rounded) if rounded == int(rounded) else rounded


def _list_attributes(findings: Findings) -> dict[str, str]:
    host, content, image, fips = findings.host, findings.content, findings.image, findings.fips
    attributes = {
        "profile": findings.profile,
        "host key": host.host_key_sha256,
        "host key trust": HOST_KEY_TRUST_TEXT[host.host_key_trust],
        "machine": host.machine_id_hmac,
        "system": f"{host.os_name} {host.os_version}".strip(),
        "kernel": host.kernel,
        "kernel command line": host.cmdline,
        "FIPS mode": "on" if host.fips_kernel_flag else "off",
        "image": f"{image.name} sha256:{image.sha256}" if image else "not built by hardpan",
        "content": f"{content.name} {content.version}",
        "data stream": f"sha256:{content.derived_sha256}",
        "SCAP profile": content.profile_id,
        "tailoring": _describe_tailoring(content),
        "engine": content.engine,
        "score": findings.score,
    }
    if fips is not None:
        attributes |= {
            "OpenSSL FIPS provider": f"{fips.provider_active} {fips.provider_version}".strip(),
            "crypto policy": fips.crypto_policy,
            **{f"module {m.name}": f"{m.nevra}, certificate: {m.state}" for m in fips.modules},
        }
    return attributes


def _describe_tailoring(content: ContentPart) -> str:
    tailoring = content.tailoring
    if tailoring is None:
        return "none"
    return f"{tailoring.file} sha256:{tailoring.sha256}, {tailoring.describe_effect()}"


def _smoke_attributes(smoke: SmokeDocument | None) -> dict[str, str]:
    if smoke is None:
        return {"smoke test": "did not run"}
    return {
        "smoke test": smoke.verdict,
        "framework": f"{smoke.framework}, {smoke.backend}",
        "model": f"{smoke.model} sha256:{smoke.model_sha256}",
        "processor": smoke.environment.get("cpu", ""),
    }


def _count_all(findings: Findings) -> Mapping[str, int]:
    open_counts = findings.count_open_by_severity()
    totals = {v: findings.counts[v] for v in VERDICTS}
    totals |= {f"open {s}": open_counts[s] for s in SEVERITIES}
    open_check_counts = findings.count_open_checks_by_severity()
    totals |= {f"open checks {s}": open_check_counts.get(s, 0) for s in SEVERITIES[:3]}
    totals["waived"] = sum(r.is_waived for r in findings.rules_and_checks)
    totals |= {f"checks {o}": n for o, n in findings.count_checks_by_outcome().items()}
    if findings.compatibility is not None:
        totals |= {
            f"compatibility {v}": n for v, n in findings.compatibility.count_verdicts().items()
        }
    return totals
