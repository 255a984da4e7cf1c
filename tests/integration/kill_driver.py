"""Kill ``hardpan ledger add`` at each call that changes a file, and check the ledger afterwards.

python kill_driver.py FOLDER    with kill_at_call.c preloaded; prints the outcome of each scenario

Python starts once: each attempt is a fork of this process, with evidence verified beforehand.
"""

import contextlib
import ctypes
import io
import json
import os
import shutil
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from hardpan import cli
from hardpan.cli.ledger import write
from hardpan.core import clock
from hardpan.core.errors import Exit
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.scanners.ledger import store, verification
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import NOW, EvidenceFixture, create_fixture

MAX_CALLS = 300
UNRELATED_FILE = "victim.txt"
HINT = "hint: 'hardpan ledger add'"


class LedgerUnderTest:
    """A ledger in a folder of its own, with a foreign file next to it."""

    def __init__(self, folder: Path, policy: Path) -> None:
        self.folder = folder
        self.path = folder / "ledger.sqlite"
        self.evidence_folder = folder / "ledger.sqlite.d"
        self.policy = policy

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of ``hardpan ledger``."""
        stdout, stderr = io.TextIOWrapper(io.BytesIO()), io.StringIO()
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            code = cli.run(["ledger", *arguments, "--ledger", str(self.path)])
        stdout.seek(0)
        return code, stdout.read(), stderr.getvalue()

    def add(self, evidence: Path, *options: str) -> tuple[int, str, str]:
        """Add ``evidence`` to it."""
        return self.run("add", str(evidence), "--policy", str(self.policy), *options)

    def scan_days(self) -> list[int] | None:
        """The days of the scans that it lists; None where it says how to go on instead."""
        code, stdout, stderr = self.run("list", "--json")
        if code == Exit.INPUT:
            assert HINT in stderr, stderr
            return None
        assert code == Exit.OK, stderr
        return [int(row["finished"][8:10]) for row in json.loads(stdout)]

    def reset(self, template: Path) -> None:
        """Make it as ``template``."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(template, self.folder)


def main(folder: Path) -> None:
    """Run every scenario and print the outcomes as JSON."""
    clock.now = lambda: NOW
    evidence_fixture = create_fixture(folder)
    evidence = {day: _write_evidence(evidence_fixture, folder / f"{day}", day) for day in (2, 3)}
    trust = load_trust_policy(evidence_fixture.ring.policy)
    entries = {p.name: verification.load_verified_scan(p, trust) for p in evidence.values()}
    write.load_verified_scan = lambda path, _, evidence_sha256="": replace(  # type: ignore[attr-defined]
        entries[path.name], evidence_sha256=evidence_sha256
    )
    ledger = LedgerUnderTest(folder / "tried", evidence_fixture.ring.policy)

    empty, first_row, interrupted = (folder / name for name in ("empty", "one", "half"))
    empty.mkdir()
    (empty / UNRELATED_FILE).write_text("not hardpan's")
    ledger.reset(empty)
    assert ledger.add(evidence[2])[0] == Exit.OK
    shutil.copytree(ledger.folder, first_row)
    report = {
        "first row": _run_scenario(ledger, empty, evidence[2], [], [2]),
        "second row": _run_scenario(
            ledger, first_row, evidence[3], [2], [2, 3], snapshot_folder=interrupted
        ),
        "rollback": _run_scenario(ledger, interrupted, evidence[3], [2], [2, 3]),
        "kept file": _run_scenario(
            ledger, first_row, evidence[3], [2], [2, 3], options=("--keep",)
        ),
    }
    # As a large record has it: SQLite writes pages before the end, and a header for each part.
    store._PRAGMAS = (*store._PRAGMAS, "cache_size = 1")
    report["small cache"] = _run_scenario(ledger, first_row, evidence[3], [2], [2, 3])
    report["first row, small cache"] = _run_scenario(ledger, empty, evidence[2], [], [2])
    print(json.dumps(report))  # noqa: T201


def _run_scenario(
    ledger: LedgerUnderTest,
    template: Path,
    evidence: Path,
    old_days: list[int],
    new_days: list[int],
    *,
    options: tuple[str, ...] = (),
    snapshot_folder: Path | None = None,
) -> dict[str, int]:
    """Outcome -> number of kills; ``keep`` takes the folder that the last kill before the end left.

    That is the kill before the journal's name is removed: all pages of the new state are written.
    """
    outcomes: Counter[str] = Counter()
    for call in range(1, MAX_CALLS):
        ledger.reset(template)
        if not _is_killed(ledger, evidence, call, options):
            assert ledger.scan_days() == new_days
            return dict(outcomes)
        journal = ledger.path.with_name(f"{ledger.path.name}-journal")
        if snapshot_folder is not None and journal.exists() and journal.read_bytes()[:1] == b"\xd9":
            shutil.rmtree(snapshot_folder, ignore_errors=True)
            shutil.copytree(ledger.folder, snapshot_folder)
        days = ledger.scan_days() if ledger.path.exists() else None
        assert days in (None, old_days, new_days), days
        outcomes["refused" if days is None else "new" if days == new_days else "old"] += 1
        code, _, stderr = ledger.add(evidence, *options)
        assert code == Exit.OK, stderr
        code, _, stderr = ledger.run("verify")
        assert code == Exit.OK, stderr
        assert ledger.scan_days() == new_days
        assert (ledger.folder / UNRELATED_FILE).read_text() == "not hardpan's"
        evidence_folders = [ledger.evidence_folder.name] if options else []
        names = sorted(p.name for p in ledger.folder.iterdir())
        assert names == [ledger.path.name, *evidence_folders, UNRELATED_FILE], names
        files = [p.read_bytes() for p in ledger.evidence_folder.glob("*.evidence.zip")]
        assert files == ([evidence.read_bytes()] if options else [])
    raise AssertionError(f"the add does not end within {MAX_CALLS} calls")


def _is_killed(
    ledger: LedgerUnderTest, evidence: Path, call: int, options: tuple[str, ...]
) -> bool:
    """True when an add that is killed at this call did not come to its end before."""
    child = os.fork()
    if child == 0:
        ctypes.c_long.in_dll(ctypes.CDLL(None), "calls_until_kill").value = call
        code, _, _ = ledger.add(evidence, *options)
        os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == Exit.OK
    return False


def _write_evidence(evidence_fixture: EvidenceFixture, folder: Path, day: int) -> Path:
    folder.mkdir()
    timestamp = f"2026-11-{day:02}T04:05:00Z"
    scan = samples.slim_scan(started=timestamp, finished=timestamp)
    path = samples.write_evidence(scan, evidence_fixture.scan, folder)
    return path.rename(folder / f"{day}.evidence.zip")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
