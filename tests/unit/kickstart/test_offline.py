"""The kickstart of an ISO with the layers' files."""

import pytest

from hardpan.builder.offline.packages import with_offline_packages
from hardpan.kickstart import lint_kickstart, render_kickstart
from hardpan.profiles.loader.profile_file import load_profile


@pytest.mark.parametrize("name", ["lab-stig", "lab10-stig", "rocky9-stig", "rocky10-stig"])
def test_kickstart_copies_and_checks_the_files(name: str, key: str) -> None:
    profile = load_profile(name)
    text = render_kickstart(with_offline_packages(profile), key, offline=True)

    assert lint_kickstart(text, profile.release) == ()
    assert "sha256sum --check --quiet --strict SHA256SUMS" in text
    assert "\nansible-core\n" in text.partition("%packages")[2].partition("%end")[0]
    # Before the marker, which the builder waits for.
    assert text.index("enable hardpan-layers.service") < text.index("HARDPAN-INSTALL: complete")
    assert "hardpan-layers" not in render_kickstart(profile, key)
