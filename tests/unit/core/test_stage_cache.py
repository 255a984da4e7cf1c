import os
from pathlib import Path

import pytest

from hardpan.core.events import Event, StageFinished, discard
from hardpan.core.stage_cache import CachedStage, StageResult, digest_code


class CountingWork:
    """Counts how often it really ran and writes one output."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.run_count = 0

    def __call__(self, note: object) -> StageResult:
        self.run_count += 1
        self.output.write_text("made")
        return {"n": self.run_count}


def make_stage(folder: Path, *outputs: Path, **inputs: object) -> CachedStage:
    names = tuple(path.name for path in outputs)
    return CachedStage(name="s", folder=folder, inputs=inputs, output_names=names)


def test_finished_stage_is_reused(tmp_path: Path) -> None:
    events: list[Event] = []
    work = CountingWork(tmp_path / "out")
    for _ in range(2):
        result = make_stage(tmp_path, work.output, a=1).run(events.append, work)

        assert result == {"n": 1}
    assert work.run_count == 1
    assert isinstance(events[-1], StageFinished)
    assert events[-1].reused


def test_changed_inputs_rerun_the_stage(tmp_path: Path) -> None:
    work = CountingWork(tmp_path / "out")
    for a in (1, 2):
        make_stage(tmp_path, work.output, a=a).run(discard, work)

    assert work.run_count == 2


def test_digest_of_code_covers_every_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "stage_code"
    (package / "nested").mkdir(parents=True)
    for name in ("__init__.py", "first.py", "nested/second.py"):
        (package / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    folder_digest, module = digest_code("stage_code"), digest_code("stage_code.first")

    (package / "nested" / "__pycache__").mkdir()
    (package / "nested" / "__pycache__" / "second.cpython-311.pyc").write_bytes(b"compiled")
    assert digest_code("stage_code") == folder_digest
    (package / "nested" / "second.py").write_text("x = 1\n")
    assert digest_code("stage_code") != folder_digest
    assert digest_code("stage_code.first") == module
    (package / "first.py").write_text("x = 1\n")
    assert digest_code("stage_code.first") != module


def test_digest_of_unknown_code_is_refused() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"hardpan\.scanners\.absent"):
        digest_code("hardpan.scanners.absent")


def test_stored_result_appears_with_its_files(tmp_path: Path) -> None:
    stage = CachedStage(
        name="s", folder=tmp_path, inputs={"a": 1}, output_names=("out",), is_shared=True
    )
    folder = stage.record_folder
    assert folder is not None
    for content in ("first", "second"):
        file = tmp_path / "work"
        file.write_text(content)

        stage.store({"n": content}, {"out": file})

        assert stage.load() == {"n": content}
        assert (folder / "out").read_text() == content
        assert (folder / "out").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_failed_store_leaves_nothing(tmp_path: Path) -> None:
    stage = CachedStage(
        name="s", folder=tmp_path, inputs={"a": 1}, output_names=("out", "second"), is_shared=True
    )
    (tmp_path / "work").write_text("made")

    with pytest.raises(FileNotFoundError):
        stage.store({}, {"out": tmp_path / "work"})

    assert list(tmp_path.iterdir()) == []


def test_changed_or_missing_output_reruns_the_stage(tmp_path: Path) -> None:
    work = CountingWork(tmp_path / "out")
    stage = make_stage(tmp_path, work.output)
    stage.run(discard, work)
    work.output.write_text("touched")
    stage.run(discard, work)
    work.output.unlink()
    stage.run(discard, work)

    assert work.run_count == 3


def test_invalid_record_is_ignored(tmp_path: Path) -> None:
    work = CountingWork(tmp_path / "out")
    stage = make_stage(tmp_path)
    stage.run(discard, work)
    for garbage in ("{", "[]", '{"inputs": 1}', ""):
        (tmp_path / "s.stage.json").write_text(garbage)
        stage.run(discard, work)

    assert work.run_count == 5


@pytest.mark.parametrize(("check_digests", "result"), [(True, None), (False, {"n": 1})])
def test_load_without_digests_reads_no_output(
    tmp_path: Path, check_digests: bool, result: StageResult | None
) -> None:
    work = CountingWork(tmp_path / "out")
    stage = make_stage(tmp_path, work.output)
    assert stage.load(check_digests=check_digests) is None
    stage.run(discard, work)
    work.output.write_text("MADE")

    assert stage.load(check_digests=check_digests) == result
    work.output.unlink()
    assert stage.load(check_digests=check_digests) is None
    assert work.run_count == 1


@pytest.mark.parametrize(("is_shared", "is_touched"), [(True, True), (False, False)])
def test_reuse_of_a_shared_result_sets_the_time_of_its_last_use(
    tmp_path: Path, is_shared: bool, is_touched: bool
) -> None:
    stage = CachedStage(name="s", folder=tmp_path, inputs={"a": 1}, is_shared=is_shared)
    stage.run(discard, lambda _note: {})
    (record,) = stage.record_paths()
    os.utime(record, (1, 1))

    assert stage.load() == {}
    assert record.stat().st_mtime == 1
    stage.run(discard, lambda _note: pytest.fail("ran again"))
    assert (record.stat().st_mtime > 1) is is_touched
