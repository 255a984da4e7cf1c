"""Why a stage has to run, as ``build --explain`` reports it."""

import os
from pathlib import Path

from hardpan.core.events import discard
from hardpan.core.stage_cache import CachedStage, StageResult
from hardpan.core.stage_changes import NO_RESULT, list_changes


def make_stage(folder: Path, *, shared: bool = False, **inputs: object) -> CachedStage:
    return CachedStage(
        name="s", folder=folder, inputs=inputs, output_names=("out",), is_shared=shared
    )


def run_stage(stage: CachedStage, content: str = "made") -> None:
    (output,) = stage.outputs

    def execute(_report_progress: object) -> StageResult:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(content)
        return {}

    stage.run(discard, execute)


def test_stage_without_stored_result_says_so(tmp_path: Path) -> None:
    assert list_changes(make_stage(tmp_path, a=1)) == (NO_RESULT,)


def test_valid_result_has_no_changes(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, a=1)
    run_stage(stage)

    assert list_changes(stage) == ()


def test_changed_inputs_are_named(tmp_path: Path) -> None:
    run_stage(make_stage(tmp_path, kickstart="1", media="x", old=1))

    changes = list_changes(make_stage(tmp_path, kickstart="2", media="x", new=1))

    assert changes == ("kickstart changed", "new added", "old removed")


def test_changed_files_of_an_input_are_named(tmp_path: Path) -> None:
    run_stage(make_stage(tmp_path, code={"a.py": "1", "b.py": "1"}))

    changes = list_changes(make_stage(tmp_path, code={"a.py": "2", "c.py": "1"}))

    assert changes == ("code: a.py changed", "code: b.py removed", "code: c.py added")


def test_inputs_are_compared_with_the_nearest_result(tmp_path: Path) -> None:
    run_stage(make_stage(tmp_path, shared=True, a=1, b=1))
    run_stage(make_stage(tmp_path, shared=True, a=2, b=2))

    assert list_changes(make_stage(tmp_path, shared=True, a=1, b=3)) == ("b changed",)


def test_changed_and_missing_outputs_are_named(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, a=1)
    run_stage(stage)
    (tmp_path / "out").write_text("longer")
    assert list_changes(stage) == ("out was changed after it was stored",)

    (tmp_path / "out").unlink()
    assert list_changes(stage) == ("out is missing",)


def test_touched_output_is_not_a_change(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, a=1)
    run_stage(stage)
    os.utime(tmp_path / "out", (1, 1))

    assert list_changes(stage) == ()


def test_unknown_input_has_no_changes(tmp_path: Path) -> None:
    stage = CachedStage(name="s", folder=tmp_path, inputs=None)

    assert list_changes(stage) == ()
