"""From two scans to what changed between them. Pure: no clock, no file.

A *regression* is something that held in the older scan and was not seen to hold
in the newer one. What was not looked at before cannot have become worse: it is
told, and not counted. A failure with a waiver that holds is told, and not
counted; ``docs/ledger.md`` has the table.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from hardpan.scanners.history import facts, packages
from hardpan.scanners.history.model import (
    Diff,
    Outcomes,
    Point,
    Regression,
    WaiverChange,
    Waivers,
)
from hardpan.scanners.report.changes import RuleChange
from hardpan.scanners.report.documents import Findings, SmokeDocument
from hardpan.scanners.report.fields import OPEN, SEVERITIES
from hardpan.scanners.report.parts import PairPart, Rule

PASSED = frozenset({"pass", "fixed"})
_WORST = ("error", "failed", "skipped", "passed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two scans."""

    findings: Findings
    smoke: SmokeDocument | None
    packages: tuple[str, ...] | None
    """NEVRAs; None where the list is not at hand."""


def diff(old: Side, new: Side, *, max_score_drop: Decimal | None = None) -> Diff:
    """What changed from ``old`` to ``new``.

    A lower score is no regression by itself, unless it fell by more than
    ``max_score_drop`` points.
    """
    before = {r.rule_id: r for r in old.findings.rules}
    after = {r.rule_id: r for r in new.findings.rules}
    moved = _moved(before, after)
    both = [c for c in moved if c.old is not None and c.new is not None]
    failing = [c for c in both if c.new in OPEN and c.old not in OPEN]
    fixed = [c for c in both if c.old in OPEN and c.new in PASSED]
    lists = old.packages is not None and new.packages is not None
    return Diff(
        old=_point(old.findings),
        new=_point(new.findings),
        notes=tuple(_notes(old.findings, new.findings)),
        facts=facts.facts(old.findings, new.findings, (old.smoke, new.smoke)),
        counts=facts.counts(old.findings, new.findings),
        failing=tuple(failing),
        fixed=tuple(fixed),
        changed=tuple(c for c in both if c not in failing and c not in fixed),
        came=tuple(c for c in moved if c.old is None),
        gone=tuple(c for c in moved if c.new is None),
        waivers=_waivers(before, after, _pairs(old.findings), _pairs(new.findings)),
        checks=tuple(_outcomes(_checks(old.findings), _checks(new.findings))),
        paired=tuple(_pair_outcomes(_pairs(old.findings), _pairs(new.findings))),
        figures=facts.figures(old.smoke, new.smoke),
        packages=packages.compare(old.packages or (), new.packages or ()) if lists else None,
        regressions=(
            *_worse_rules(before, after),
            *_worse_pairs(old.findings, new.findings),
            *_worse_checks(old.findings, new.findings),
            *_worse_whole(old, new, max_score_drop),
        ),
    )


def _point(found: Findings) -> Point:
    return Point(
        hostname=found.host.hostname,
        host_key_sha256=found.host.host_key_sha256,
        profile=found.profile,
        finished=found.finished,
        score=found.score,
    )


def _notes(old: Findings, new: Findings) -> Iterator[str]:
    if old.host.host_key_sha256 != new.host.host_key_sha256:
        same_machine = old.host.machine_id_hmac == new.host.machine_id_hmac != ""
        yield (
            "the machine has another host key now"
            if same_machine
            else "two different hosts are compared, or one that was installed anew"
        )
    elif old.host.machine_id_hmac != new.host.machine_id_hmac:
        yield "the host key is the same, the machine id is not: a clone, or installed anew"
    if new.finished < old.finished:
        yield "the newer scan is the older one by its own clock: are they in the right order?"
    if old.content.profile_id != new.content.profile_id:
        yield "the SCAP profiles differ: rules come and go by that, and the scores do not compare"
    elif old.content.derived_sha256 != new.content.derived_sha256:
        yield "the SCAP content differs: a verdict may have changed by that"
    if (old.paired is None) != (new.paired is None):
        yield "the paired checks ran in one of the two only"


def _moved(before: Mapping[str, Rule], after: Mapping[str, Rule]) -> list[RuleChange]:
    made = []
    for rule_id in before.keys() | after.keys():
        was, now = before.get(rule_id), after.get(rule_id)
        one = now or was
        if one is None or (was and now and was.verdict == now.verdict):
            continue
        made.append(
            RuleChange(
                rule_id=rule_id,
                title=one.title,
                severity=one.severity,
                stig_ids=one.stig_ids,
                old=was.verdict if was else None,
                new=now.verdict if now else None,
                waived=now.is_waived if now else False,
            )
        )
    return sorted(made, key=lambda c: (SEVERITIES.index(c.severity), c.rule_id))


