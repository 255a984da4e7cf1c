"""The compatibility checks: one program runs on the target and reports two checks per conflict.

The target's answer is hostile: it can only report one of the outcomes of
``CompatibilityOutcome`` and a bounded text per check. What is inspected and expected, and whether
a conflict can be absent from a host at all, comes from the list of conflicts; the verdict is
computed here.
"""

import json
import shlex
from collections.abc import Mapping, Sequence

from hardpan.core.errors import ToolError
from hardpan.core.events import Emit
from hardpan.core.resources import resource_path
from hardpan.scanners.collect.base import CollectedEvidence, Collector, CollectTask
from hardpan.scanners.collect.preconditions import ROOT, Query, python
from hardpan.scanners.collect.raw_answers import AnswerLog
from hardpan.scanners.collect.untrusted import describe_error, parse_json, require_keys
from hardpan.scanners.compatibility.conflicts import Conflict, ConflictCheck, load_conflicts
from hardpan.scanners.compatibility.outcomes import combine_outcomes
from hardpan.scanners.model.results import (
    CheckResult,
    CompatibilityOutcome,
    CompatibilityReport,
    CompatibilityResult,
    CompatibilityVerdict,
    HostCheck,
)
from hardpan.ssh.connection import Connection

_WORKLOAD = resource_path("hardpan.scanners.collect.workload", "compatibility")
_MODULES = (
    *("tools", "native", "collective", "egress", "packages", "probes", "actions"),
    *("confinement", "facts", "host", "kernel", "rpm_packages", "session", "checks", "main"),
)
"""The program's files, each after those that it imports."""

_PYTHON = "/usr/bin/python3"
_MAX_BYTES = 1 << 20
_MAX_TEXT = 1000
_LABEL = "the compatibility checks"

# Reads the program from its standard input, so that no file is written on the target.
# systemd-run expands $ in arguments: there is none in it.
_BOOT = """
import json, sys, types
request = json.load(sys.stdin)
package = types.ModuleType("compatibility")
package.__path__ = []
sys.modules["compatibility"] = package
for name, source in request["sources"].items():
    module = types.ModuleType("compatibility." + name)
    module.__package__ = "compatibility"
    sys.modules["compatibility." + name] = module
    setattr(package, name, module)
    exec(compile(source, "<compatibility " + name + ">", "exec"), module.__dict__)
getattr(package, request["module"]).main(request["arguments"])
"""


