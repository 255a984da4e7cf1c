"""Two processes that add to one ledger at once, and one that is killed at each of its writes."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hardpan.core.process import run
from hardpan.scanners.ledger.store import open_ledger
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import EvidenceFixture, create_fixture

pytestmark = pytest.mark.integration
REPO = Path(__file__).parents[2]
SCANS_PER_PROCESS = 3


def _add_evidence(fixture: EvidenceFixture, ledger: Path, evidence: list[Path]) -> None:
    for path in evidence:
        argv = [sys.executable, "-m", "hardpan", "ledger", "add", path]
        run([*argv, "--policy", fixture.ring.policy, "--ledger", ledger], timeout_s=120, cwd=REPO)


def _write_evidence(fixture: EvidenceFixture, folder: Path, hour: int) -> Path:
    target = folder / str(hour)
    target.mkdir()
    timestamp = f"2026-11-02T{hour:02}:05:00Z"
    return samples.write_evidence(
        samples.scan(started=timestamp, finished=timestamp), fixture.scan, target
    )


def test_concurrent_adds_keep_chain_intact(tmp_path: Path) -> None:
    fixture, ledger = create_fixture(tmp_path), tmp_path / "new" / "ledger.sqlite"
    evidence = [_write_evidence(fixture, tmp_path, hour) for hour in range(2 * SCANS_PER_PROCESS)]
    with ThreadPoolExecutor(2) as pool:
        # Each adds its own half, then all of the other's, which is there or comes now.
        halves = (evidence[:SCANS_PER_PROCESS], evidence[SCANS_PER_PROCESS:])
        jobs = [
            pool.submit(_add_evidence, fixture, ledger, [*a, *b])
            for a, b in (halves, tuple(reversed(halves)))
        ]
    for job in jobs:
        job.result()

    with open_ledger(ledger) as store:
        rows = store.chains["local"].rows
        store.check_integrity()
    assert [r.seq for r in rows] == list(range(1, 2 * SCANS_PER_PROCESS + 1))
    assert {r.started for r in rows} == {
        f"2026-11-02T{h:02}:05:00Z" for h in range(2 * SCANS_PER_PROCESS)
    }


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    folder = tmp_path_factory.mktemp("killed")
    test_folder, library = Path(__file__).parent, folder / "kill_at_call.so"
    source = test_folder / "kill_at_call.c"
    run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], timeout_s=60)
    argv = [sys.executable, "-m", "tests.integration.kill_driver", folder]
    completed = run(
        argv,
        timeout_s=300,
        cwd=REPO,
        env={"LD_PRELOAD": str(library), "XDG_STATE_HOME": str(folder)},
    )
    result: dict[str, dict[str, int]] = json.loads(completed.stdout)
    return result


@pytest.mark.parametrize(
    ("scenario", "min_kills"),
    [
        ("first row", 20),
        ("second row", 20),
        ("rollback", 20),
        ("kept file", 25),
        ("small cache", 40),
        ("first row, small cache", 30),
    ],
)
def test_killed_add_loses_no_rows(
    outcomes: dict[str, dict[str, int]], scenario: str, min_kills: int
) -> None:
    kills = outcomes[scenario]

    # Each: refused with a hint while half of it is written, before that the old rows, then the new.
    assert sum(kills.values()) >= min_kills
    assert kills["refused"] > 0
    assert kills["new"] > 0
    assert scenario.startswith("first row") or kills["old"] > 0