def _waivers(
    before: Mapping[str, Rule],
    after: Mapping[str, Rule],
    pairs_before: Mapping[str, PairPart],
    pairs_after: Mapping[str, PairPart],
) -> Waivers:
    held: dict[str, tuple[Rule | PairPart | None, Rule | PairPart]] = {
        i: (before.get(i), r) for i, r in sorted(after.items()) if r.verdict in OPEN
    }
    held |= {
        f"paired:{i}": (pairs_before.get(i), p)
        for i, p in sorted(pairs_after.items())
        if p.verdict == "fail"
    }
    began, ended, changed = [], [], []
    for name, (was, now) in held.items():
        change = WaiverChange(name=name, old=was.waiver if was else None, new=now.waiver)
        waived = was is not None and _is_waived(was)
        if _is_waived(now) and not waived:
            began.append(change)
        elif waived and not _is_waived(now):
            ended.append(change)
        elif waived and change.old != change.new:
            changed.append(change)
    return Waivers(began=tuple(began), ended=tuple(ended), changed=tuple(changed))


def _is_waived(one: Rule | PairPart) -> bool:
    return one.is_waived and one.verdict in OPEN


def _pairs(found: Findings) -> dict[str, PairPart]:
    return {p.conflict: p for p in found.paired.pairs} if found.paired else {}


def _checks(found: Findings) -> dict[str, str]:
    """Name -> outcome, the worst one where a name appears twice."""
    made: dict[str, str] = {}
    for check in found.checks:
        was = made.get(check.name, check.outcome)
        made[check.name] = min(was, check.outcome, key=_WORST.index)
    return made


def _outcomes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Outcomes]:
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was != now:
            yield Outcomes(name=name, old=was, new=now)


def _pair_outcomes(
    before: Mapping[str, PairPart], after: Mapping[str, PairPart]
) -> Iterator[Outcomes]:
    verdicts = ({i: p.verdict for i, p in side.items()} for side in (before, after))
    for change in _outcomes(*verdicts):
        now = after.get(change.name)
        yield change.model_copy(update={"waived": now is not None and _is_waived(now)})


def _worse_rules(before: Mapping[str, Rule], after: Mapping[str, Rule]) -> Iterable[Regression]:
    made = []
    for rule_id, was in before.items():
        now = after.get(rule_id)
        passed = was.verdict in PASSED
        if now is None:
            lost = passed
        elif now.is_open:
            lost = passed or was.is_waived or was.verdict == "notapplicable"
        else:
            lost = passed and now.verdict in ("notchecked", "informational")
        if lost:
            said = "no longer selected" if now is None else now.verdict
            before_said = f"{was.verdict} with a waiver" if was.is_waived else was.verdict
            made.append(
                Regression(
                    kind="rule", name=rule_id, severity=was.severity, old=before_said, new=said
                )
            )
    return sorted(made, key=lambda r: (SEVERITIES.index(r.severity or "unknown"), r.name))


def _worse_pairs(old: Findings, new: Findings) -> Iterator[Regression]:
    before, after = _pairs(old), _pairs(new)
    held = sum(p.verdict == "pass" for p in before.values())
    if new.paired is None:
        if held:
            yield _whole("paired", "paired checks", f"{held} held", "did not run")
        return
    for conflict, was in sorted(before.items()):
        now = after.get(conflict)
        passed = was.verdict == "pass"
        if now is None:
            lost = passed
        elif now.verdict in ("fail", "error") and not _is_waived(now):
            lost = passed or was.verdict == "not_applicable" or _is_waived(was)
        else:
            lost = passed and now.verdict == "not_checked"
        if lost:
            before_said = f"{was.verdict} with a waiver" if _is_waived(was) else was.verdict
            yield _whole("paired", conflict, before_said, now.verdict if now else "no longer there")


def _worse_checks(old: Findings, new: Findings) -> Iterator[Regression]:
    before, after = _checks(old), _checks(new)
    held = [name for name, outcome in sorted(before.items()) if outcome == "passed"]
    if held and not after:
        yield _whole("check", "checks", f"{len(held)} passed", "did not run")
        return
    for name in held:
        now = after.get(name, "no longer there")
        if now != "passed":
            yield _whole("check", name, "passed", now)


def _worse_whole(old: Side, new: Side, max_score_drop: Decimal | None) -> Iterator[Regression]:
    if old.findings.host.fips_kernel_flag and not new.findings.host.fips_kernel_flag:
        yield _whole("fips", "FIPS mode", "on", "off")
    verdict = new.smoke.verdict if new.smoke else "did not run"
    if old.smoke is not None and old.smoke.verdict == "pass" != verdict:
        yield _whole("smoke", "smoke test", "pass", verdict)
    was, now = old.findings.score, new.findings.score
    if max_score_drop is not None and Decimal(was) - Decimal(now) > max_score_drop:
        yield _whole("score", "score", was, now)


def _whole(kind: str, name: str, old: str, new: str) -> Regression:
    return Regression(kind=kind, name=name, severity=None, old=old, new=new)
