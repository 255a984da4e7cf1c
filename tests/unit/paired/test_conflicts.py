import os
import re
from pathlib import Path

import pytest

from hardpan.errors import InputError
from hardpan.scanners.paired.conflicts import FILE, conflicts, parse
from hardpan.scanners.paired.table import markdown

PAGE = Path(__file__).parents[3] / "docs" / "conflicts.md"
ONE = """\
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
    control: {looks_at: mounts, expects: noexec}
    action: {looks_at: a load, expects: it loads}
"""


def test_every_conflict_of_the_table_is_there_once_and_in_order() -> None:
    numbers = [str(n) for n in range(1, 32)]
    at = numbers.index("5") + 1
    wanted = [*numbers[:at], "5b", "5c", *numbers[at:], "G1"]

    assert [c.row for c in conflicts()] == wanted


def test_the_page_is_what_the_list_gives() -> None:
    made = markdown(conflicts())
    if os.environ.get("HARDPAN_UPDATE_GOLDEN"):
        PAGE.write_text(made, "utf-8")

    assert PAGE.read_text("utf-8") == made, "HARDPAN_UPDATE_GOLDEN=1 writes it again"


def test_each_conflict_has_a_row_and_a_part_of_its_own_on_the_page() -> None:
    made = markdown(conflicts())

    rows = [c.row for c in conflicts()]
    assert [row for row in re.findall(r"(?m)^\| (\w+) \| ", made) if row in rows] == rows
    assert re.findall(r"(?m)^## (.+)$", made) == [c.id for c in conflicts()]


def test_what_may_not_apply_says_what_it_takes() -> None:
    unproven = [c for c in conflicts() if c.proven == "not_yet"]

    assert unproven
    assert [c.id for c in unproven if not c.unproven] == []


@pytest.mark.parametrize(
    ("was", "now", "told"),
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
def test_a_wrong_value_is_named_with_its_place(was: str, now: str, told: str) -> None:
    assert was in ONE
    with pytest.raises(InputError) as caught:
        parse(ONE.replace(was, now, 1).encode(), "conflicts.yaml")

    assert told in str(caught.value)
    assert str(caught.value).startswith("conflicts.yaml:")


def test_an_id_that_is_there_twice_is_refused() -> None:
    twice = ONE + ONE.partition("\n")[2].replace('"1"', '"2"')

    with pytest.raises(InputError, match=r"conflicts\[1\]\.id: tmp-noexec is there twice"):
        parse(twice.encode(), "conflicts.yaml")


def test_the_list_lies_beside_its_reader() -> None:
    assert FILE.is_file()
