"""Nothing but ``hardpan.core.console`` prints: what passes there cannot be forgotten elsewhere."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.source_tree import PRODUCT, REPO, parse_modules

ALLOWED_CALLS = {
    "hardpan/core/console.py": {"click.echo", "click.prompt", "sys.stdout", "rich.console.Console"},
    # They write nothing: flush, redirect to /dev/null, or ask whether anybody reads.
    "hardpan/cli/error_reporting.py": {"sys.stdout", "sys.stderr"},
    "hardpan/cli/__init__.py": {"sys.stdout", "os.write"},  # a constant, where nothing else works
    "hardpan/core/event_log.py": {"os.write"},  # the log file
    "hardpan/core/interrupts.py": {"os.write"},  # a constant, in a signal handler
    "hardpan/core/streams.py": {"sys.stdout", "sys.stderr"},
    "hardpan/ssh/process_channel.py": {"os.write"},  # the stdin of a child process
    "scanners/openscap/arf/worker.py": {"sys.stdout"},  # a pipe to the process that validates it
}
"""File -> what it may use of ``PRINTING``."""

TARGET_PROGRAMS = (
    "builder/ansible/",  # run on the machine that is built
    "builder/ai_service/payload/",
    "scanners/collect/workload/",  # run on the target
    "images/lab/installer/",  # run in the lab's installer
)
"""Programs that are copied to another machine; hardpan prints what they answer."""

PRINTING_CALLS = {
    *("print", "input", "rich.console.Console", "os.write", "getpass.getpass", "warnings.warn"),
    *("sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"),
    *("click.echo", "click.secho", "click.prompt", "click.confirm", "click.progressbar"),
    *("click.echo_via_pager", "click.edit", "click.pause", "click.getchar"),
    *("logging.basicConfig", "logging.StreamHandler", "logging.captureWarnings"),
    *("traceback.print_exc", "traceback.print_exception", "traceback.print_stack"),
}

_PRINTING_NAME = rf"\b(?:{'|'.join(sorted({c.rpartition('.')[2] for c in PRINTING_CALLS}))})\b"


def find_calls(source: str) -> Iterator[str]:
    """What a source uses of ``PRINTING``, by any name that it imports it under."""
    return _find_calls(ast.parse(source))


def _find_calls(tree: ast.AST) -> Iterator[str]:
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


def test_only_console_module_prints() -> None:
    violations = {
        (name, call)
        for name, tree in parse_modules((*PRODUCT, "images"), _PRINTING_NAME)
        if not name.startswith(TARGET_PROGRAMS)
        for call in PRINTING_CALLS.intersection(_find_calls(tree))
        if call not in ALLOWED_CALLS.get(name, set())
    }
    assert {f"{name}: {call}" for name, call in violations} == set()


@pytest.mark.parametrize(
    ("source", "call"),
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
def test_call_search_finds_every_printing_call(source: str, call: str) -> None:
    assert call in set(find_calls(source))
    assert re.search(_PRINTING_NAME, source)


def test_every_allowed_call_is_used() -> None:
    assert {
        name: unused
        for name, allowed in ALLOWED_CALLS.items()
        if (unused := allowed - set(find_calls((REPO / name).read_text("utf-8"))))
    } == {}
