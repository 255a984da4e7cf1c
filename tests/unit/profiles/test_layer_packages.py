from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.boot_packages import BOOT_PACKAGES
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

    assert profile.install_packages == ("aide", "audit", "rsyslog", *BOOT_PACKAGES["rocky9"])


def test_image_gets_both_boot_loaders_and_a_generic_initramfs(
    profile_file: Callable[[str | bytes], Path], good: str
) -> None:
    profile = load_profile(profile_file(good))
    names = {"grub2-pc-modules", "grub2-efi-x64", "shim-x64", "dracut-config-generic"}

    assert names <= set(profile.install_packages)
    assert profile.excluded_packages == ("vsftpd", "dracut-config-rescue")
    explicit = good.replace("install: [aide]", "install: [aide, dracut-config-rescue]")
    assert load_profile(profile_file(explicit)).excluded_packages == ("vsftpd",)


def test_package_required_by_layer_cannot_be_removed(
    profile_file: Callable[[str | bytes], Path], good: str
) -> None:
    invalid_text = good.replace("layers: [stig]", "layers: [audit, stig]")
    invalid_text = invalid_text.replace("remove: [vsftpd]", "remove: [vsftpd, rsyslog]")

    with pytest.raises(
        InputError, match=r"packages.remove\[1\]: rsyslog is also installed by audit"
    ):
        load_profile(profile_file(invalid_text))
