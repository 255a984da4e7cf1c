"""Run both checks of each conflict, on the host and in the service's confinement."""

import json
import sys
from typing import Any, Dict

from .checks import build_checks
from .probes import run_guarded
from .session import ProbeSession

_AFTER_WORKLOAD = (
    "tmp-noexec",
    "fapolicyd",
    "no-compiler",
    "code-folders",
    "fips-md5",
    "dmesg",
    "perf",
    "egress",
)
"""Conflicts whose control check also needs probes in the confinement."""


def main(arguments: Dict[str, Any]) -> None:
    """Print both checks of every conflict as one JSON object."""
    session = ProbeSession(arguments["boot"], arguments["sources"])
    checks_by_conflict = build_checks(session)
    # Checks without confined processes run meanwhile.
    control_results = {
        name: run_guarded(control)
        for name, (control, _) in checks_by_conflict.items()
        if name not in _AFTER_WORKLOAD
    }
    session.wait()
    results_by_conflict = {}
    for name, (control, workload) in checks_by_conflict.items():
        control_result = control_results[name] if name in control_results else run_guarded(control)
        results_by_conflict[name] = {
            "control": list(control_result),
            "workload": list(run_guarded(workload)),
        }
    answer = {
        "confinement": session.confinement.describe()[:800],
        "conflicts": results_by_conflict,
    }
    sys.stdout.write(json.dumps(answer) + "\n")
