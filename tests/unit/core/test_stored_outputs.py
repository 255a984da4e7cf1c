"""A stage's output is read again only if the file system says that it may have changed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.core import stored_outputs
from hardpan.core.events import discard
from hardpan.core.stage_cache import CachedStage, StageResult
from hardpan.core.stored_outputs import OutputState, compare_output, describe_output


def rewrite(path: Path) -> None:
    path.write_text("MADE")


def restore_times(path: Path) -> None:
    """Change the content and set the old time of modification, as no honest program does."""
    status = path.stat()
    path.write_text("MADE")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_by_copy(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


@pytest.mark.parametrize(
    ("change", "unread", "read"),
    [
        (lambda _path: None, OutputState.UNCHANGED, OutputState.UNCHANGED),
        (replace_by_copy, OutputState.UNREAD, OutputState.SAME_CONTENT),
        (rewrite, OutputState.UNREAD, OutputState.CHANGED),
        (restore_times, OutputState.UNREAD, OutputState.CHANGED),
        (lambda path: path.write_text("longer"), OutputState.CHANGED, OutputState.CHANGED),
        (lambda path: path.unlink(), OutputState.MISSING, OutputState.MISSING),
    ],
    ids=["nothing", "copy", "content", "content and times", "size", "removal"],
)
def test_output_is_compared_by_attributes_and_digest(
    tmp_path: Path, change: Callable[[Path], object], unread: OutputState, read: OutputState
) -> None:
    path = tmp_path / "out"
    path.write_text("made")
    record = describe_output(path)
    os.utime(path)  # the times of a change differ from those of the record
    record = describe_output(path)
    change(path)

    assert compare_output(path, record, may_read=False) == unread
    assert compare_output(path, record, may_read=True) == read


@pytest.mark.parametrize("record", [None, "x", {}, {"attributes": 1}])
def test_damaged_record_is_a_change(tmp_path: Path, record: object) -> None:
    path = tmp_path / "out"
    path.write_text("made")

    assert compare_output(path, record, may_read=True) == OutputState.CHANGED


def test_only_a_moved_output_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out"
    stage = CachedStage(name="s", folder=tmp_path, inputs={}, output_names=("out",))

    def execute(_report_progress: object) -> StageResult:
        path.write_text("made")
        return {}

    stage.run(discard, execute)
    read_paths: list[Path] = []
    original_digest = stored_outputs.sha256_file

    def record_digest(file: Path) -> str:
        read_paths.append(file)
        return original_digest(file)

    monkeypatch.setattr(stored_outputs, "sha256_file", record_digest)
    assert stage.reuse(discard) is not None
    assert read_paths == []

    replace_by_copy(path)
    for _ in range(2):
        assert stage.reuse(discard) is not None
    # Compared, and recorded with its new attributes.
    assert read_paths == [path, path]
