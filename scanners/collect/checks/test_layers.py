"""What the layers kernel_hardening and tuning set, as the running system shows it."""
# ruff: noqa: D103, S101

import fnmatch
import shlex

import pytest
from testinfra.host import Host  # type: ignore[import-untyped]

from hardpan.scanners.collect.base import Expected
from hardpan.scanners.collect.checks import asked

EACH = {"test_the_layers_kernel_setting_is_in_force": lambda e: e.sysctls}


def test_the_layers_kernel_setting_is_in_force(target: Host, expected: Expected, name: str) -> None:
    answer = target.run(asked.sysctl(name))

    if answer.rc:
        pytest.skip(f"the kernel has no {name}")
    found = answer.stdout.strip()
    assert found == expected.sysctls[name], f"{name} is {found}"


def test_only_listed_programs_change_who_they_run_as(target: Host, expected: Expected) -> None:
    if not expected.suid:
        pytest.skip("the profile has no list of SUID programs")
    found = target.run(asked.SUID).stdout.splitlines()

    assert found, "no program has the bit, not even sudo: the search did not work"
    others = [x for x in found if not any(fnmatch.fnmatchcase(x, p) for p in expected.suid)]
    assert not others, f"also SUID or SGID: {' '.join(map(shlex.quote, others))}"


def test_tuned_follows_the_profile(target: Host, expected: Expected) -> None:
    if not expected.tuned_profile:
        pytest.skip("the profile does not use tuned")
    found = target.run(asked.TUNED).stdout.split()

    assert found == [expected.tuned_profile, "active"], f"tuned: {' '.join(found)}"


def test_huge_pages_go_to_whom_the_profile_says(target: Host, expected: Expected) -> None:
    if not expected.transparent_hugepages:
        pytest.skip("the profile does not say who gets huge pages")
    found = target.run(asked.HUGEPAGES).stdout

    assert f"[{expected.transparent_hugepages}]" in found.split(), f"it says {found.strip()}"
