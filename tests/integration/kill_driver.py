"""Kills ``hardpan ledger add`` at each of its calls that change a file, and looks at the ledger.

python kill_driver.py FOLDER    with kill_at_call.c preloaded; prints what came of each scenario

Python starts once: each attempt is a fork of this process, with evidence that was verified before.
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

from hardpan import cli, clock
from hardpan.errors import Exit
from hardpan.scanners.commands import ledger_keep, vouched
from hardpan.scanners.evidence.trust import load_policy
from hardpan.scanners.history import store
from tests.unit.evidence import samples
from tests.unit.evidence.forge import NOW, Lab, lab

MAX_CALLS = 300
VICTIM = "victim.txt"
HINT = "hint: 'hardpan ledger add'"


class Ledger:
    """A ledger in a folder of its own, with a foreign file next to it."""

    def __init__(self, folder: Path, policy: Path) -> None:
        self.folder = folder
        self.path = folder / "ledger.sqlite"
        self.kept = folder / "ledger.sqlite.d"
        self.policy = policy

    def run(self, *words: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of ``hardpan ledger``."""
        out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.run(["ledger", *words, "--ledger", str(self.path)])
        out.seek(0)
        return code, out.read(), err.getvalue()

    def add(self, evidence: Path, *more: str) -> tuple[int, str, str]:
        """Add ``evidence`` to it."""
        return self.run("add", str(evidence), "--policy", str(self.policy), *more)

    def days(self) -> list[int] | None:
        """The days of the scans that it lists; None where it says how to go on instead."""
        code, out, err = self.run("list", "--json")
        if code == Exit.INPUT:
            assert HINT in err, err
            return None
        assert code == Exit.DONE, err
        return [int(row["finished"][8:10]) for row in json.loads(out)]

    def reset(self, template: Path) -> None:
        """Make it as ``template``."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(template, self.folder)


def main(folder: Path) -> None:
    """Run every scenario and print the outcomes as JSON."""
    clock.now = lambda: NOW
    made = lab(folder)
    evidence = {day: _evidence(made, folder / f"{day}", day) for day in (2, 3)}
    trust = load_policy(made.ring.policy)
    entries = {p.name: vouched.entry(p, trust) for p in evidence.values()}
    ledger_keep.entry = lambda path, _, evidence_sha256="": replace(  # type: ignore[attr-defined]
        entries[path.name], evidence_sha256=evidence_sha256
    )
    ledger = Ledger(folder / "tried", made.ring.policy)

    empty, one, half = (folder / name for name in ("empty", "one", "half"))
    empty.mkdir()
    (empty / VICTIM).write_text("not hardpan's")
    ledger.reset(empty)
    assert ledger.add(evidence[2])[0] == Exit.DONE
    shutil.copytree(ledger.folder, one)
    report = {
        "first row": _scenario(ledger, empty, evidence[2], [], [2]),
        "second row": _scenario(ledger, one, evidence[3], [2], [2, 3], keep=half),
        "rollback": _scenario(ledger, half, evidence[3], [2], [2, 3]),
        "kept file": _scenario(ledger, one, evidence[3], [2], [2, 3], more=("--keep",)),
    }
    # As a large record has it: SQLite writes pages before the end, and a header for each part.
    store._PRAGMAS = (*store._PRAGMAS, "cache_size = 1")
    report["small cache"] = _scenario(ledger, one, evidence[3], [2], [2, 3])
    report["first row, small cache"] = _scenario(ledger, empty, evidence[2], [], [2])
    print(json.dumps(report))  # noqa: T201


def _scenario(
    ledger: Ledger,
    template: Path,
    evidence: Path,
    old: list[int],
    new: list[int],
    *,
    more: tuple[str, ...] = (),
    keep: Path | None = None,
) -> dict[str, int]:
    """Outcome -> number of kills; ``keep`` takes the folder that the last kill before the end left.

    That is the kill before the journal's name is removed: all pages of the new state are written.
    """
    outcomes: Counter[str] = Counter()
    for call in range(1, MAX_CALLS):
        ledger.reset(template)
        if not _is_killed(ledger, evidence, call, more):
            assert ledger.days() == new
            return dict(outcomes)
        journal = ledger.path.with_name(f"{ledger.path.name}-journal")
        if keep is not None and journal.exists() and journal.read_bytes()[:1] == b"\xd9":
            shutil.rmtree(keep, ignore_errors=True)
            shutil.copytree(ledger.folder, keep)
        days = ledger.days() if ledger.path.exists() else None
        assert days in (None, old, new), days
        outcomes["refused" if days is None else "new" if days == new else "old"] += 1
        code, _, err = ledger.add(evidence, *more)
        assert code == Exit.DONE, err
        code, _, err = ledger.run("verify")
        assert code == Exit.DONE, err
        assert ledger.days() == new
        assert (ledger.folder / VICTIM).read_text() == "not hardpan's"
        kept = [ledger.kept.name] if more else []
        names = sorted(p.name for p in ledger.folder.iterdir())
        assert names == [ledger.path.name, *kept, VICTIM], names
        files = [p.read_bytes() for p in ledger.kept.glob("*.evidence.zip")]
        assert files == ([evidence.read_bytes()] if more else [])
    raise AssertionError(f"the add does not end within {MAX_CALLS} calls")


def _is_killed(ledger: Ledger, evidence: Path, call: int, more: tuple[str, ...]) -> bool:
    """True when an add that is killed at this call did not come to its end before."""
    child = os.fork()
    if child == 0:
        ctypes.c_long.in_dll(ctypes.CDLL(None), "calls_until_kill").value = call
        code, _, _ = ledger.add(evidence, *more)
        os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == Exit.DONE
    return False


def _evidence(made: Lab, folder: Path, day: int) -> Path:
    folder.mkdir()
    when = f"2026-11-{day:02}T04:05:00Z"
    scan = samples.slim_scan(started=when, finished=when)
    path = samples.write(scan, made.scan, folder)
    return path.rename(folder / f"{day}.evidence.zip")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
