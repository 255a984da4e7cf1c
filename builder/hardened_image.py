"""A hardened image, and the results of the assessment and hardening stages as data.

A stage's result is stored as JSON, in which tuples are lists.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hardpan.builder.artifacts import (
    Assessment,
    DiskImage,
    ImageFile,
    LayerResult,
    RuleOutcome,
    StackResult,
)
from hardpan.core.files import Sha256
from hardpan.core.stage_cache import StageResult
from hardpan.profiles.schema.ssg import Fix


@dataclass(frozen=True, slots=True, kw_only=True)
class HardenedImage:
    """A hardened and generalized image, and how it was built."""

    disk: DiskImage
    layers: tuple[LayerResult, ...]
    baseline_counts: dict[str, int]
    """Verdict -> number of rules, before the layers."""

    packages: tuple[str, ...]
    """NEVRAs in the image, sorted."""

    started: str
    finished: str

    package_headers: dict[str, str] = field(default_factory=dict)
    """NEVRA -> SHA-256 of the package's header in the rpm database."""

    files: tuple[ImageFile, ...] = ()
    """The qcow2, then the image's other formats; empty until they are written."""

    @property
    def converted(self) -> tuple[ImageFile, ...]:
        """The other formats."""
        return self.files[1:]

    @property
    def stacks(self) -> tuple[StackResult, ...]:
        """The Python stacks of all layers."""
        return tuple(stack for layer in self.layers for stack in layer.stacks)

    def count_rule_outcomes(self) -> dict[str, int]:
        """Outcome of the ``stig`` layer's fixes -> number of rules."""
        count = Counter(o.outcome for layer in self.layers for o in layer.outcomes)
        return dict(sorted(count.items()))


def read_fix(data: dict[str, Any]) -> Fix:
    """Return a fix from the stage's JSON, in which tuples are lists."""
    return Fix(
        rule_id=data["rule_id"],
        severity=data["severity"],
        script=data["script"],
        stig_ids=tuple(data["stig_ids"]),
        sv_ids=tuple(data["sv_ids"]),
        cce=data["cce"],
    )


def read_assessment(result: StageResult, content_sha256: Sha256) -> Assessment:
    """Return the assessment that its stage has stored."""
    counts, fixes = result["counts"], result["fixes"]
    assert isinstance(counts, dict)  # noqa: S101 - written by the stage
    assert isinstance(fixes, list)  # noqa: S101
    return Assessment(
        content_sha256=content_sha256,
        counts={str(k): int(v) for k, v in counts.items()},
        fixes=tuple(read_fix(fix) for fix in fixes),
    )


def read_layer_result(data: Any) -> LayerResult:
    """Return the result of a layer that its stage has stored."""
    outcomes, stacks_list = data["outcomes"], data.get("stacks", ())
    assert isinstance(outcomes, list | tuple)  # noqa: S101
    assert isinstance(stacks_list, list | tuple)  # noqa: S101
    return LayerResult(
        layer=str(data["layer"]),
        changed_tasks=int(str(data["changed_tasks"])),
        duration_s=float(str(data["duration_s"])),
        outcomes=tuple(RuleOutcome(**outcome) for outcome in outcomes),
        stacks=tuple(StackResult.from_json(stack) for stack in stacks_list),
    )
