"""Run plain ``oscap xccdf eval`` on a data stream and read its TestResult."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from hardpan.core.errors import ToolError
from hardpan.core.process import run
from hardpan.scanners.content.scap_xml import XCCDF, create_parser

EVALUATED = (0, 2)
"""Exit statuses of oscap: everything passed, or something did not."""

CRASHED = -1
"""Stands for a signal that ended oscap."""

RuleOutcome = tuple[str, str, str, float]
"""Result, severity, role and weight of one rule-result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OscapResult:
    """What oscap reported for the rules that it evaluated."""

    exit_status: int
    message: str
    """Its stderr."""

    rules: dict[str, list[RuleOutcome]]
    """Rule id -> outcomes, without rules that are not selected."""

    values: dict[str, str]
    """Value id -> value, as in ``set-value``."""

    score: float = 0.0
    """By the default model, 0 to 100."""


def evaluate(
    data: bytes,
    profile_id: str,
    folder: Path,
    *,
    tailoring: bytes | None = None,
    validates: bool = False,
    timeout_s: float = 600,
    root: Path | None = None,
) -> OscapResult:
    """Evaluate a data stream on this machine, or on the files of the folder ``root``."""
    environment = {} if root is None else {"OSCAP_PROBE_ROOT": str(root)}
    stream, results = folder / "ds.xml", folder / "results.xml"
    stream.write_bytes(data)
    results.unlink(missing_ok=True)
    argv = ["oscap", "xccdf", "eval", "--profile", profile_id, "--results-arf", str(results)]
    argv += [] if validates else ["--skip-validation"]
    if tailoring is not None:
        (folder / "tailoring.xml").write_bytes(tailoring)
        argv += ["--tailoring-file", str(folder / "tailoring.xml")]
    try:
        process = run([*argv, str(stream)], timeout_s=timeout_s, ok=range(256), env=environment)
    except ToolError as error:
        return OscapResult(exit_status=CRASHED, message=str(error), rules={}, values={})
    if process.returncode not in EVALUATED or not results.exists():
        return OscapResult(
            exit_status=process.returncode, message=process.stderr, rules={}, values={}
        )
    return _read_results(results, process.returncode, process.stderr)


def _read_results(path: Path, exit_status: int, message: str) -> OscapResult:
    rules: dict[str, list[RuleOutcome]] = defaultdict(list)
    values: dict[str, str] = {}
    # The source data stream comes before the result, and may contain results.
    *_, result = etree.parse(path, create_parser()).iter(XCCDF + "TestResult")
    for value in result.iterchildren(XCCDF + "set-value"):
        values[value.get("idref", "")] = value.text or ""
    for rule in result.iterchildren(XCCDF + "rule-result"):
        outcome = rule.findtext(XCCDF + "result", "")
        if outcome != "notselected":
            rules[rule.get("idref", "")].append(
                (
                    outcome,
                    rule.get("severity", ""),
                    rule.get("role", ""),
                    float(rule.get("weight", "nan")),
                )
            )
    return OscapResult(
        exit_status=exit_status,
        message=message,
        rules=dict(rules),
        values=values,
        score=float(result.findtext(XCCDF + "score", "nan")),
    )
