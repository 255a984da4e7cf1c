"""Runs hardpan's command line after something was broken in it, in a process of its own.

python bug_driver.py callback keys new       an exception in the command
python bug_driver.py import keys new         an exception while the command's module is imported
python bug_driver.py without MODULE,... scan --help
python bug_driver.py cleanup LOG profiles    a program that SIGTERM does not end
"""

import importlib.abc
import itertools
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import click

from hardpan import cli
from hardpan.process import spawn

MESSAGE = "planted \x1b[2J\x1b[31mred\r\nsecond line, password=hunter2"


def plant_in_callback(words: Sequence[str]) -> None:
    def broken() -> NoReturn:
        raise RuntimeError(MESSAGE)

    replace_callback(words, broken)


def replace_callback(words: Sequence[str], callback: Callable[[], object]) -> None:
    """Let the command of ``words`` call ``callback``, whatever arguments it requires otherwise."""
    command = cli.root.get_command(click.Context(cli.root), words[0])
    for word in itertools.takewhile(lambda word: not word.startswith("-"), words[1:]):
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert command is not None
    command.params.clear()
    command.callback = callback


class Broken(importlib.abc.MetaPathFinder):
    """Raises instead of finding some modules."""

    def __init__(self, names: Sequence[str], error: Callable[[str], Exception]) -> None:
        self._names = names
        self._error = error

    def find_spec(self, name: str, *_: object) -> None:
        if name in self._names:
            raise self._error(name)


def plant_in_import(words: Sequence[str]) -> None:
    module = cli.VERBS[words[0]][0].partition(":")[0]
    sys.meta_path.insert(0, Broken([module], lambda _: RuntimeError(MESSAGE)))


def leave_out(names: Sequence[str]) -> None:
    def missing(name: str) -> ModuleNotFoundError:
        return ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Broken(names, missing))


def clean_up_slowly(log: Path) -> None:
    def work() -> None:
        with spawn(["sh", "-c", "trap '' TERM; echo ready $$; sleep 60 & wait; wait"], log=log):
            time.sleep(60)

    replace_callback(["profiles"], work)


if __name__ == "__main__":
    mode, *words = sys.argv[1:]
    if mode == "callback":
        plant_in_callback(words)
    elif mode == "import":
        plant_in_import(words)
    elif mode == "without":
        leave_out(words.pop(0).split(","))
    elif mode == "cleanup":
        clean_up_slowly(Path(words.pop(0)))
    sys.argv = ["hardpan", *words]
    cli.main()
