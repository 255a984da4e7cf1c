"""What a scan expects of the layers' work, and what its checks say when it is not there."""

from types import SimpleNamespace
from typing import Any

import pytest

from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.kernel_hardening import KernelHardening
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.tuning import Tuning
from hardpan.scanners.collect.base import ExpectedState
from hardpan.scanners.collect.checks import queries, test_layers
from hardpan.scanners.collect.task import add_layer_expectations


def lab_profile(**changed: object) -> Profile:
    return load_profile("lab-stig").model_copy(update=changed)


class UniformHost:
    """A target whose every answer is the same."""

    def __init__(self, stdout: str, rc: int = 0) -> None:
        self._answer = SimpleNamespace(stdout=stdout, rc=rc)

    def run(self, _: str) -> Any:
        return self._answer


def test_profile_without_layers_adds_no_expectations() -> None:
    assert add_layer_expectations(ExpectedState(), lab_profile()) == ExpectedState()


def test_layer_defaults_are_expected_without_profile_section() -> None:
    expected = add_layer_expectations(
        ExpectedState(enabled=("sshd",)),
        lab_profile(layers=("kernel_hardening", "tuning", "audit")),
    )

    assert expected.sysctls["kernel.io_uring_disabled"] == "2"
    assert expected.sysctls["kernel.numa_balancing"] == "0"
    assert "/usr/bin/sudo" in expected.suid
    assert (expected.tuned_profile, expected.transparent_hugepages) == (
        "hardpan-inference",
        "madvise",
    )
    assert expected.enabled == ("sshd", "hardpan-models-check.timer")
    assert {queries.SUID, queries.TUNED, queries.HUGEPAGES} <= set(queries.list_queries(expected))


@pytest.mark.parametrize(
    ("layers", "section", "is_expected"),
    [
        (("nvidia_driver", "stig"), None, True),
        (("amd_driver", "stig"), None, True),
        (("kernel_hardening", "stig"), None, True),
        (
            ("nvidia_driver", "kernel_hardening", "stig"),
            KernelHardening(compiler="required", compiler_reason="A test."),
            False,
        ),
        (("cuda", "stig"), None, False),
    ],
)
def test_driver_layers_forbid_build_tools(
    layers: tuple[str, ...], section: KernelHardening | None, is_expected: bool
) -> None:
    profile = lab_profile(layers=layers, kernel_hardening=section)

    expected = add_layer_expectations(ExpectedState(), profile)

    assert expected.forbids_build_tools is is_expected
    assert (queries.BUILD_TOOLS in queries.list_queries(expected)) is is_expected


def test_static_tuning_expects_sysctls_without_tuned() -> None:
    expected = add_layer_expectations(
        ExpectedState(), lab_profile(layers=("tuning",), tuning=Tuning(manager="static"))
    )

    assert expected.tuned_profile == ""
    assert expected.sysctls == {"kernel.numa_balancing": "0", "vm.zone_reclaim_mode": "0"}


EXPECTED = ExpectedState(
    sysctls={"kernel.sysrq": "0"},
    suid=("/usr/bin/su*",),
    forbids_build_tools=True,
    tuned_profile="hardpan-inference",
    transparent_hugepages="madvise",
)


@pytest.mark.parametrize(
    ("check", "good", "bad", "message"),
    [
        (
            test_layers.test_only_listed_programs_are_suid_or_sgid,
            "/usr/bin/sudo\n",
            "/usr/bin/sudo\n/opt/a b\n",
            "also SUID or SGID: '/opt/a b'",
        ),
        (
            test_layers.test_only_listed_programs_are_suid_or_sgid,
            "/usr/bin/su\n",
            "",
            "the search did not work",
        ),
        (
            test_layers.test_no_build_tools_or_keys_remain,
            "",
            "/usr/bin/gcc\n/var/lib/dkms/mok.key\n/var/lib/dkms/mok.key\n",
            "there are /usr/bin/gcc /var/lib/dkms/mok.key",
        ),
        (
            test_layers.test_tuned_profile_is_active,
            "hardpan-inference\nactive\n",
            "virtual-guest\nactive\n",
            "tuned: virtual-guest active",
        ),
        (
            test_layers.test_huge_pages_mode_matches_profile,
            "always [madvise] never\n",
            "[always] madvise never\n",
            "it says \\[always\\] madvise never",
        ),
    ],
)
def test_layer_check_passes_or_reports_the_deviation(
    check: Any, good: str, bad: str, message: str
) -> None:
    check(UniformHost(good), EXPECTED)
    with pytest.raises(pytest.skip.Exception):
        check(UniformHost(good), ExpectedState())

    with pytest.raises(AssertionError, match=message):
        check(UniformHost(bad), EXPECTED)


def test_sysctl_missing_in_the_kernel_is_skipped() -> None:
    check = test_layers.test_layer_sysctl_is_active
    check(UniformHost("0\n"), EXPECTED, lambda _: None, "kernel.sysrq")

    with pytest.raises(pytest.skip.Exception, match=r"the kernel has no kernel\.sysrq"):
        check(UniformHost("", 255), EXPECTED, lambda _: None, "kernel.sysrq")
    with pytest.raises(AssertionError, match=r"kernel\.sysrq is 16"):
        check(UniformHost("16\n"), EXPECTED, lambda _: None, "kernel.sysrq")
