"""The page's charts as plain numbers; the template draws them as SVG, without a script."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hardpan.scanners.report.model.documents import MeasurePart, SmokeDocument
from hardpan.scanners.report.model.types import Number

_BAR = ("pass", "fail", "error", "unknown", "notchecked", "informational", "notapplicable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One coloured part of a bar of counts."""

    verdict: str
    n: int
    x: float
    """Where it begins, in per cent."""

    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureBar:
    """One figure on its chart's axis."""

    measure: MeasurePart
    value_text: str
    """The median in few digits; a dash where there is none."""

    spread: str
    """From the lowest to the highest."""

    median_percent: float | None
    """The median, in per cent of the axis; None where there is none."""

    low_percent: float
    high_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Figures of one unit on one axis that begins at zero."""

    unit: str
    axis_end: str
    """The axis' end."""

    bars: tuple[MeasureBar, ...]

    @property
    def direction_label(self) -> str:
        """Which way is better, where that is one way for all of them."""
        directions = {s.measure.direction for s in self.bars}
        return f"{directions.pop()} is better" if len(directions) == 1 else ""

    @property
    def description(self) -> str:
        """What the picture shows, in words."""
        parts = (
            f"{s.measure.name}: {s.value_text}{s.spread and f' ({s.spread})'}" for s in self.bars
        )
        return f"Medians in {self.unit}, from 0 to {self.axis_end}. " + "; ".join(parts)


def build_segments(counts: Mapping[str, int]) -> tuple[Segment, ...]:
    """The parts of a bar, left to right; together 100 per cent."""
    total = sum(counts.values())
    result: list[Segment] = []
    offset_percent = 0.0
    for verdict in _BAR:
        n = counts.get(verdict, 0) + (counts.get("fixed", 0) if verdict == "pass" else 0)
        if n and total:
            width = 100 * n / total
            result.append(
                Segment(verdict=verdict, n=n, x=round(offset_percent, 3), width=round(width, 3))
            )
            offset_percent += width
    return tuple(result)


def build_charts(smoke: SmokeDocument) -> tuple[Chart, ...]:
    """One chart for each unit, in the order the figures come in."""
    measures_by_unit: dict[str, list[MeasurePart]] = {}
    for measure in smoke.measures:
        measures_by_unit.setdefault(measure.unit, []).append(measure)
    return tuple(_build_chart(unit, measures) for unit, measures in measures_by_unit.items())


def format_figure(number: Number | None) -> str:
    """Four digits that matter, thousands apart; a dash for no value."""
    if number is None:
        return "–"  # noqa: RUF001  a dash, as it is printed
    if number and abs(number) < 0.001:
        return f"{number:.3g}"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def _build_chart(unit: str, measures: list[MeasurePart]) -> Chart:
    values = [v for m in measures for v in (m.value, m.minimum, m.maximum) if v is not None]
    top = _round_up_axis(max(values, default=0))
    return Chart(
        unit=unit, axis_end=format_figure(top), bars=tuple(_build_bar(m, top) for m in measures)
    )


def _build_bar(measure: MeasurePart, top: float) -> MeasureBar:
    median = _percent_of_axis(measure.value, top)
    low, high = _percent_of_axis(measure.minimum, top), _percent_of_axis(measure.maximum, top)
    has_spread = measure.n > 1 and measure.minimum is not None and measure.maximum is not None
    return MeasureBar(
        measure=measure,
        value_text=format_figure(measure.value),
        spread=f"{format_figure(measure.minimum)} to {format_figure(measure.maximum)}"
        if has_spread
        else "",
        median_percent=median,
        low_percent=low if low is not None else median or 0,
        high_percent=high if high is not None else median or 0,
    )


def _percent_of_axis(value: Number | None, top: float) -> float | None:
    """``value`` in per cent of the axis; values outside the axis are clamped."""
    return None if value is None else round(min(100.0, max(0.0, 100 * value / top)), 2)


def _round_up_axis(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten: where an axis may end."""
    if value <= 0:
        return 1
    power = 10.0 ** math.floor(math.log10(value))
    return next(s * power for s in (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 20) if s * power >= value)
