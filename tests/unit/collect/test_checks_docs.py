"""docs/checks.md lists the checks of the registry."""

import os
import re

from hardpan.scanners.collect.check_registry import RegisteredCheck, load_registry
from tests.source_tree import REPO

PAGE = REPO / "docs" / "checks.md"


def describe_requirement(check: RegisteredCheck) -> str:
    if check.required is None:
        return "always"
    names = [*check.required.rules, *check.required.kernel_arguments, "`--require`"]
    return ", ".join(name if name.startswith("`") else f"`{name}`" for name in names)


def test_documentation_table_matches_the_registry() -> None:
    rows = [
        (f"`{c.id}`", c.title, c.severity, c.scope, ", ".join(c.nist), describe_requirement(c))
        for c in load_registry().checks
    ]
    head = ("id", "title", "severity", "scope", "controls", "required by")
    table = "".join(f"| {' | '.join(r)} |\n" for r in (head, ("---",) * len(head), *rows))
    block = re.compile(r"(<!-- generated: checks -->\n)(.*?)(<!-- end -->)", re.DOTALL)
    page = PAGE.read_text("utf-8")
    if os.environ.get("HARDPAN_UPDATE_GOLDEN"):
        page = block.sub(lambda m: m[1] + table + m[3], page)
        PAGE.write_text(page, "utf-8")

    match = block.search(page)
    assert match is not None
    assert match[2] == table
