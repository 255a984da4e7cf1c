"""What the layers kernel_hardening and tuning set, as the running system shows it."""
# ruff: noqa: D103, S101

import fnmatch
import shlex

import pytest
from testinfra.host import Host  # type: ignore[import-untyped]

from hardpan.scanners.collect.base import ExpectedState
from hardpan.scanners.collect.checks import queries
from hardpan.scanners.collect.checks.answers import Observe, ask

PARAMETERS = {"test_layer_sysctl_is_active": lambda e: e.sysctls}


def test_layer_sysctl_is_active(
    target: Host, expected: ExpectedState, observe: Observe, name: str
) -> None:
    answer = ask(target, queries.sysctl_query(name))

    if answer.rc:
        pytest.skip(f"the kernel has no {name}")
    value = answer.stdout.strip()
    observe(f"{name} = {value}")
    assert value == expected.sysctls[name], f"{name} is {value}"


def test_only_listed_programs_are_suid_or_sgid(target: Host, expected: ExpectedState) -> None:
    if not expected.suid:
        pytest.skip("the profile has no list of SUID programs")
    programs = ask(target, queries.SUID).stdout.splitlines()

    assert programs, "no program has the bit, not even sudo: the search did not work"
    unexpected = [x for x in programs if not any(fnmatch.fnmatchcase(x, p) for p in expected.suid)]
    assert not unexpected, f"also SUID or SGID: {' '.join(map(shlex.quote, unexpected))}"


def test_no_build_tools_or_keys_remain(target: Host, expected: ExpectedState) -> None:
    if not expected.forbids_build_tools:
        pytest.skip("the profile has no driver, or requires a compiler")
    build_files = dict.fromkeys(ask(target, queries.BUILD_TOOLS).stdout.splitlines())

    assert not build_files, f"there are {' '.join(map(shlex.quote, build_files))}"


def test_tuned_profile_is_active(target: Host, expected: ExpectedState) -> None:
    if not expected.tuned_profile:
        pytest.skip("the profile does not use tuned")
    state = ask(target, queries.TUNED).stdout.split()

    assert state == [expected.tuned_profile, "active"], f"tuned: {' '.join(state)}"


def test_huge_pages_mode_matches_profile(target: Host, expected: ExpectedState) -> None:
    if not expected.transparent_hugepages:
        pytest.skip("the profile does not say who gets huge pages")
    output = ask(target, queries.HUGEPAGES).stdout

    assert f"[{expected.transparent_hugepages}]" in output.split(), f"it says {output.strip()}"
