"""What comes with hardpan is whole, and promises nothing it should not."""

from datetime import date

import pytest

from hardpan.profiles.constraints.stig_requirements import KERNEL_ARGUMENTS, SEPARATE_FILE_SYSTEMS
from hardpan.profiles.loader import shipped
from hardpan.profiles.loader.profile_file import load_profile

NAMES = (
    "lab-ai",
    "lab-stig",
    "lab-strict",
    "lab10-stig",
    "rocky10-ai",
    "rocky9-ai",
    *(
        f"rocky{release}-stig{accelerator}"
        for release in ("10", "9")
        for accelerator in ("", "-amd", "-cpu", "-nvidia")
    ),
)


def test_shipped_profile_names() -> None:
    assert shipped.shipped_profiles() == tuple(sorted(NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_shipped_profile_matches_file_name_and_enables_fips(name: str) -> None:
    profile = load_profile(name)

    assert profile.name == name
    assert profile.fips
    assert profile.layers[-1] == "stig"


@pytest.mark.parametrize("name", NAMES)
def test_shipped_profile_contains_no_credentials(name: str) -> None:
    profile = load_profile(name)

    assert all(user.password_hash is None for user in profile.users)
    assert all(not user.ssh_keys for user in profile.users)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_profile_meets_install_time_stig_rules(name: str) -> None:
    profile = load_profile(name)

    mounts = {part.mount: part for part in profile.storage.partitions}
    assert set(SEPARATE_FILE_SYSTEMS) <= set(mounts)
    assert mounts["/var/log/audit"].size_mib >= 10 * 1024
    assert mounts["/"].size_mib >= 8 * 1024
    # The emulated lab alone is spared what costs an emulator two thirds of a system call.
    exempted = {"pti=on"} if profile.is_lab else set()
    assert set(KERNEL_ARGUMENTS) - set(profile.kernel_arguments) == exempted


@pytest.mark.parametrize("name", NAMES)
def test_every_waiver_has_owner_and_expiry(name: str) -> None:
    stig = load_profile(name).stig

    assert stig.waivers
    assert all(e.owner and e.reason for e in stig.waivers)
    assert stig.expired_waivers(date(2026, 11, 21)) == ()
    assert len(stig.expired_waivers(date(2099, 1, 1))) == len(stig.waivers)


@pytest.mark.parametrize("name", NAMES)
def test_subscription_manager_is_waived_and_not_installed(name: str) -> None:
    """The compatibility check ``subscription-manager`` expects that it is not installed."""
    profile = load_profile(name)

    assert "subscription-manager" not in profile.install_packages
    waived = [selector for waiver in profile.stig.waivers for selector in waiver.selectors]
    assert "package_subscription-manager_installed" in waived


def test_the_lab_is_never_called_rocky() -> None:
    profile = load_profile("lab-stig")

    assert profile.is_lab
    assert "rocky" not in (profile.title + profile.name + profile.system.hostname).lower()


@pytest.mark.parametrize(
    "name", ["rocky9-ai", "rocky9-stig-nvidia", "rocky10-ai", "rocky10-stig-nvidia"]
)
def test_shipped_profile_does_not_accept_nvidia_licence(name: str) -> None:
    nvidia = load_profile(name).hardware.nvidia

    assert nvidia is not None
    assert not nvidia.accept_eula


def test_lab_strict_waives_nothing_that_the_lab_can_enforce() -> None:
    """The rules of lab-stig, without those of SELinux, fapolicyd and OpenSSL's FIPS provider."""
    waived = {w.rule for w in load_profile("lab-stig").stig.waivers}
    enforced = {
        *("hardpan-check-fips-state", "service_fapolicyd_enabled", "fapolicy_default_deny"),
        *("selinux_state", "account_password_selinux_faillock_dir"),
    }

    assert {w.rule for w in load_profile("lab-strict").stig.waivers} == waived - enforced
