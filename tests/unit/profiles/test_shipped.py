"""What comes with hardpan is whole, and promises nothing it should not."""

from datetime import date

import pytest

from hardpan.profiles import catalog
from hardpan.profiles.load import load
from hardpan.profiles.stig import KERNEL_ARGUMENTS, OWN_FILE_SYSTEM

NAMES = (
    "lab-ai",
    "lab-stig",
    *(
        f"rocky{release}-stig{accelerator}"
        for release in ("10", "9")
        for accelerator in ("", "-amd", "-cpu", "-nvidia")
    ),
)


def test_these_profiles_are_shipped() -> None:
    assert catalog.shipped() == tuple(sorted(NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_profile_is_named_as_its_file_and_in_fips_mode(name: str) -> None:
    profile = load(name)

    assert profile.name == name
    assert profile.fips
    assert profile.layers[-1] == "stig"


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_profile_has_no_password_anyone_could_know(name: str) -> None:
    profile = load(name)

    assert all(user.password_hash is None for user in profile.users)
    assert all(not user.ssh_keys for user in profile.users)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_profile_meets_the_stig_where_nothing_can_mend_it_later(name: str) -> None:
    profile = load(name)

    mounts = {part.mount: part for part in profile.storage.partitions}
    assert set(OWN_FILE_SYSTEM) <= set(mounts)
    assert mounts["/var/log/audit"].size_mib >= 10 * 1024
    assert mounts["/"].size_mib >= 8 * 1024
    # The emulated lab alone is spared what costs an emulator two thirds of a system call.
    spared = {"pti=on"} if profile.is_lab else set()
    assert set(KERNEL_ARGUMENTS) - set(profile.kernel_arguments) == spared


@pytest.mark.parametrize("name", NAMES)
def test_every_waiver_has_an_owner_and_an_end(name: str) -> None:
    stig = load(name).stig

    assert stig.waivers
    assert all(e.owner and e.reason for e in stig.waivers)
    assert stig.expired(date(2026, 11, 21)) == ()
    assert len(stig.expired(date(2099, 1, 1))) == len(stig.waivers)


def test_the_lab_is_never_called_rocky() -> None:
    profile = load("lab-stig")

    assert profile.is_lab
    assert "rocky" not in (profile.title + profile.name + profile.system.hostname).lower()


@pytest.mark.parametrize("name", ["rocky9-stig-nvidia", "rocky10-stig-nvidia"])
def test_nobody_has_accepted_nvidias_licence_for_you(name: str) -> None:
    nvidia = load(name).hardware.nvidia

    assert nvidia is not None
    assert not nvidia.accept_eula
