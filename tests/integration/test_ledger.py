"""Two processes that add to one ledger at once, and one that is killed at each of its writes."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hardpan.process import run
from hardpan.scanners.history.store import opened
from tests.unit.evidence import samples
from tests.unit.evidence.forge import Lab, lab

pytestmark = pytest.mark.integration
REPO = Path(__file__).parents[2]
EACH = 3


def _add(made: Lab, ledger: Path, evidence: list[Path]) -> None:
    for path in evidence:
        argv = [sys.executable, "-m", "hardpan", "ledger", "add", path]
        run([*argv, "--policy", made.ring.policy, "--ledger", ledger], timeout_s=120, cwd=REPO)


def _evidence(made: Lab, folder: Path, hour: int) -> Path:
    place = folder / str(hour)
    place.mkdir()
    when = f"2026-11-02T{hour:02}:05:00Z"
    return samples.write(samples.scan(started=when, finished=when), made.scan, place)


def test_two_processes_add_at_once_and_the_chain_is_whole(tmp_path: Path) -> None:
    made, ledger = lab(tmp_path), tmp_path / "new" / "ledger.sqlite"
    evidence = [_evidence(made, tmp_path, hour) for hour in range(2 * EACH)]
    with ThreadPoolExecutor(2) as pool:
        # Each adds its own half, then all of the other's, which is there or comes now.
        halves = (evidence[:EACH], evidence[EACH:])
        jobs = [
            pool.submit(_add, made, ledger, [*a, *b]) for a, b in (halves, tuple(reversed(halves)))
        ]
    for job in jobs:
        job.result()

    with opened(ledger) as store:
        rows = store.chains["own"].rows
        store.check_pages()
    assert [r.seq for r in rows] == list(range(1, 2 * EACH + 1))
    assert {r.started for r in rows} == {f"2026-11-02T{h:02}:05:00Z" for h in range(2 * EACH)}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    folder = tmp_path_factory.mktemp("killed")
    here, library = Path(__file__).parent, folder / "kill_at_call.so"
    source = here / "kill_at_call.c"
    run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], timeout_s=60)
    argv = [sys.executable, "-m", "tests.integration.kill_driver", folder]
    ended = run(
        argv,
        timeout_s=300,
        cwd=REPO,
        env={"LD_PRELOAD": str(library), "XDG_STATE_HOME": str(folder)},
    )
    made: dict[str, dict[str, int]] = json.loads(ended.stdout)
    return made


@pytest.mark.parametrize(
    ("scenario", "least"),
    [
        ("first row", 20),
        ("second row", 20),
        ("rollback", 20),
        ("kept file", 25),
        ("small cache", 40),
        ("first row, small cache", 30),
    ],
)
def test_ledger_add_killed_at_any_write_loses_nothing(
    outcomes: dict[str, dict[str, int]], scenario: str, least: int
) -> None:
    kills = outcomes[scenario]

    # Each: refused with a hint while half of it is written, before that the old rows, then the new.
    assert sum(kills.values()) >= least
    assert kills["refused"] > 0
    assert kills["new"] > 0
    assert scenario.startswith("first row") or kills["old"] > 0
