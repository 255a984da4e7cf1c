"""Check that the subjects of new commits are at most 65 characters long: part of ``make lint``.

Commits before ``FIRST_CHECKED`` are older than the rule. A shallow clone has only some of the
commits, of which the new ones are checked; a source archive has none, and nothing is checked.

    .venv/bin/python -m tests.tools.commit_subjects
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from hardpan.core.errors import ToolError
from hardpan.core.process import run

REPO = Path(__file__).parents[2]
FIRST_CHECKED = "2026-11-30T07:30:00+00:00"
"""Committer date of the first commit that is checked."""

MAX_SUBJECT_LENGTH = 65


def read_subjects(repository: Path, since: str = FIRST_CHECKED) -> list[tuple[str, str]]:
    """Return hash and subject of each commit since a date; nothing outside of a checkout."""
    if not (repository / ".git").exists():
        return []
    argv = ["git", "-c", "safe.directory=*", "log", "--no-merges", f"--since={since}"]
    output = run([*argv, "--format=%h%x09%s"], timeout_s=60, cwd=repository).stdout
    return [(commit, subject) for commit, _, subject in map(_split, output.splitlines())]


def find_problems(commits: Iterable[tuple[str, str]]) -> list[str]:
    """Return one line for each subject that is too long."""
    return [
        f"{commit}: expected a subject of at most {MAX_SUBJECT_LENGTH} characters,"
        f" got {len(subject)}: {subject}"
        for commit, subject in commits
        if len(subject) > MAX_SUBJECT_LENGTH
    ]


def _split(line: str) -> tuple[str, str, str]:
    return line.partition("\t")


def main(repository: Path = REPO) -> int:
    """Print the problems; return the exit code."""
    try:
        commits = read_subjects(repository)
    except ToolError as e:
        sys.stderr.write(f"commit subjects: not checked: {e}\n")
        return 0
    problems = find_problems(commits)
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    sys.stdout.write(f"commit subjects: {len(commits)} checked, {len(problems)} too long\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
