"""Run hardpan's command line with an injected fault, in its own process.

python fault_driver.py callback keys new       an exception in the command
python fault_driver.py import keys new         an exception while the command's module is imported
python fault_driver.py without MODULE,... scan --help
python fault_driver.py cleanup LOG profiles    a program that SIGTERM does not end
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
from hardpan.core.process import spawn

MESSAGE = "planted \x1b[2J\x1b[31mred\r\nsecond line, password=hunter2"


def fail_in_callback(arguments: Sequence[str]) -> None:
    def raise_planted_error() -> NoReturn:
        raise RuntimeError(MESSAGE)

    replace_callback(arguments, raise_planted_error)


def replace_callback(arguments: Sequence[str], callback: Callable[[], object]) -> None:
    """Replace the callback of a command, and remove its required arguments."""
    command = cli.root.get_command(click.Context(cli.root), arguments[0])
    for argument in itertools.takewhile(
        lambda argument: not argument.startswith("-"), arguments[1:]
    ):
        assert isinstance(command, click.Group)
        command = command.commands[argument]
    assert command is not None
    command.params.clear()
    command.callback = callback


class FailingImporter(importlib.abc.MetaPathFinder):
    """Raises an error instead of finding the named modules."""

    def __init__(self, names: Sequence[str], error: Callable[[str], Exception]) -> None:
        self._names = names
        self._error = error

    def find_spec(self, name: str, *_: object) -> None:
        if name in self._names:
            raise self._error(name)


def fail_in_import(arguments: Sequence[str]) -> None:
    module = cli.COMMANDS[arguments[0]][0].partition(":")[0]
    sys.meta_path.insert(0, FailingImporter([module], lambda _: RuntimeError(MESSAGE)))


def hide_modules(names: Sequence[str]) -> None:
    def module_error(name: str) -> ModuleNotFoundError:
        return ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, FailingImporter(names, module_error))


def clean_up_slowly(log: Path) -> None:
    def run_stubborn_process() -> None:
        script = "trap '' TERM; printf 'ready %s' $$; sleep 60 & wait; wait"
        with spawn(["sh", "-c", script], log=log):
            while not log.read_text():
                time.sleep(0.01)
            # The test waits for this end of line: a signal must not come before this block does.
            with log.open("a") as log_file:
                log_file.write("\n")
            time.sleep(60)

    replace_callback(["profiles"], run_stubborn_process)


if __name__ == "__main__":
    mode, *arguments = sys.argv[1:]
    if mode == "callback":
        fail_in_callback(arguments)
    elif mode == "import":
        fail_in_import(arguments)
    elif mode == "without":
        hide_modules(arguments.pop(0).split(","))
    elif mode == "cleanup":
        clean_up_slowly(Path(arguments.pop(0)))
    sys.argv = ["hardpan", *arguments]
    cli.main()
