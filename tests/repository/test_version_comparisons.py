"""No code compares versions as text: '10' < '9' applied EL7's tasks to EL10 in a vendor's role."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.source_tree import PRODUCT, REPO, list_files, parse_modules

_FOLDERS = (*PRODUCT, "images")
_ORDERING_OPERATORS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_SORTING_FUNCTIONS = ("sorted", "min", "max", "sort")
_VERSION_NAME = re.compile(r"(^|_)(release|releasever|major|version|branch|driver|rocm|cuda)$")
_VERSION_TEXT = re.compile(r"(?:rocky|rhel|el|lab)?[0-9]+(?:\.[0-9]+)*")
_POSSIBLE_COMPARISON = re.compile(
    r"(?:release|releasever|major|version|branch|driver|rocm|cuda)s?\b"  # of a _VERSION_NAME
    r"|[\"'](?:rocky|rhel|el|lab)?[0-9]+(?:\.[0-9]+)*[\"']"  # a _VERSION_TEXT
)
_TEMPLATE_COMPARISON = re.compile(
    r"(?:_version|_release|releasever|\brelease)\b(?P<filters>(?:\s*\|\s*\w+(?:\([^)]*\))?)*)"
    r"\s*(?:<=?|>=?)\s*[\"'0-9]"
)


def find_text_comparisons(source: str) -> Iterator[int]:
    """Lines of Python that put versions in order without making them numbers."""
    return _find_in_tree(ast.parse(source))


def _find_in_tree(tree: ast.AST) -> Iterator[int]:
    numbers = set(_find_number_names(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            operands = [n for n in (node.left, *node.comparators) if n not in numbers]
            if any(isinstance(op, _ORDERING_OPERATORS) for op in node.ops) and any(
                map(_is_version_text, operands)
            ):
                yield node.lineno
        elif isinstance(node, ast.Call):
            function = node.func
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            has_key = any(k.arg == "key" for k in node.keywords)
            texts = [a for a in node.args if _is_version_name(a)]
            if name in _SORTING_FUNCTIONS and not has_key and texts:
                yield node.lineno


def _find_number_names(tree: ast.AST) -> Iterator[ast.Name]:
    """Uses of a parameter of type ``Version``: numbers, which have the right order."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        parameters = {
            argument.arg
            for argument in (*function.args.args, *function.args.kwonlyargs)
            if isinstance(argument.annotation, ast.Name) and argument.annotation.id == "Version"
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and node.id in parameters:
                yield node


def find_template_comparisons(text: str) -> Iterator[int]:
    """Yield lines of a template or playbook that compare a version without ``| int``."""
    for m in _TEMPLATE_COMPARISON.finditer(text):
        if not re.search(r"\|\s*int\b", m["filters"]):
            yield text.count("\n", 0, m.start()) + 1


def _is_version_text(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and bool(_VERSION_TEXT.fullmatch(node.value))
    return _is_version_name(node)


def _is_version_name(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and bool(
            _VERSION_NAME.search(str(node.slice.value))
        )
    name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
    plural = name.removesuffix("s") if isinstance(name, str) else ""
    return bool(_VERSION_NAME.search(plural))


def test_no_code_compares_versions_as_text() -> None:
    locations = [
        f"{name}:{line}"
        for name, tree in parse_modules(_FOLDERS, _POSSIBLE_COMPARISON)
        for line in _find_in_tree(tree)
    ]
    assert len(list_files(_FOLDERS, ".py")) > 300
    assert locations == []


def test_no_template_compares_versions_as_text() -> None:
    paths = list_files(_FOLDERS, ".yml", ".yaml", ".j2")

    locations = [
        f"{path.relative_to(REPO)}:{line}"
        for path in paths
        for line in find_template_comparisons(path.read_text("utf-8"))
    ]
    assert len(paths) > 90
    assert locations == []


@pytest.mark.parametrize(
    ("code", "is_match"),
    [
        ("profile.release < 'rocky10'", True),
        ("if '9' <= major: pass", True),
        ("x = facts['ansible_distribution_major_version'] >= '8'", True),
        ("if nvidia.branch >= '620': pass", True),
        ("if a.driver < b.driver: pass", True),
        ("newest = max(versions)", True),
        ("profile.release == 'rocky10'", False),
        ("numbers(nvidia.branch) >= (620,)", False),
        ("newest = max(versions, key=numbers)", False),
        ("def f(version: Version): return version >= (8, 7)", False),
        ("def f(*, version: Version): return version >= (8, 7)", False),
        ("def f(version: str): return version >= x", True),
        ("def f(a: Version): return version >= x", True),
        ("count < 10", False),
        ("name < 'rocky'", False),
    ],
)
def test_text_comparison_search_finds_planted_code(code: str, is_match: bool) -> None:
    assert bool(list(find_text_comparisons(code))) is is_match
    assert not is_match or _POSSIBLE_COMPARISON.search(code)


@pytest.mark.parametrize(
    ("text", "is_match"),
    [
        ("when: ansible_distribution_major_version > '7'", True),
        ("when: ansible_facts.distribution_major_version >= 9", True),
        ("{% if release < 10 %}", True),
        ("when: ansible_distribution_major_version | int > 7", False),
        ("when: (ansible_distribution_major_version | default('9') | int) >= 9", False),
        ("when: ansible_distribution_major_version == '9'", False),
    ],
)
def test_template_search_finds_planted_comparison(text: str, is_match: bool) -> None:
    assert bool(list(find_template_comparisons(text))) is is_match
