"""Where hardpan finds its own files and modules."""

import ast
import re
from pathlib import Path
from typing import TypeGuard

import pytest
import yaml

from hardpan.builder.media.sources import CATALOG_FILE
from hardpan.core import resources
from hardpan.core.resources import resource_path
from tests.source_tree import PRODUCT, REPO, parse_modules

# A program that runs without hardpan.
_MODULE_FILES = {"builder/vm/network.py"}
_MODULE_PATH = re.compile("__file__|__path__|importlib")


def find_module_paths(source: ast.AST) -> list[int]:
    """Lines that find a file by the place of a module, not by ``hardpan.core.resources``."""
    return [node.lineno for node in ast.walk(source) if _is_module_path(node)]


def _is_module_path(node: ast.AST) -> TypeGuard[ast.expr | ast.stmt]:
    if isinstance(node, ast.ImportFrom):
        return str(node.module).startswith("importlib.resources")
    name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
    return name in ("__file__", "__path__")


def test_only_resources_module_uses_module_paths() -> None:
    lines_by_module = {
        name: lines
        for name, tree in parse_modules(PRODUCT, _MODULE_PATH)
        if (lines := find_module_paths(tree))
    }

    assert set(lines_by_module) == {"hardpan/core/resources.py", *_MODULE_FILES}
    assert all(len(lines_by_module[name]) == 1 for name in _MODULE_FILES)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("HERE = Path(__file__).parents[2]", [1]),
        ("\nx = hardpan.scanners.__file__", [2]),
        ("y = hardpan.__path__[0]", [1]),
        ("from importlib.resources import files", [1]),
        ("from importlib.metadata import version", []),
        ("path = resource_path('hardpan.profiles')", []),
    ],
)
def test_module_path_search_finds_every_form(code: str, expected: list[int]) -> None:
    assert find_module_paths(ast.parse(code)) == expected
    assert not expected or _MODULE_PATH.search(code)


def test_every_resource_exists() -> None:
    calls = [
        [a.value for a in node.args if isinstance(a, ast.Constant)]
        for _, tree in parse_modules(PRODUCT, "resource_path")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "resource_path"
    ]
    # The registry of layers computes its packages: no literal, and a test of its own.
    literal_calls = [list(map(str, call)) for call in calls if call]

    assert len(literal_calls) >= 20
    assert [call for call in literal_calls if not resource_path(*call).exists()] == []


def test_every_media_builder_module_exists() -> None:
    modules = [
        entry["build"]
        for entry in yaml.safe_load(CATALOG_FILE.read_text("utf-8")).values()
        if "build" in entry
    ]

    assert set(modules) == {"images.lab.build"}
    assert [
        module for module in modules if not (REPO / f"{module.replace('.', '/')}.py").is_file()
    ] == []


def test_checkout_is_the_folder_with_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resources.find_checkout() == REPO

    (tmp_path / "hardpan").mkdir()
    monkeypatch.setattr(resources, "files", lambda _: tmp_path / "hardpan")
    assert resources.find_checkout() is None
