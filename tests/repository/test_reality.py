"""The table of claims: each row has a level, and names files that exist."""

import re
from typing import NamedTuple

import pytest

from tests.source_tree import REPO

PAGE = REPO / "docs" / "reality.md"
LEVELS = ("Rocky", "real GPU", "lab", "replay", "on paper")
MIN_CLAIMS = 30

_PATH = re.compile(r"`([\w./-]+)`")
_TEST = re.compile(r"tests/(?:[\w-]+/)*test_\w+\.py")


class Claim(NamedTuple):
    text: str
    level: str
    paths: list[str]


def read_claims() -> list[Claim]:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text("utf-8").splitlines()
        if line.startswith("|")
    ]
    claims = [row for row in rows if len(row) == 3 and row[0] != "claim" and row[0].strip("- ")]
    return [Claim(text, level, _PATH.findall(place)) for text, level, place in claims]


CLAIMS = read_claims()


def test_table_of_levels_defines_each_level() -> None:
    text = PAGE.read_text("utf-8")

    assert [level for level in LEVELS if f"\n| {level} | " not in text] == []
    assert len(CLAIMS) >= MIN_CLAIMS
    assert len({claim.text for claim in CLAIMS}) == len(CLAIMS)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.text)
def test_claim_has_a_level_and_names_existing_files(claim: Claim) -> None:
    assert claim.level in LEVELS
    assert claim.paths
    assert [path for path in claim.paths if not (REPO / path).exists()] == []


@pytest.mark.parametrize(
    "claim", [c for c in CLAIMS if c.level != "on paper"], ids=lambda claim: claim.text
)
def test_claim_above_paper_level_names_its_test(claim: Claim) -> None:
    assert any(_TEST.fullmatch(path) for path in claim.paths)


def test_readme_limits_and_levels_agree() -> None:
    """README's limits and the table change together."""
    readme = (REPO / "README.md").read_text("utf-8")
    levels = {claim.level for claim in CLAIMS}

    assert ("Not tested against a real Rocky Linux ISO" in readme) == ("Rocky" not in levels)
    assert ("Not tested on a GPU" in readme) == ("real GPU" not in levels)
