"""Parse an ARF in a process with limits on memory and time, and validate that process's reply.

The reply is as untrusted as the ARF: a compromised process can write anything.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from hardpan.core.compression import CompressedBlob
from hardpan.core.errors import ResourceError, ToolError
from hardpan.core.process import pipe_through
from hardpan.core.resources import resource_path
from hardpan.scanners.model.scan import Verdict
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
    UnreadableArf,
    compress_while,
)
from hardpan.scanners.openscap.arf.state import MAX_LINE

# -I: nothing of the user's environment or of the working folder is imported. If hardpan is not
# installed into this Python (a checkout, a folder of the user), sys.path gets its location.
_START = (
    "import sys; sys.path.append(sys.argv.pop(1)); "
    "from hardpan.scanners.openscap.arf.worker import main; sys.exit(main(*sys.argv[1:]))"
)
_ROOT = resource_path("hardpan").parent
_MAX_REPLY_BYTES = 64 << 20
_MAX_REASON_CHARS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class ArfLimits:
    """Resource limits for parsing one ARF."""

    memory_mib: int = 512
    """Address space of the parsing process."""

    time_s: float = 55.0
    """Wall-clock seconds, and processor seconds of the process."""


LIMITS = ArfLimits()
"""More than four times what an ARF of 38 MB needs."""


def read_arf(
    chunks: Iterable[bytes], *, name: str, limits: ArfLimits = LIMITS
) -> tuple[Arf | UnreadableArf, CompressedBlob | None]:
    """Parse an ARF and compress it as an attachment; without a verdict, no attachment either.

    Raises:
        ResourceError: this machine cannot start the process.
    """
    argv = [sys.executable, "-I", "-c", _START, str(_ROOT), name]
    argv += [str(limits.memory_mib), str(max(1, int(limits.time_s)))]

    def parse_in_process(stream: Iterator[bytes]) -> Arf:
        is_complete = False

        def watch_end() -> Iterator[bytes]:
            nonlocal is_complete
            yield from stream
            is_complete = True

        reply = pipe_through(
            argv, watch_end(), timeout_s=limits.time_s, max_output_bytes=_MAX_REPLY_BYTES
        )
        arf = _parse_reply(reply, name)
        if not is_complete:
            raise ToolError([f"the ARF {name}"], "was not read completely")
        return arf

    try:
        return compress_while(parse_in_process, chunks)
    except ResourceError:
        raise
    except ToolError as e:
        reason = str(e).removeprefix(f"{sys.executable} ")
        if reason != str(e):
            limits_text = f"{limits.time_s:g} s and {limits.memory_mib} MiB"
            reason = f"the ARF {name} cannot be read within {limits_text}: its process {reason}"
        return UnreadableArf(reason=_to_printable(reason)), None


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


def _parse_reply(data: bytes, name: str) -> Arf:
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


def _to_printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:_MAX_REASON_CHARS]
