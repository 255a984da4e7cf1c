"""The files of the checkout, for tests that read the source.

``Path.rglob`` does not follow links, so a walk of ``hardpan`` alone would miss the four linked
folders without a word. These functions walk the real folders, and refuse an empty one.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

REPO = Path(__file__).parents[1]
PRODUCT = ("hardpan", "builder", "kickstart", "profiles", "scanners")
"""The real folders of the import package."""

_NOT_TRACKED = {"__pycache__", ".ansible", "node_modules"}
_OUTPUTS = {REPO / "images" / "cache", REPO / "images" / "out"}
_MIN_FILES = 10


@cache
def list_files(folders: tuple[str, ...], *suffixes: str) -> tuple[Path, ...]:
    """The files below ``folders``, sorted; with ``suffixes`` only those that end so.

    Raises:
        AssertionError: a folder is missing, or has hardly a file.
    """
    paths = []
    for name in folders:
        folder_files = list(_walk(REPO / name))
        assert len(folder_files) >= _MIN_FILES, (
            f"{name}: expected its files, got {len(folder_files)}"
        )
        paths += [path for path in folder_files if not suffixes or path.suffix in suffixes]
    return tuple(sorted(paths))


def read_texts(paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Name below the checkout and text of each of ``paths``; a file with a NUL byte is no text."""
    for path in paths:
        data = path.read_bytes()
        if b"\0" not in data:
            yield str(path.relative_to(REPO)), data.decode("utf-8", "replace")


def parse_modules(
    folders: tuple[str, ...], pattern: str | re.Pattern[str]
) -> Iterator[tuple[str, ast.Module]]:
    """Name and syntax tree of each Python module below ``folders`` whose text has ``pattern``.

    Parsing everything takes seconds of each test; a pattern that every violation contains saves
    most of them. No tree is retained: hundreds slow down the garbage collection of later tests.
    """
    for name, text in read_texts(list_files(folders, ".py")):
        if re.search(pattern, text):
            yield name, ast.parse(text)


def _walk(folder: Path) -> Iterator[Path]:
    if folder in _OUTPUTS or folder.name in _NOT_TRACKED:
        return
    for path in folder.iterdir():
        if path.is_symlink():
            continue
        if path.is_dir():
            yield from _walk(path)
        elif path.suffix != ".pyc":
            yield path
