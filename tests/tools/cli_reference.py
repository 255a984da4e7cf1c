"""Writes ``docs/cli.md``, the reference of all commands, from the click tree: ``make docs``.

``python -m tests.tools.cli_reference`` writes the page; a unit test compares it with the tree.
"""

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from hardpan.cli import root

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
GLOBAL_OPTIONS = ("verbose", "log_file")
"""Names of the options that every command has; the page describes them once."""

_HEAD = """\
# Command reference

Generated from the program by `make docs`; do not edit it by hand.

stdout is data, stderr is progress. Exit codes:
[ARCHITECTURE.md](../ARCHITECTURE.md#exit-codes). Every command has `--help` and these options:

"""


def render() -> str:
    """Return the page as Markdown."""
    context = _context(root, "hardpan", None)
    everywhere = [p for p in root.get_params(context) if p.name in GLOBAL_OPTIONS]
    version = [p for p in root.get_params(context) if p.name == "version"]
    commands = root.get_help(context).partition("Commands:\n\n")[2]
    parts = [_HEAD + _table(everywhere, context)]
    if version:
        parts.append("`hardpan --version` prints the version.\n")
    parts.append(f"```text\n{commands}\n```\n")
    parts += [_section(command, child) for command, child in _subcommands(root, context)]
    return "\n".join(parts)


def _section(command: click.Command, context: click.Context) -> str:
    """Return the heading, usage, help text and options of a command and of its subcommands."""
    level = "#" * context.command_path.count(" ")
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    text = _paragraphs(command.help)
    lines = [f"#{level} {context.command_path}\n\n```text\n{usage}\n```\n"]
    if text:
        lines.append(text)
    options = [
        p
        for p in command.get_params(context)
        if isinstance(p, click.Option) and p.name not in GLOBAL_OPTIONS and "--help" not in p.opts
    ]
    if options:
        lines.append(_table(options, context))
    if command.epilog:
        lines.append(_paragraphs(command.epilog))
    if isinstance(command, click.Group):
        lines += [_section(sub, child) for sub, child in _subcommands(command, context)]
    return "\n".join(lines)


def _subcommands(
    group: click.Group, context: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield command, _context(command, name, context)


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    return click.Context(command, info_name=name, parent=parent, terminal_width=80)


def _paragraphs(text: str | None) -> str:
    """Return a help text with one line per paragraph, as Markdown."""
    paragraphs = inspect.cleandoc(text or "").replace("\b", "").split("\n\n")
    lines = (" ".join(p.split()) for p in paragraphs)
    return "".join(f"{_escaped(line)}\n\n" for line in lines if line).rstrip("\n") + "\n"


def _table(options: Sequence[click.Parameter], context: click.Context) -> str:
    lines = ["| option | description |", "| --- | --- |"]
    for names, text in filter(None, (option.get_help_record(context) for option in options)):
        code = names.replace("|", "\\|")
        lines.append(f"| `{code}` | {_escaped(' '.join(text.split()))} |")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Return ``text`` without characters that Markdown would interpret."""
    for character in "\\|<>*[]":
        text = text.replace(character, "\\" + character)
    return text


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(), "utf-8")


if __name__ == "__main__":
    main()
