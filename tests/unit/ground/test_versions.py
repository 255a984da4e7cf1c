"""Nobody compares versions as text: '10' < '9' sent EL10 down EL7's road in a vendor's role."""

import ast
import re
from collections.abc import Iterator

import pytest

from hardpan.profiles.versions import numbers, series
from tests.unit.tree import PRODUCT, REPO, files

_FOLDERS = (*PRODUCT, "images")
_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_SORTS = ("sorted", "min", "max", "sort")
_VERSION_NAME = re.compile(r"(^|_)(release|releasever|major|version|branch|driver|rocm|cuda)$")
_VERSION_TEXT = re.compile(r"(?:rocky|rhel|el|lab)?[0-9]+(?:\.[0-9]+)*")
_MAJOR_IN_TEMPLATE = re.compile(
    r"(?:_version|_release|releasever|\brelease)\b(?P<filters>(?:\s*\|\s*\w+(?:\([^)]*\))?)*)"
    r"\s*(?:<=?|>=?)\s*[\"'0-9]"
)


def as_text(source: str) -> Iterator[int]:
    """Lines of Python that put versions in order without making them numbers."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(isinstance(op, _ORDER) for op in node.ops) and any(map(_is_text, sides)):
                yield node.lineno
        elif isinstance(node, ast.Call):
            called = node.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            keyed = any(k.arg == "key" for k in node.keywords)
            texts = [a for a in node.args if _is_version_name(a)]
            if name in _SORTS and not keyed and texts:
                yield node.lineno


def in_template(text: str) -> Iterator[int]:
    """Lines of a template or playbook that order a version before ``| int`` made it a number."""
    for m in _MAJOR_IN_TEMPLATE.finditer(text):
        if not re.search(r"\|\s*int\b", m["filters"]):
            yield text.count("\n", 0, m.start()) + 1


def _is_text(node: ast.expr) -> bool:
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


def test_no_code_puts_versions_in_order_as_text() -> None:
    paths = files(_FOLDERS, ".py")

    found = [
        f"{p.relative_to(REPO)}:{line}" for p in paths for line in as_text(p.read_text("utf-8"))
    ]
    assert len(paths) > 300
    assert found == []


def test_no_template_or_playbook_does_either() -> None:
    paths = files(_FOLDERS, ".yml", ".yaml", ".j2")

    found = [
        f"{p.relative_to(REPO)}:{line}" for p in paths for line in in_template(p.read_text("utf-8"))
    ]
    assert len(paths) > 90
    assert found == []


@pytest.mark.parametrize(
    ("code", "caught"),
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
        ("count < 10", False),
        ("name < 'rocky'", False),
    ],
)
def test_the_search_finds_what_it_is_for(code: str, caught: bool) -> None:
    assert bool(list(as_text(code))) is caught


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ("when: ansible_distribution_major_version > '7'", True),
        ("when: ansible_facts.distribution_major_version >= 9", True),
        ("{% if release < 10 %}", True),
        ("when: ansible_distribution_major_version | int > 7", False),
        ("when: (ansible_distribution_major_version | default('9') | int) >= 9", False),
        ("when: ansible_distribution_major_version == '9'", False),
    ],
)
def test_the_search_in_templates_finds_what_it_is_for(text: str, caught: bool) -> None:
    assert bool(list(in_template(text))) is caught


def test_ten_comes_after_nine() -> None:
    assert numbers("10.0") > numbers("9.8")
    assert numbers("580.178.04") > numbers("580.65.06")
    assert series("7.14.1") > series("7.9")
    assert series("10") == (10, 0)


@pytest.mark.parametrize("text", ["", "9.", "nine", "9.x"])
def test_what_is_no_version_has_no_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        numbers(text)
