"""Validate the reply of the process that parses an ARF.

The reply is as untrusted as the ARF: a compromised process can write anything.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from hardpan.core.errors import ToolError
from hardpan.scanners.model.verdict import Verdict
from hardpan.scanners.openscap.arf.parser import (
    MAX_EVIDENCE_LINES,
    MAX_ID,
    MAX_PLATFORMS,
    MAX_RULE_RESULTS,
    MAX_RULES,
    MAX_TEXT,
    MAX_VALUES,
)
from hardpan.scanners.openscap.arf.results import (
    MAX_VALUE_IDS,
    XSD_DATETIME_PATTERN,
    Arf,
    ArfRuleResult,
)
from hardpan.scanners.openscap.arf.state import MAX_LINE


class _WireModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _require_printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected a printable line")
    return text


_Id = Annotated[str, Field(max_length=MAX_ID)]
_Time = Annotated[str, Field(pattern=f"^({XSD_DATETIME_PATTERN})?$")]
_Line = Annotated[str, Field(max_length=MAX_LINE), AfterValidator(_require_printable)]


class _RuleResultMessage(_WireModel):
    rule_id: _Id
    verdict: Verdict
    severity: Literal["high", "medium", "low", "unknown", "info"]
    role: Literal["full", "unscored", "unchecked"]
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    result_count: Annotated[int, Field(ge=1, le=MAX_RULE_RESULTS)]
    engine: Literal["OVAL", "SCE", "OVAL, SCE", ""]
    value_ids: Annotated[tuple[_Id, ...], Field(max_length=MAX_VALUE_IDS, strict=False)]
    evidence_lines: Annotated[tuple[_Line, ...], Field(max_length=MAX_EVIDENCE_LINES, strict=False)]
    incomplete: bool


class _ArfMessage(_WireModel):
    benchmark_version: _Id
    profile_id: _Id
    started: _Time
    finished: _Time
    score: Annotated[float, Field(ge=0, le=100)]
    rules: Annotated[dict[_Id, _RuleResultMessage], Field(max_length=MAX_RULES + 1)]
    not_selected: Annotated[tuple[_Id, ...], Field(max_length=MAX_RULES + 1, strict=False)]
    values: Annotated[
        dict[_Id, Annotated[str, Field(max_length=MAX_TEXT)]], Field(max_length=MAX_VALUES)
    ]
    platforms: Annotated[tuple[_Id, ...], Field(max_length=MAX_PLATFORMS, strict=False)]


class _WorkerReply(_WireModel):
    arf: _ArfMessage | None = None
    refused: Annotated[str, Field(max_length=10_000)] = ""


def parse_reply(data: bytes, name: str) -> Arf:
    """Parse and validate the process's reply.

    Raises:
        ToolError: the ARF cannot be parsed, or the reply is malformed.
    """
    try:
        reply = _WorkerReply.model_validate_json(data)
    except ValidationError as e:
        raise ToolError([f"the ARF {name}"], "was not read: the reply is malformed") from e
    report = reply.arf
    if report is None:
        raise ToolError([f"the ARF {name}"], reply.refused or "was not read") from None
    if any(key != result.rule_id for key, result in report.rules.items()):
        raise ToolError([f"the ARF {name}"], "was not read: the reply is malformed")
    return Arf(
        benchmark_version=report.benchmark_version,
        profile_id=report.profile_id,
        started=report.started,
        finished=report.finished,
        score=report.score,
        rules={key: ArfRuleResult(**dict(result)) for key, result in report.rules.items()},
        not_selected=report.not_selected,
        values=report.values,
        platforms=report.platforms,
    )
