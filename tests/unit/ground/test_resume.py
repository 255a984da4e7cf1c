from pathlib import Path

import pytest

from hardpan.events import Ended, Event, silent
from hardpan.resume import Receipt, Step


class Work:
    """Counts how often it really ran and writes one output."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.ran = 0

    def __call__(self, note: object) -> Receipt:
        self.ran += 1
        self.output.write_text("made")
        return {"n": self.ran}


def step(folder: Path, *outputs: Path, **inputs: object) -> Step:
    return Step(name="s", folder=folder, inputs=inputs, outputs=outputs)


def test_a_finished_stage_is_not_run_again(tmp_path: Path) -> None:
    seen: list[Event] = []
    work = Work(tmp_path / "out")
    for _ in range(2):
        got = step(tmp_path, work.output, a=1).once(seen.append, work)

        assert got == {"n": 1}
    assert work.ran == 1
    assert isinstance(seen[-1], Ended)
    assert seen[-1].reused


def test_other_inputs_run_the_stage_again(tmp_path: Path) -> None:
    work = Work(tmp_path / "out")
    for a in (1, 2):
        step(tmp_path, work.output, a=a).once(silent, work)

    assert work.ran == 2


def test_a_changed_or_missing_output_runs_the_stage_again(tmp_path: Path) -> None:
    work = Work(tmp_path / "out")
    one = step(tmp_path, work.output)
    one.once(silent, work)
    work.output.write_text("touched")
    one.once(silent, work)
    work.output.unlink()
    one.once(silent, work)

    assert work.ran == 3


def test_a_garbled_record_counts_as_none(tmp_path: Path) -> None:
    work = Work(tmp_path / "out")
    one = step(tmp_path)
    one.once(silent, work)
    for garbage in ("{", "[]", '{"inputs": 1}', ""):
        (tmp_path / "s.stage.json").write_text(garbage)
        one.once(silent, work)

    assert work.ran == 5


@pytest.mark.parametrize(("digests", "receipt"), [(True, None), (False, {"n": 1})])
def test_a_quick_look_sees_that_an_output_is_there_and_not_what_is_in_it(
    tmp_path: Path, digests: bool, receipt: Receipt | None
) -> None:
    work = Work(tmp_path / "out")
    one = step(tmp_path, work.output)
    assert one.kept(digests=digests) is None
    one.once(silent, work)
    work.output.write_text("touched")

    assert one.kept(digests=digests) == receipt
    work.output.unlink()
    assert one.kept(digests=digests) is None
    assert work.ran == 1
