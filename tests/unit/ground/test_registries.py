"""Whatever is named by a string and imported later is there, and is what it is taken for."""

import ast
import inspect
import re
import tomllib
from importlib import import_module

import click
import pytest

from hardpan import cli
from hardpan.scanners.collect.base import COLLECTORS, Collector, collector
from hardpan.scanners.report.base import FORMATS, Renderer, renderer
from tests.unit.tree import PRODUCT, REPO, files

TREES = [ast.parse(path.read_bytes()) for path in files(PRODUCT, ".py")]
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


def test_every_name_that_is_imported_later_is_in_a_table_that_is_tested_here() -> None:
    strings = {
        node.value
        for tree in TREES
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


def test_the_programs_of_the_package_are_there() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]

    assert list(project["scripts"]) == ["hardpan"]
    assert named(project["scripts"]["hardpan"]) is cli.main
