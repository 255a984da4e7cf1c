import os
import re
from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.scanners.compatibility.conflicts import CONFLICTS_FILE, load_conflicts, parse_conflicts
from hardpan.scanners.compatibility.markdown import render_markdown

CONFLICTS_PAGE = Path(__file__).parents[3] / "docs" / "conflicts.md"
SINGLE_CONFLICT = """\
conflicts:
  - id: tmp-noexec
    row: "1"
    title: Both
    rules: [RHEL-09-231130]
    content: [mount_option_tmp_noexec]
    breaks: A thing.
    wrong_fix: Another.
    resolution: A third.
    source: read
    as_of: 2026-11-21
    proven: lab
    control: {inspects: mounts, expects: noexec}
    workload: {inspects: a load, expects: it loads}
"""


def test_conflicts_are_complete_and_ordered() -> None:
    numbers = [str(n) for n in range(1, 32)]
    index = numbers.index("5") + 1
    expected = [*numbers[:index], "5b", "5c", *numbers[index:], "G1"]

    assert [c.row for c in load_conflicts()] == expected


def test_conflicts_page_is_up_to_date() -> None:
    page = render_markdown(load_conflicts())
    if os.environ.get("HARDPAN_UPDATE_GOLDEN"):
        CONFLICTS_PAGE.write_text(page, "utf-8")

    assert CONFLICTS_PAGE.read_text("utf-8") == page, "HARDPAN_UPDATE_GOLDEN=1 writes it again"


def test_each_conflict_has_a_row_and_a_section() -> None:
    page = render_markdown(load_conflicts())

    rows = [c.row for c in load_conflicts()]
    assert [row for row in re.findall(r"(?m)^\| (\w+) \| ", page) if row in rows] == rows
    assert re.findall(r"(?m)^## (.+)$", page) == [c.id for c in load_conflicts()]


def test_unproven_conflicts_state_proof_requirements() -> None:
    unproven = [c for c in load_conflicts() if c.proven == "not_yet"]

    assert unproven
    assert [c.id for c in unproven if not c.unproven] == []


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        ("as_of: 2026-11-21", "as_of: soon", "conflicts[0].as_of: "),
        ("RHEL-09-231130", "RHEL-9-231130", "conflicts[0].rules[0]: expected a DISA id"),
        ("proven: lab", "proven: everywhere", "expected lab or not_yet"),
        ("proven: lab", "proven: not_yet", "expected it with 'proven: not_yet', and only there"),
        ("proven: lab", "proven: lab\n    unproven: x", "expected it with 'proven: not_yet'"),
        ("    title: Both\n", "", "conflicts[0].title: is missing"),
        ("title: Both", "title: B\u00f6th", "expected one line of plain ASCII text"),
        ("title: Both", "title: Both\n    nmae: x", "conflicts[0].nmae: unknown setting"),
        ("id: tmp-noexec", "id: ../x", "expected an id of a-z"),
        ('row: "1"', "row: '001'", "expected a row as"),
        (", expects: noexec}", "}", "conflicts[0].control.expects: is missing"),
    ],
)
def test_invalid_value_reports_location(was: str, now: str, problem: str) -> None:
    assert was in SINGLE_CONFLICT
    with pytest.raises(InputError) as caught:
        parse_conflicts(SINGLE_CONFLICT.replace(was, now, 1).encode(), "conflicts.yaml")

    assert problem in str(caught.value)
    assert str(caught.value).startswith("conflicts.yaml:")


def test_duplicate_id_is_refused() -> None:
    duplicated = SINGLE_CONFLICT + SINGLE_CONFLICT.partition("\n")[2].replace('"1"', '"2"')

    with pytest.raises(InputError, match=r"conflicts\[1\]\.id: tmp-noexec is duplicated"):
        parse_conflicts(duplicated.encode(), "conflicts.yaml")


def test_conflicts_file_exists() -> None:
    assert CONFLICTS_FILE.is_file()
