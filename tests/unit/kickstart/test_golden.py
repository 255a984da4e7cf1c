"""The kickstart of every shipped profile, byte for byte.

``HARDPAN_UPDATE_GOLDEN=1 pytest tests/unit/kickstart/test_golden.py`` writes the
files anew; read the difference before committing it.
"""

import os
from pathlib import Path

import pytest

from hardpan.kickstart import lint
from hardpan.kickstart.render import render
from hardpan.profiles import catalog
from hardpan.profiles.load import load

GOLDEN = Path(__file__).parents[2] / "golden" / "kickstart"


@pytest.mark.parametrize("name", catalog.shipped())
def test_a_shipped_profile_gives_its_golden_kickstart(name: str, key: str) -> None:
    text = render(load(name), key)
    golden = GOLDEN / f"{name}.ks"
    if os.environ.get("HARDPAN_UPDATE_GOLDEN") == "1":
        golden.write_text(text, "utf-8")

    assert text == golden.read_text("utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert sorted(p.stem for p in GOLDEN.glob("*.ks")) == list(catalog.shipped())


@pytest.mark.parametrize("name", catalog.shipped())
def test_the_linter_has_nothing_against_a_shipped_profile(name: str) -> None:
    text = (GOLDEN / f"{name}.ks").read_text("utf-8")

    assert [str(p) for p in lint(text, load(name).release)] == []


@pytest.mark.parametrize("name", catalog.shipped())
def test_the_same_profile_gives_the_same_bytes(name: str, key: str) -> None:
    assert render(load(name), key) == render(load(name), key)
