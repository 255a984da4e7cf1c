from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.layer_packages import with_layer_packages


def test_layer_packages_follow_listed_packages_without_duplicates() -> None:
    assert with_layer_packages(("nginx", "aide"), ("ai_service", "stig")) == (
        "nginx",
        "aide",
        "nftables",
    )
    assert with_layer_packages(("aide",), ("stig",)) == ("aide",)


def test_install_packages_include_layer_packages(
    profile_file: Callable[[str | bytes], Path], good: str
) -> None:
    profile = load_profile(profile_file(good.replace("layers: [stig]", "layers: [audit, stig]")))

    assert profile.install_packages == ("aide", "audit", "rsyslog")


def test_package_required_by_layer_cannot_be_removed(
    profile_file: Callable[[str | bytes], Path], good: str
) -> None:
    invalid_text = good.replace("layers: [stig]", "layers: [audit, stig]")
    invalid_text = invalid_text.replace("remove: [vsftpd]", "remove: [vsftpd, rsyslog]")

    with pytest.raises(
        InputError, match=r"packages.remove\[1\]: rsyslog is also installed by audit"
    ):
        load_profile(profile_file(invalid_text))
