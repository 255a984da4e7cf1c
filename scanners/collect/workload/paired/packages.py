"""Import of everything that a stack brings, by the stack's own Python."""

import importlib
import os
import sys
from typing import List

from .tools import Half, broken, holds, unasked

MOST_FILES = 200_000
_MOST = 400
_NOT_CODE = ("test", "tests", "testing", "doc", "docs", "examples", "bin", "scripts", "benchmarks")


def imported() -> Half:
    """Whether each package of the stack imports; which do not, and why."""
    stack = sys.prefix
    if not stack.startswith("/opt/ai/stacks/"):
        return unasked("no stack in /opt/ai/stacks")
    names = top_level(os.path.join(stack, "lib"))
    if not names:
        return unasked(f"{stack}: no package found")
    wrong = []
    for name in names[:_MOST]:
        try:
            importlib.import_module(name)
        except BaseException as e:  # noqa: BLE001 - a package may raise or exit as it likes
            wrong.append(f"{name}: {type(e).__name__} {str(e)[:80]}")
    told = f"{os.path.basename(stack)}: {len(names) - len(wrong)} of {len(names)} packages load"
    return broken(f"{told}; {'; '.join(wrong[:3])}") if wrong else holds(told)


def top_level(lib: str) -> List[str]:
    """The importable names in the site-packages below ``lib``, from the packages' own records."""
    found = set()
    for folder, folders, _ in os.walk(lib):
        if os.path.basename(folder) == "site-packages":
            for name in folders:
                if name.endswith(".dist-info"):
                    found.update(_recorded(os.path.join(folder, name, "RECORD")))
            folders.clear()
    return sorted(n for n in found if n.isidentifier() and n[0] != "_" and n not in _NOT_CODE)


def _recorded(record: str) -> List[str]:
    names = []
    try:
        with open(record, encoding="utf-8", errors="replace") as f:
            for line in f:
                path = line.split(",", 1)[0].strip('"')
                first, _, rest = path.partition("/")
                if rest == "__init__.py" or (not rest and path.endswith((".py", ".so"))):
                    names.append(first.split(".", 1)[0])
    except OSError:
        return []
    return names
