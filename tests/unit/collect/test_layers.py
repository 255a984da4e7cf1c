"""What a scan expects of the layers' work, and what its checks say when it is not there."""

from types import SimpleNamespace
from typing import Any

import pytest

from hardpan.profiles.load import load
from hardpan.profiles.model import Profile
from hardpan.profiles.tuning import Tuning
from hardpan.scanners.collect.base import Expected
from hardpan.scanners.collect.checks import asked, test_layers
from hardpan.scanners.collect.layers import with_layers


def of(**changed: object) -> Profile:
    return load("lab-stig").model_copy(update=changed)


class Target:
    """A target whose every answer is the same."""

    def __init__(self, said: str, rc: int = 0) -> None:
        self._answer = SimpleNamespace(stdout=said, rc=rc)

    def run(self, _: str) -> Any:
        return self._answer


def test_without_the_layers_nothing_is_expected_of_them() -> None:
    assert with_layers(Expected(), of()) == Expected()


def test_the_layers_defaults_are_expected_where_no_section_says_more() -> None:
    made = with_layers(
        Expected(enabled=("sshd",)), of(layers=("kernel_hardening", "tuning", "audit"))
    )

    assert made.sysctls["kernel.io_uring_disabled"] == "2"
    assert made.sysctls["kernel.numa_balancing"] == "0"
    assert "/usr/bin/sudo" in made.suid
    assert (made.tuned_profile, made.transparent_hugepages) == ("hardpan-inference", "madvise")
    assert made.enabled == ("sshd", "hardpan-models-check.timer")
    assert {asked.SUID, asked.TUNED, asked.HUGEPAGES} <= set(asked.commands(made))


def test_static_tuning_expects_the_values_and_no_daemon() -> None:
    made = with_layers(Expected(), of(layers=("tuning",), tuning=Tuning(manager="static")))

    assert made.tuned_profile == ""
    assert made.sysctls == {"kernel.numa_balancing": "0", "vm.zone_reclaim_mode": "0"}


EXPECTED = Expected(
    sysctls={"kernel.sysrq": "0"},
    suid=("/usr/bin/su*",),
    tuned_profile="hardpan-inference",
    transparent_hugepages="madvise",
)


@pytest.mark.parametrize(
    ("check", "good", "bad", "message"),
    [
        (
            test_layers.test_only_listed_programs_change_who_they_run_as,
            "/usr/bin/sudo\n",
            "/usr/bin/sudo\n/opt/a b\n",
            "also SUID or SGID: '/opt/a b'",
        ),
        (
            test_layers.test_only_listed_programs_change_who_they_run_as,
            "/usr/bin/su\n",
            "",
            "the search did not work",
        ),
        (
            test_layers.test_tuned_follows_the_profile,
            "hardpan-inference\nactive\n",
            "virtual-guest\nactive\n",
            "tuned: virtual-guest active",
        ),
        (
            test_layers.test_huge_pages_go_to_whom_the_profile_says,
            "always [madvise] never\n",
            "[always] madvise never\n",
            "it says \\[always\\] madvise never",
        ),
    ],
)
def test_a_check_passes_what_is_there_and_tells_what_is_not(
    check: Any, good: str, bad: str, message: str
) -> None:
    check(Target(good), EXPECTED)
    with pytest.raises(pytest.skip.Exception):
        check(Target(good), Expected())

    with pytest.raises(AssertionError, match=message):
        check(Target(bad), EXPECTED)


def test_a_setting_that_the_kernel_lacks_is_skipped_and_not_passed() -> None:
    check = test_layers.test_the_layers_kernel_setting_is_in_force
    check(Target("0\n"), EXPECTED, "kernel.sysrq")

    with pytest.raises(pytest.skip.Exception, match=r"the kernel has no kernel\.sysrq"):
        check(Target("", 255), EXPECTED, "kernel.sysrq")
    with pytest.raises(AssertionError, match=r"kernel\.sysrq is 16"):
        check(Target("16\n"), EXPECTED, "kernel.sysrq")
