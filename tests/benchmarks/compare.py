"""Compare two remediations of the same host, rule by rule. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from hardpan.scanners.model.scan import Evaluation, Verdict

FAILING_VERDICTS = (Verdict.FAIL, Verdict.ERROR, Verdict.UNKNOWN)
MAX_TIME_RATIO = 1 / 3
"""Maximum time of the STIG layer as a part of the playbook's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnremediatedRule:
    """A rule that the playbook remediates and the layer does not."""

    rule: str
    verdict: str
    reason: str
    waived: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Rules remediated by the layer and by the playbook."""

    failing_before: int
    """Rules that failed on a fresh host."""

    remediated: int
    """Of these, the rules that pass after the layer."""

    remediated_by_playbook: int
    unremediated: tuple[UnremediatedRule, ...]
    only_by_layer: tuple[str, ...]
    broken_by_layer: tuple[str, ...]
    """Rules that passed on the fresh host and fail after the layer."""

    broken_by_playbook: tuple[str, ...]

    still_failing: tuple[str, ...]
    """Rules that fail after the layer without a waiver of the profile."""

    @property
    def unwaived(self) -> tuple[UnremediatedRule, ...]:
        """Unremediated rules without a waiver of the profile."""
        return tuple(x for x in self.unremediated if not x.waived)


def compare(
    before: Evaluation,
    after_layer: Evaluation,
    after_playbook: Evaluation,
    *,
    waived: Mapping[str, str],
    reasons: Mapping[str, str],
) -> Comparison:
    """Compare both; ``reasons`` are the layer's outcomes of rules it did not remediate."""
    baseline_verdicts, layer_verdicts, playbook_verdicts = (
        _verdicts(x) for x in (before, after_layer, after_playbook)
    )
    failing = [r for r, v in baseline_verdicts.items() if v in FAILING_VERDICTS]
    passing = [r for r, v in baseline_verdicts.items() if v == Verdict.PASS]
    by_layer = {r for r in failing if layer_verdicts.get(r) == Verdict.PASS}
    by_playbook = {r for r in failing if playbook_verdicts.get(r) == Verdict.PASS}
    return Comparison(
        failing_before=len(failing),
        remediated=len(by_layer),
        remediated_by_playbook=len(by_playbook),
        unremediated=tuple(
            UnremediatedRule(
                rule=_short_name(r),
                verdict=layer_verdicts.get(r, Verdict.ERROR).value,
                reason=waived.get(r) or reasons.get(r) or "unknown reason",
                waived=r in waived,
            )
            for r in sorted(by_playbook - by_layer)
        ),
        still_failing=tuple(
            _short_name(r)
            for r, v in layer_verdicts.items()
            if v in FAILING_VERDICTS and r not in waived
        ),
        only_by_layer=tuple(sorted(_short_name(r) for r in by_layer - by_playbook)),
        broken_by_layer=tuple(
            sorted(_short_name(r) for r in passing if layer_verdicts.get(r) in FAILING_VERDICTS)
        ),
        broken_by_playbook=tuple(
            sorted(_short_name(r) for r in passing if playbook_verdicts.get(r) in FAILING_VERDICTS)
        ),
    )


def _verdicts(evaluation: Evaluation) -> dict[str, Verdict]:
    return {r.rule_id: r.verdict for r in evaluation.results}


def _short_name(rule_id: str) -> str:
    return rule_id.rpartition("_rule_")[2]
