"""A build that is interrupted in every stage leaves complete results only, and is completed later.

See ``interrupt_driver.py``: one build is interrupted at one point after another, so that each
attempt continues what the one before has left.
"""

import json
import sys
from itertools import pairwise
from typing import Any

import pytest

from hardpan.core.process import run
from tests.integration.conftest import REPO

pytestmark = pytest.mark.integration

STAGES = ["iso", "install", "assess", "layer-ml_cpu", "layer-stig", "sysprep", "image", "raw"]
LAST_ATTEMPT = ["provenance start", "provenance end"]
SIGNALS = ("SIGINT", "SIGTERM", "SIGKILL")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("interrupted")
    argv = [sys.executable, "-m", "tests.integration.interrupt_driver", folder / "runs"]
    result = run(argv, timeout_s=600, cwd=REPO)
    assert result.stderr == ""
    loaded: dict[str, Any] = json.loads(result.stdout)
    return loaded


def test_stand_ins_run_every_stage(report: dict[str, Any]) -> None:
    last = report["reference"]["last"]

    started = [point.split()[0] for point in last["points"] if point.endswith(" start")]
    assert started == [*STAGES, "provenance"]
    assert report["reference"]["content"] == "abcd\0"


@pytest.mark.parametrize(
    ("signal_name", "exit_code", "count"),
    [("SIGINT", 130, 24), ("SIGTERM", 130, 6), ("SIGKILL", -9, 24)],
)
def test_every_attempt_ends_at_its_point(
    report: dict[str, Any], signal_name: str, exit_code: int, count: int
) -> None:
    attempts = report[signal_name]["attempts"]

    assert [a["status"] for a in attempts] == [exit_code] * count
    assert [a["points"][-1] for a in attempts] == [" ".join(a["point"]) for a in attempts]


@pytest.mark.parametrize("signal_name", SIGNALS)
def test_no_process_is_left(report: dict[str, Any], signal_name: str) -> None:
    attempts = [*report[signal_name]["attempts"], report[signal_name]["last"]]

    assert {a["processes"] for a in attempts} == {0}


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
def test_no_temporary_file_is_left(report: dict[str, Any], signal_name: str) -> None:
    assert [a["hidden"] for a in report[signal_name]["attempts"] if a["hidden"]] == []


def test_next_build_removes_the_leftovers_of_a_kill(report: dict[str, Any]) -> None:
    counts = [len(a["hidden"]) for a in report["SIGKILL"]["attempts"]]

    assert max(counts) == 1
    assert report["SIGKILL"]["last"]["hidden"] == []


@pytest.mark.parametrize("signal_name", SIGNALS)
def test_overlay_is_stored_with_its_record_or_not_at_all(
    report: dict[str, Any], signal_name: str
) -> None:
    names = [a["files"] for a in report[signal_name]["attempts"]]
    disks = [files.count("disk.qcow2") for files in names]
    records = [sum(name.startswith(("layer-", "sysprep")) for name in files) for files in names]

    assert disks == records
    assert {0, 1, 2} <= set(disks)


@pytest.mark.parametrize("signal_name", SIGNALS)
def test_complete_stage_never_runs_again(report: dict[str, Any], signal_name: str) -> None:
    """A stage whose end was interrupted has no record yet, and runs again in the next attempt."""
    attempts = report[signal_name]["attempts"]
    repeated = [
        (before["points"], after["points"])
        for before, after in pairwise(attempts)
        for done in _complete_stages(before["points"])
        if f"{done} start" in after["points"]
    ]

    assert repeated == []


@pytest.mark.parametrize("signal_name", SIGNALS)
def test_last_build_completes_the_same_outputs(report: dict[str, Any], signal_name: str) -> None:
    last, reference = report[signal_name]["last"], report["reference"]

    assert last["status"] == 0
    assert last["points"][-2:] == LAST_ATTEMPT
    assert last["files"] == reference["last"]["files"]
    assert report[signal_name]["content"] == reference["content"]


def _complete_stages(points: list[str]) -> list[str]:
    """Return the stages that ended before another one began."""
    return [x.split()[0] for x in points[:-1] if x.endswith(" end")]
