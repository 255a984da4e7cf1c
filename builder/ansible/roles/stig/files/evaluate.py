#!/usr/bin/python3 -I
"""Evaluate a profile of a data stream on this host and list the failing rules.

    evaluate.py FOLDER DATASTREAM PROFILE

Runs as root and needs oscap and Python's standard library (3.9 or later). Writes
``FOLDER/failed.json``, which ``remediate.py`` reads. An evaluation that is complete is not
repeated, so that an interrupted remediation continues with the same rules.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

XCCDF = "{http://checklists.nist.gov/xccdf/1.2}"
TIMEOUT_S = 4 * 3600.0
FAILING = ("fail", "error")
ALL_PASSED, SOME_FAILED = 0, 2
"""Exit status of oscap for an evaluation that ended."""


def evaluate(folder: Path, content: str, profile: str) -> Path:
    """Run oscap and return the file of its results."""
    results = folder / "results.xml"
    argv = ["oscap", "xccdf", "eval", "--skip-validation", "--profile", profile]
    argv += ["--results", str(results), content]
    status = subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False
    ).returncode
    if status not in (ALL_PASSED, SOME_FAILED):
        sys.exit(f"oscap: expected exit status 0 or 2, got {status}")
    return results


def read_verdicts(results: Path) -> dict[str, str]:
    """Return the verdict of each rule."""
    # Written by oscap on this host, into a folder of root.
    root = ElementTree.parse(str(results)).getroot()  # noqa: S314
    return {
        result.get("idref", ""): result.findtext(XCCDF + "result", "")
        for result in root.iter(XCCDF + "rule-result")
    }


def main() -> None:
    """See the module's docstring."""
    folder, content, profile = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    failed_file = folder / "failed.json"
    if failed_file.exists():
        return
    verdicts = read_verdicts(evaluate(folder, content, profile))
    evaluated = {rule: v for rule, v in verdicts.items() if v not in ("notselected", "")}
    if not any(v in ("pass", *FAILING) for v in evaluated.values()):
        sys.exit(f"{content}: expected verdicts about this host, got none")
    failed = sorted(rule for rule, verdict in evaluated.items() if verdict in FAILING)
    new_file = failed_file.with_suffix(".new")
    new_file.write_text(json.dumps(failed))
    new_file.replace(failed_file)
    sys.stdout.write(f"note: {len(failed)} of {len(evaluated)} rules fail\n")


if __name__ == "__main__":
    main()
