"""Whatever is named by a string and imported later is there, and is what it is taken for."""

import ast
import inspect
import re
import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest

from hardpan import cli
from hardpan.resources import resource_path
from hardpan.scanners.collect.base import COLLECTORS, Collector, collector
from hardpan.scanners.report.base import FORMATS, Renderer, renderer

REPO = Path(__file__).parents[3]
ROOMS = ("hardpan", "builder", "kickstart", "profiles", "scanners")
TREES = {
    path.relative_to(REPO): ast.parse(path.read_bytes())
    for room in ROOMS
    for path in sorted((REPO / room).rglob("*.py"))
    if room != "hardpan" or path.relative_to(REPO).parts[1] not in ROOMS  # links to the others
}
VERBS = {verb: name for verb, (name, _) in cli.VERBS.items()}
RENDERERS = {name: made.renderer for name, made in FORMATS.items()}
_DOTTED = re.compile(r"hardpan(?:\.\w+)+:\w+")


def named(name: str) -> object:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def parameters(function: object) -> list[tuple[str, str]]:
    assert callable(function)
    given = inspect.signature(function).parameters.values()
    return [(p.name, p.kind.description) for p in given if p.name != "self"]


def resources() -> list[tuple[str, ...]]:
    """What ``resource_path`` is asked for anywhere, where it is told by strings alone."""
    calls = [n for tree in TREES.values() for n in ast.walk(tree) if isinstance(n, ast.Call)]
    asked = [c for c in calls if ast.unparse(c.func) == "resource_path"]
    return [
        tuple(a.value for a in c.args if isinstance(a, ast.Constant) and isinstance(a.value, str))
        for c in asked
        if all(isinstance(a, ast.Constant) for a in c.args)
    ]


def test_every_name_that_is_imported_later_is_in_a_table_that_is_tested_here() -> None:
    strings = {
        node.value
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    assert len(TREES) > 250
    assert {s for s in strings if _DOTTED.fullmatch(s)} == {
        *VERBS.values(),
        *RENDERERS.values(),
        *COLLECTORS.values(),
    }
    assert min(map(len, (VERBS, RENDERERS, COLLECTORS))) >= 5


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_a_click_command_of_its_name_with_help(verb: str) -> None:
    command = named(VERBS[verb])

    assert isinstance(command, click.Command)
    assert cli.root.get_command(click.Context(cli.root), verb) is command
    assert command.help
    assert not isinstance(command, click.Group) or command.commands


@pytest.mark.parametrize("name", RENDERERS)
def test_a_format_has_a_renderer(name: str) -> None:
    made = renderer(name)

    assert type(made) is named(RENDERERS[name])
    assert parameters(type(made).render) == parameters(Renderer.render)


@pytest.mark.parametrize("name", COLLECTORS)
def test_a_collector_collects(name: str) -> None:
    made = collector(name)

    assert type(made) is named(COLLECTORS[name])
    assert parameters(type(made).collect) == parameters(Collector.collect)


def test_every_file_of_the_package_that_is_named_by_strings_is_there() -> None:
    asked = resources()

    assert len(asked) > 15
    assert [names for names in asked if not resource_path(*names).exists()] == []


def test_the_programs_of_the_package_are_there() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]

    assert list(project["scripts"]) == ["hardpan"]
    assert named(project["scripts"]["hardpan"]) is cli.main
