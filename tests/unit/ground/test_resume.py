from pathlib import Path

from hardpan.events import Ended, Event
from hardpan.resume import Finished, Receipt


class Work:
    """Counts how often it really ran and writes one output."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.ran = 0

    def __call__(self, note: object) -> Receipt:
        self.ran += 1
        self.output.write_text("made")
        return {"n": self.ran}


def finished(folder: Path, seen: list[Event]) -> Finished:
    return Finished(folder=folder, emit=seen.append)


def test_a_finished_stage_is_not_run_again(tmp_path: Path) -> None:
    seen: list[Event] = []
    work = Work(tmp_path / "out")
    for _ in range(2):
        got = finished(tmp_path, seen).once("s", {"a": 1}, work, outputs=[work.output])

        assert got == {"n": 1}
    assert work.ran == 1
    assert isinstance(seen[-1], Ended)
    assert seen[-1].reused


def test_other_inputs_run_the_stage_again(tmp_path: Path) -> None:
    work = Work(tmp_path / "out")
    for a in (1, 2):
        finished(tmp_path, []).once("s", {"a": a}, work, outputs=[work.output])

    assert work.ran == 2


def test_a_changed_or_missing_output_runs_the_stage_again(tmp_path: Path) -> None:
    work = Work(tmp_path / "out")
    store = finished(tmp_path, [])
    store.once("s", {}, work, outputs=[work.output])
    work.output.write_text("touched")
    store.once("s", {}, work, outputs=[work.output])
    work.output.unlink()
    store.once("s", {}, work, outputs=[work.output])

    assert work.ran == 3


def test_a_garbled_record_counts_as_none(tmp_path: Path) -> None:
    work = Work(tmp_path / "out")
    store = finished(tmp_path, [])
    store.once("s", {}, work)
    for garbage in ("{", "[]", '{"inputs": 1}', ""):
        (tmp_path / "s.stage.json").write_text(garbage)
        store.once("s", {}, work)

    assert work.ran == 5
