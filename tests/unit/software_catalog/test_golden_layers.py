"""What ``hardpan render`` says of the layers of every profile with an accelerator, byte for byte.

``HARDPAN_UPDATE_GOLDEN=1 pytest tests/unit/software_catalog/test_golden_layers.py`` writes the
files again; review the difference before committing it.
"""

import os
from pathlib import Path

import pytest

from hardpan.cli.render import render
from hardpan.profiles.loader import shipped

GOLDEN = Path(__file__).parents[2] / "golden" / "layers"
KEY = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAABAgMEBQYHCAkKCwwN"
    "Dg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8= operator@example\n"
)
NAMES = tuple(n for n in shipped.shipped_profiles() if n.endswith(("-amd", "-cpu", "-nvidia")))


def render_layers(name: str, workdir: Path) -> str:
    (workdir / "key.pub").write_text(KEY, "utf-8")
    arguments = [name, "-o", str(workdir / "out"), "--key", str(workdir / "key.pub")]
    render.main(arguments, standalone_mode=False)
    return (workdir / "out" / "layers.yaml").read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_shipped_profile_matches_golden_layers(name: str, tmp_path: Path) -> None:
    text = render_layers(name, tmp_path)
    golden = GOLDEN / f"{name}.yaml"
    if os.environ.get("HARDPAN_UPDATE_GOLDEN") == "1":
        golden.write_text(text, "utf-8")

    assert text == golden.read_text("utf-8")


def test_golden_files_match_profiles() -> None:
    assert len(NAMES) == 6
    assert sorted(p.stem for p in GOLDEN.glob("*.yaml")) == list(NAMES)
