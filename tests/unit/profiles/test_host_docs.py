"""docs/host-hardening.md matches the code: its tables are generated from the code's data."""

import os
import re
from pathlib import Path

import pytest

from hardpan.profiles.schema import allowlists, sysctls

PAGE = Path(__file__).parents[3] / "docs" / "host-hardening.md"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


TABLES = {
    "sysctls": table(
        ("setting", "value", "since", "Rocky 9", "why"),
        [
            (f"`{s.name}`", f"`{s.value}`", s.upstream, s.on_rocky9, s.reason)
            for s in sysctls.SYSCTLS
        ],
    ),
    "not set": table(("setting", "why not"), [(f"`{k}`", v) for k, v in sysctls.NOT_SET.items()]),
    "modules": table(
        ("modules", "why"),
        [(", ".join(f"`{m}`" for m in v), k) for k, v in allowlists.FORBIDDEN_MODULES.items()],
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_documentation_table_matches_code(name: str) -> None:
    block = re.compile(rf"(<!-- generated: {name} -->\n)(.*?)(<!-- end -->)", re.DOTALL)
    page = PAGE.read_text("utf-8")
    if os.environ.get("HARDPAN_UPDATE_GOLDEN"):
        page = block.sub(lambda m: m[1] + TABLES[name] + m[3], page)
        PAGE.write_text(page, "utf-8")

    match = block.search(page)
    assert match is not None
    assert match[2] == TABLES[name]


def test_set_and_excluded_sysctls_are_disjoint() -> None:
    names = [s.name for s in sysctls.SYSCTLS]

    assert names == sorted(set(names))
    assert not set(names) & set(sysctls.NOT_SET)
