from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.errors import InputError
from hardpan.profiles.load import load
from hardpan.profiles.needs import with_needed


def test_a_layers_packages_come_behind_the_named_ones_and_once() -> None:
    assert with_needed(("nginx", "aide"), ("sovereign_stack", "stig")) == (
        "nginx",
        "aide",
        "nftables",
    )
    assert with_needed(("aide",), ("stig",)) == ("aide",)


def test_the_installer_is_asked_for_what_the_layers_need(
    profile_file: Callable[[str | bytes], Path], good: str
) -> None:
    made = load(profile_file(good.replace("layers: [stig]", "layers: [audit, stig]")))

    assert made.install == ("aide", "audit", "rsyslog")


def test_what_a_layer_needs_cannot_be_removed(
    profile_file: Callable[[str | bytes], Path], good: str
) -> None:
    spoilt = good.replace("layers: [stig]", "layers: [audit, stig]")
    spoilt = spoilt.replace("remove: [vsftpd]", "remove: [vsftpd, rsyslog]")

    with pytest.raises(InputError, match=r"packages.remove\[1\]: rsyslog is to be .* by audit"):
        load(profile_file(spoilt))
