"""Import every package of a stack, with the stack's own Python."""

import importlib
import os
import sys
from typing import List

from .tools import ProbeResult, not_tested, satisfied, violated

MAX_FILES = 200_000
_MAX_PACKAGES = 400
_NOT_CODE = ("test", "tests", "testing", "doc", "docs", "examples", "bin", "scripts", "benchmarks")


def check_imports() -> ProbeResult:
    """Whether each package of the stack imports; which do not, and why."""
    stack = sys.prefix
    if not stack.startswith("/opt/ai/stacks/"):
        return not_tested("no stack in /opt/ai/stacks")
    names = list_top_level(os.path.join(stack, "lib"))
    if not names:
        return not_tested(f"{stack}: no package found")
    failures = []
    for name in names[:_MAX_PACKAGES]:
        try:
            importlib.import_module(name)
        except BaseException as e:  # noqa: BLE001 - a package may raise or exit as it likes
            failures.append(f"{name}: {type(e).__name__} {str(e)[:80]}")
    summary = (
        f"{os.path.basename(stack)}: {len(names) - len(failures)} of {len(names)} packages load"
    )
    return violated(f"{summary}; {'; '.join(failures[:3])}") if failures else satisfied(summary)


def list_top_level(lib: str) -> List[str]:
    """Return the importable names in the site-packages below ``lib``, from the RECORD files."""
    names = set()
    for folder, folders, _ in os.walk(lib):
        if os.path.basename(folder) == "site-packages":
            for name in folders:
                if name.endswith(".dist-info"):
                    names.update(_read_record(os.path.join(folder, name, "RECORD")))
            folders.clear()
    return sorted(n for n in names if n.isidentifier() and n[0] != "_" and n not in _NOT_CODE)


def _read_record(record: str) -> List[str]:
    names = []
    try:
        with open(record, encoding="utf-8", errors="replace") as f:
            for line in f:
                path = line.split(",", 1)[0].strip('"')
                top_name, _, remainder = path.partition("/")
                if remainder == "__init__.py" or (not remainder and path.endswith((".py", ".so"))):
                    names.append(top_name.split(".", 1)[0])
    except OSError:
        return []
    return names