class CompatibilityChecks(Collector):
    """Runs both checks of every known conflict."""

    def collect(
        self, connection: Connection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Return the report, as ``run_compatibility_checks`` does."""
        return CollectedEvidence(
            compatibility=run_compatibility_checks(
                connection, timeout_s=timeout_s, log=task.answer_log
            )
        )

    def build_failed_evidence(self, task: CollectTask, check: HostCheck) -> CollectedEvidence:
        """Return a report in which every check is an ``error`` or not tested, as ``check``."""
        return CollectedEvidence(compatibility=failed_report(check))


def run_compatibility_checks(
    connection: Connection, *, timeout_s: float, log: AnswerLog | None = None
) -> CompatibilityReport:
    """Run both checks of every known conflict on the target.

    Raises:
        UnavailableError: the target lacks Python or root rights.
        ToolError: the program fails there, or its output is invalid.
        UnreachableError: the connection broke.
    """
    query = Query(
        script=shlex.join(["exec", _PYTHON, "-I", "-c", _BOOT]), needs=(ROOT, python(_PYTHON))
    )
    output = connection.run(
        query.command_line,
        timeout_s=timeout_s,
        ok=(0, *query.missing_statuses),
        stdin=build_program(),
        sudo=True,
        max_bytes=_MAX_BYTES,
    )
    if log is not None:
        log.add("compatibility", query.script, output.exit_status, output.data)
    query.require_met(output.exit_status)
    return parse_report(output.data, load_conflicts())


def failed_report(check: HostCheck) -> CompatibilityReport:
    """Return the report of a program that did not run, or whose output cannot be read."""
    outcome = CompatibilityOutcome.ERROR
    if check.outcome == "not_checked":
        outcome = CompatibilityOutcome.NOT_TESTED
    outcomes = dict.fromkeys(("control", "workload"), (outcome, check.message))
    return CompatibilityReport(
        confinement="", results=tuple(_build_result(c, outcomes) for c in load_conflicts())
    )


def build_program() -> bytes:
    """Build the request that is sent to the target: the program and its arguments."""
    sources = {name: (_WORKLOAD / f"{name}.py").read_text("utf-8") for name in _MODULES}
    # The order of the files counts, so this is no canonical JSON.
    arguments = {"boot": _BOOT, "sources": sources}
    request = {"sources": sources, "module": "main", "arguments": arguments}
    return json.dumps(request).encode()


def parse_report(data: bytes, expected_conflicts: Sequence[Conflict]) -> CompatibilityReport:
    """Compute the verdicts from the output of the program.

    Raises:
        ToolError: it is not the expected JSON.
    """
    try:
        payload = require_keys(parse_json(data), ("confinement", "conflicts"))
        checks_by_conflict = payload["conflicts"]
        if not isinstance(checks_by_conflict, dict):
            raise TypeError("expected an object of conflicts")
        unexpected = sorted(set(checks_by_conflict) - {c.id for c in expected_conflicts})
        if unexpected:
            raise ValueError(f"an unlisted conflict: {unexpected[0][:40]!a}")
        results = tuple(_parse_result(c, checks_by_conflict.get(c.id)) for c in expected_conflicts)
        return CompatibilityReport(
            confinement=_sanitize_line(payload["confinement"]), results=results
        )
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise ToolError(
            [_LABEL], f"returned output that cannot be read: {describe_error(e)}"
        ) from e


def _parse_result(conflict: Conflict, value: object) -> CompatibilityResult:
    if value is None:
        no_answer = (CompatibilityOutcome.NOT_TESTED, "the target gave no answer")
        outcomes = {"control": no_answer, "workload": no_answer}
    else:
        checks = require_keys(value, ("control", "workload"))
        outcomes = {name: _parse_outcome(check, conflict) for name, check in checks.items()}
    return _build_result(conflict, outcomes)


def _build_result(
    conflict: Conflict, outcomes: Mapping[str, tuple[CompatibilityOutcome, str]]
) -> CompatibilityResult:
    control = _build_check_result(conflict.control, *outcomes["control"])
    workload = _build_check_result(conflict.workload, *outcomes["workload"])
    return CompatibilityResult(
        conflict=conflict.id,
        row=conflict.row,
        title=conflict.title,
        rules=conflict.rules,
        content=conflict.content,
        resolution=conflict.resolution,
        verdict=CompatibilityVerdict(combine_outcomes(control.outcome, workload.outcome)),
        reason=_explain_verdict(control, workload),
        control=control,
        workload=workload,
    )


def _parse_outcome(value: object, conflict: Conflict) -> tuple[CompatibilityOutcome, str]:
    if not isinstance(value, list) or len(value) != 2:
        raise TypeError("expected an outcome and an observation")
    outcome, observed = CompatibilityOutcome(value[0]), _sanitize_line(value[1])
    if outcome is CompatibilityOutcome.NOT_APPLICABLE and conflict.needs is None:
        return (
            CompatibilityOutcome.ERROR,
            f"reported as not applicable, but the conflict applies to every host: {observed}",
        )
    return outcome, observed


def _build_check_result(
    definition: ConflictCheck, outcome: CompatibilityOutcome, observed: str
) -> CheckResult:
    return CheckResult(
        outcome=outcome,
        inspected=definition.inspects,
        expected=definition.expects,
        observed=observed,
    )


def _explain_verdict(control: CheckResult, workload: CheckResult) -> str:
    """Return the observations of the checks that decided the verdict."""
    checks = (("control", control), ("workload", workload))
    unsatisfied = [
        (name, h) for name, h in checks if h.outcome is not CompatibilityOutcome.SATISFIED
    ]
    if not unsatisfied:
        return "the control is in force and the workload runs"
    worst = next(v for v in _WORST_FIRST if any(h.outcome is v for _, h in unsatisfied))
    return "; ".join(
        f"{name}: {h.observed or worst}" for name, h in unsatisfied if h.outcome is worst
    )


_WORST_FIRST = (
    CompatibilityOutcome.VIOLATED,
    CompatibilityOutcome.ERROR,
    CompatibilityOutcome.NOT_APPLICABLE,
    CompatibilityOutcome.NOT_TESTED,
)


def _sanitize_line(value: object) -> str:
    """Return a bounded line of a target's text; unprintable characters become U+FFFD."""
    if not isinstance(value, str):
        raise TypeError("expected text")
    return "".join(c if c.isprintable() else "\ufffd" for c in value[:_MAX_TEXT])
