"""Nothing but ``hardpan.terminal`` prints: what passes there cannot be forgotten elsewhere."""

import ast
from collections.abc import Iterator

import pytest

from tests.unit.tree import PRODUCT, files, texts

ALLOWED = {
    "hardpan/terminal.py": {"click.echo", "click.prompt", "sys.stdout", "rich.console.Console"},
    # They write nothing: flush, redirect to /dev/null, or ask whether anybody reads.
    "hardpan/boundary.py": {"sys.stdout", "sys.stderr"},
    "hardpan/cli.py": {"sys.stdout", "os.write"},  # a constant, where nothing else works
    "hardpan/event_log.py": {"os.write"},  # the log file
    "hardpan/interrupts.py": {"os.write"},  # a constant, in a signal handler
    "hardpan/streams.py": {"sys.stdout", "sys.stderr"},
    "scanners/arf_worker.py": {"sys.stdout"},  # a pipe to the process that validates it
}
"""File -> what it may use of ``PRINTING``."""

ELSEWHERE = (
    "builder/ansible/",  # run on the machine that is built
    "builder/layers/sovereign/",
    "scanners/collect/workload/",  # run on the target
    "images/lab/installer/",  # run in the lab's installer
)
"""Programs that are copied to another machine; hardpan prints what they answer."""

PRINTING = {
    *("print", "input", "rich.console.Console", "os.write", "getpass.getpass", "warnings.warn"),
    *("sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"),
    *("click.echo", "click.secho", "click.prompt", "click.confirm", "click.progressbar"),
    *("click.echo_via_pager", "click.edit", "click.pause", "click.getchar"),
    *("logging.basicConfig", "logging.StreamHandler", "logging.captureWarnings"),
    *("traceback.print_exc", "traceback.print_exception", "traceback.print_stack"),
}


def used(source: str) -> Iterator[str]:
    """What a source uses of ``PRINTING``, by any name that it imports it under."""
    tree = ast.parse(source)
    names = {"print": "print", "input": "input"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.asname or a.name: a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield names.get(node.id, "")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{names.get(node.value.id, '')}.{node.attr}"


def test_only_the_terminal_module_prints() -> None:
    found = {
        (name, what)
        for name, text in texts(files((*PRODUCT, "images"), ".py"))
        if not name.startswith(ELSEWHERE)
        for what in PRINTING.intersection(used(text))
        if what not in ALLOWED.get(name, set())
    }
    assert {f"{name}: {what}" for name, what in found} == set()


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("print(1)", "print"),
        ("import sys\nsys.stdout.write('x')", "sys.stdout"),
        ("from sys import stderr as talk\ntalk.write('x')", "sys.stderr"),
        ("import click\nclick.echo('x')", "click.echo"),
        ("from click import secho\nsecho('x')", "click.secho"),
        ("import os as o\no.write(1, b'x')", "os.write"),
        ("from rich.console import Console\nConsole()", "rich.console.Console"),
    ],
)
def test_the_search_knows_every_way_to_print(source: str, what: str) -> None:
    assert what in set(used(source))


def test_every_exception_is_used() -> None:
    real = dict(texts(files(PRODUCT, ".py")))

    assert {
        n: what for n, allowed in ALLOWED.items() if (what := allowed - set(used(real[n])))
    } == {}
