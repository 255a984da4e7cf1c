"""Whatever is named by a string and imported later is there, and is what it is taken for."""

import ast
import inspect
import re
import tomllib
from importlib import import_module

import click
import pytest

from hardpan import cli
from hardpan.scanners.collect.base import COLLECTORS, Collector, create_collector
from hardpan.scanners.report.registry import FORMATS, Renderer, load_renderer
from tests.source_tree import PRODUCT, REPO, parse_modules

COMMAND_TARGETS = {name: target for name, (target, _) in cli.COMMANDS.items()}
RENDERERS = {target: entry.renderer for target, entry in FORMATS.items()}
_DOTTED = re.compile(r"hardpan(?:\.\w+)+:\w+")


def resolve(name: str) -> object:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def parameter_kinds(function: object) -> list[tuple[str, str]]:
    assert callable(function)
    signature_parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind.description) for p in signature_parameters if p.name != "self"]


def test_every_lazy_import_string_is_in_a_tested_registry() -> None:
    strings = {
        node.value
        for _, tree in parse_modules(PRODUCT, r"""["']hardpan\.""")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    assert {s for s in strings if _DOTTED.fullmatch(s)} == {
        *COMMAND_TARGETS.values(),
        *RENDERERS.values(),
        *COLLECTORS.values(),
    }
    assert min(map(len, (COMMAND_TARGETS, RENDERERS, COLLECTORS))) >= 5


@pytest.mark.parametrize("name", COMMAND_TARGETS)
def test_command_resolves_to_click_command_with_help(name: str) -> None:
    command = resolve(COMMAND_TARGETS[name])

    assert isinstance(command, click.Command)
    assert cli.root.get_command(click.Context(cli.root), name) is command
    assert command.help
    assert not isinstance(command, click.Group) or command.commands


@pytest.mark.parametrize("name", RENDERERS)
def test_format_has_a_renderer(name: str) -> None:
    instance = load_renderer(name)

    assert type(instance) is resolve(RENDERERS[name])
    assert parameter_kinds(type(instance).render) == parameter_kinds(Renderer.render)


@pytest.mark.parametrize("name", COLLECTORS)
def test_collector_has_the_collect_signature(name: str) -> None:
    instance = create_collector(name)

    assert type(instance) is resolve(COLLECTORS[name])
    assert parameter_kinds(type(instance).collect) == parameter_kinds(Collector.collect)


def test_console_script_resolves_to_main() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]

    assert list(project["scripts"]) == ["hardpan"]
    assert resolve(project["scripts"]["hardpan"]) is cli.main
