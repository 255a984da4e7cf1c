"""Every test of the repository asserts something, whatever path it takes."""

from pathlib import Path

import pytest

from tests.tools import assertions

HELPERS = """
import pytest

ROWS = [("a", 1)]

def checked(x):
    assert x

def maybe(x):
    if x:
        assert x

class Lab:
    def refused(self, x):
        with pytest.raises(ValueError):
            f(x)
"""
IMPORTS = (
    "import pytest\nfrom tests import helpers\nfrom tests.helpers import ROWS, checked, maybe\n"
)


def find_problems(tmp_path: Path, body: str) -> list[str]:
    """What is found in a module with one test, of these lines."""
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "helpers.py").write_text(HELPERS)
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    (folder / "test_it.py").write_text(f"{IMPORTS}def test_it(lab, x):\n{lines}")
    return assertions.find_problems(tmp_path)


def test_repository_tests_always_assert() -> None:
    assert assertions.find_problems(assertions.ROOT) == []


@pytest.mark.parametrize(
    "body",
    [
        "assert x",
        "with pytest.raises(ValueError):\n    f()",
        "if x:\n    assert x\nelse:\n    pytest.fail('no')",
        "if x:\n    assert x\n    return\nassert not x",
        "for row in (1, 2):\n    assert row",
        "rows = [1]\nfor row in rows:\n    assert row",
        "for name, n in ROWS:\n    assert name",
        "for n, row in enumerate(ROWS):\n    assert row",
        "for n in range(3):\n    assert n",
        "for row in (*x, 1):\n    assert row",
        "for row in x:\n    f(row)\nassert x",
        "for row in x:\n    if row:\n        continue\n    break\nassert x",
        "try:\n    f()\nexcept ValueError:\n    pytest.fail('no')\nassert x",
        "try:\n    f()\nfinally:\n    assert x",
        "checked(x)",
        "helpers.checked(x)",
        "lab.refused(x)",
        "def ask():\n    return 1\nassert ask()",
        "assert f(x) == f(x)",
        "pytest.skip('not here')",
    ],
)
def test_body_asserting_on_every_path_is_accepted(tmp_path: Path, body: str) -> None:
    assert find_problems(tmp_path, body) == []


@pytest.mark.parametrize(
    "body",
    [
        "f(x)",
        "if x:\n    assert x",
        "if x:\n    return\nassert x",
        "for row in x:\n    assert row",
        "for row in [*x]:\n    assert row",
        "for row in {**x}:\n    assert row",
        "rows = [1]\nrows = x\nfor row in rows:\n    assert row",
        "for row in sorted(x):\n    assert row",
        "for n in range(len(x)):\n    assert n",
        "for row in ROWS:\n    if row:\n        continue\n    assert row",
        "while x:\n    assert x",
        "try:\n    f()\nexcept ValueError:\n    assert x",
        "with pytest.raises(ValueError) if x else x:\n    f()",
        "maybe(x)",
        "def ask():\n    assert x",
        "[checked(row) for row in x]",
    ],
)
def test_path_without_assertion_is_reported_with_location(tmp_path: Path, body: str) -> None:
    assert find_problems(tmp_path, body) == [
        "tests/test_it.py:4: test_it may end without an assertion"
    ]


@pytest.mark.parametrize("body", ["assert (x, 'message')", "assert 'text'", "assert x == x"])
def test_constant_assertion_is_reported(tmp_path: Path, body: str) -> None:
    assert find_problems(tmp_path, body) == ["tests/test_it.py:5: this assertion always holds"]
