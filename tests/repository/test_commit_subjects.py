from pathlib import Path

import pytest

from hardpan.core.errors import ToolError
from tests.tools import commit_subjects


def test_subject_over_limit_is_reported_with_commit() -> None:
    commits = [("a1", "x" * 65), ("b2", "core: " + "y" * 60)]

    assert commit_subjects.find_problems(commits) == [
        f"b2: expected a subject of at most 65 characters, got 66: core: {'y' * 60}"
    ]


def test_source_archive_has_no_commits_to_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commit_subjects.main(tmp_path) == 0
    assert capsys.readouterr().out == "commit subjects: 0 checked, 0 too long\n"


def test_unreadable_repository_is_reported_as_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".git").mkdir()

    def fail(*_: object, **__: object) -> None:
        raise ToolError(["git"], "exited with 128")

    monkeypatch.setattr(commit_subjects, "run", fail)

    assert commit_subjects.main(tmp_path) == 0
    assert "not checked: git" in capsys.readouterr().err
