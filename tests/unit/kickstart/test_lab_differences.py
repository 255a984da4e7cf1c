"""The kickstarts of Rocky Linux and of the lab differ only in the lines that the docs list.

The lab proves something about Rocky's install only as far as both install by the same text.
``docs/lab-kickstart.md`` is the list: each difference as a diff, with its reason.
"""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardpan.kickstart.render import render_kickstart
from hardpan.profiles.loader.profile_file import load_profile

PAGE = Path(__file__).parents[3] / "docs" / "lab-kickstart.md"
_SECTION = re.compile(
    r"^## [^\n]+\n\n(?P<reason>(?:(?!```).)+)```diff\n(?P<lines>.+?)^```$", re.MULTILINE | re.DOTALL
)
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


def render_pair(name: str, key: str) -> tuple[list[str], list[str]]:
    """Render one profile as it is and for the lab, without the digest of the profile."""
    profile = load_profile(name)
    release = {"rocky9": "lab9", "rocky10": "lab10"}[profile.release]
    texts = (
        render_kickstart(variant, key)
        for variant in (profile.model_copy(update={"release": release}), profile)
    )
    lab, rocky = (_DIGEST.sub("DIGEST", text).splitlines() for text in texts)
    return lab, rocky


def find_differences(lab: list[str], rocky: list[str]) -> Iterator[str]:
    """Yield each run of changed lines: ``-`` for the lab's, ``+`` for Rocky's."""
    run: list[str] = []
    for line in difflib.ndiff(lab, rocky, linejunk=None, charjunk=None):
        if line[0] in "-+":
            run.append(f"{line[0]}{line[2:]}".rstrip())
        elif line[0] == " " and run:
            yield "\n".join(run) + "\n"
            run = []
    assert not run, "both kickstarts end with the same lines"


def list_documented() -> dict[str, str]:
    """Return the differences of the page, each with its reason."""
    sections = _SECTION.finditer(PAGE.read_text("utf-8"))
    return {match["lines"]: match["reason"].strip() for match in sections}


@pytest.mark.parametrize("name", ["rocky9-stig", "rocky10-stig"])
def test_every_difference_from_the_lab_is_documented(name: str, key: str) -> None:
    differences = set(find_differences(*render_pair(name, key)))

    assert differences
    assert differences - set(list_documented()) == set()


def test_every_documented_difference_exists_and_has_a_reason(key: str) -> None:
    differences = {
        difference
        for name in ("rocky9-stig", "rocky10-stig")
        for difference in find_differences(*render_pair(name, key))
    }
    documented = list_documented()

    assert set(documented) == differences
    assert PAGE.read_text("utf-8").count("```diff") == len(documented)
    assert all(len(reason) > 20 for reason in documented.values())
