"""Two ways to mend one host, rule by rule. Pure: three scans give one answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from hardpan.scanners.model import Evaluation, Verdict

BAD = (Verdict.FAIL, Verdict.ERROR, Verdict.UNKNOWN)
WORTH = 1 / 3
"""Our layer is to need at most this part of the playbook's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A rule that the playbook mends and we leave as it was."""

    rule: str
    verdict: str
    reason: str
    waived: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Who mended what."""

    before: int
    """Rules that failed on a fresh host."""

    mended: int
    """Of them, those that pass after our layer."""

    mended_by_playbook: int
    left: tuple[Left, ...]
    only_ours: tuple[str, ...]
    broken: tuple[str, ...]
    """Rules that passed on the fresh host and fail after our layer."""

    broken_by_playbook: tuple[str, ...]

    still_bad: tuple[str, ...]
    """Rules that fail after our layer and that the profile does not except."""

    @property
    def unwaived(self) -> tuple[Left, ...]:
        """What is left without a waiver of the profile."""
        return tuple(x for x in self.left if not x.waived)


def compared(
    before: Evaluation,
    ours: Evaluation,
    theirs: Evaluation,
    *,
    waived: Mapping[str, str],
    told: Mapping[str, str],
) -> Compared:
    """Who mended what; ``told`` is what our layer said of the rules it did not mend."""
    first, own, other = (_verdicts(x) for x in (before, ours, theirs))
    bad = [r for r, v in first.items() if v in BAD]
    good = [r for r, v in first.items() if v == Verdict.PASS]
    by_us = {r for r in bad if own.get(r) == Verdict.PASS}
    by_them = {r for r in bad if other.get(r) == Verdict.PASS}
    return Compared(
        before=len(bad),
        mended=len(by_us),
        mended_by_playbook=len(by_them),
        left=tuple(
            Left(
                rule=_short(r),
                verdict=own.get(r, Verdict.ERROR).value,
                reason=waived.get(r) or told.get(r) or "no reason is known",
                waived=r in waived,
            )
            for r in sorted(by_them - by_us)
        ),
        still_bad=tuple(_short(r) for r, v in own.items() if v in BAD and r not in waived),
        only_ours=tuple(sorted(_short(r) for r in by_us - by_them)),
        broken=tuple(sorted(_short(r) for r in good if own.get(r) in BAD)),
        broken_by_playbook=tuple(sorted(_short(r) for r in good if other.get(r) in BAD)),
    )


def _verdicts(made: Evaluation) -> dict[str, Verdict]:
    return {r.rule_id: r.verdict for r in made.results}


def _short(rule_id: str) -> str:
    return rule_id.rpartition("_rule_")[2]
