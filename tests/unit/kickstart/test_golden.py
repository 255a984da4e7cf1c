"""The kickstart of every shipped profile, byte for byte.

``HARDPAN_UPDATE_GOLDEN=1 pytest tests/unit/kickstart/test_golden.py`` writes the
files again; review the difference before committing it.
"""

import os
from pathlib import Path

import pytest

from hardpan.kickstart import lint_kickstart
from hardpan.kickstart.render import render_kickstart
from hardpan.profiles.loader import shipped
from hardpan.profiles.loader.profile_file import install_digest, load_profile
from hardpan.profiles.schema.encryption import Encryption

GOLDEN = Path(__file__).parents[2] / "golden" / "kickstart"


@pytest.mark.parametrize("name", shipped.shipped_profiles())
def test_shipped_profile_matches_golden_kickstart(name: str, key: str) -> None:
    text = render_kickstart(load_profile(name), key)
    golden = GOLDEN / f"{name}.ks"
    if os.environ.get("HARDPAN_UPDATE_GOLDEN") == "1":
        golden.write_text(text, "utf-8")

    assert text == golden.read_text("utf-8")


ENCRYPTED = {
    "rocky9-tpm2": ("rocky9-stig", {"unlock": "tpm2"}),
    "rocky10-tang": (
        "rocky10-stig",
        {"unlock": "tang", "tang": {"url": "http://tang.example:7500", "thumbprint": "T" * 43}},
    ),
}
"""Name of a golden file -> shipped profile, settings of its encryption."""


@pytest.mark.parametrize("name", ENCRYPTED)
def test_encrypted_profile_matches_golden_kickstart(name: str, key: str) -> None:
    profile_name, settings = ENCRYPTED[name]
    profile = load_profile(profile_name)
    encryption = Encryption.model_validate({"mode": "luks2", **settings})
    storage = profile.storage.model_copy(update={"encryption": encryption})
    text = render_kickstart(
        profile.model_copy(update={"storage": storage}), key, passphrase="correct-horse-battery"
    )
    golden = GOLDEN.with_name("kickstart-encrypted") / f"{name}.ks"
    if os.environ.get("HARDPAN_UPDATE_GOLDEN") == "1":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, "utf-8")

    assert text == golden.read_text("utf-8")
    assert lint_kickstart(text, profile.release) == ()


def test_every_golden_file_has_a_profile() -> None:
    assert sorted(p.stem for p in GOLDEN.glob("*.ks")) == list(shipped.shipped_profiles())


@pytest.mark.parametrize("name", shipped.shipped_profiles())
def test_golden_kickstart_passes_linter(name: str) -> None:
    text = (GOLDEN / f"{name}.ks").read_text("utf-8")

    assert [str(p) for p in lint_kickstart(text, load_profile(name).release)] == []


@pytest.mark.parametrize("name", shipped.shipped_profiles())
def test_rendering_is_deterministic(name: str, key: str) -> None:
    assert render_kickstart(load_profile(name), key) == render_kickstart(load_profile(name), key)


def test_settings_of_layers_and_scans_do_not_change_the_kickstart(key: str) -> None:
    """A change of the text would repeat the base install, for another waiver."""
    profile = load_profile("lab-ai")
    stig = profile.stig.model_copy(update={"waivers": profile.stig.waivers[1:]})
    changed = profile.model_copy(
        update={"title": "Other", "stig": stig, "layers": profile.layers[:-1]}
    )
    system = profile.system.model_copy(update={"hostname": "other"})

    assert render_kickstart(changed, key) == render_kickstart(profile, key)
    assert install_digest(profile.model_copy(update={"system": system})) != install_digest(profile)
