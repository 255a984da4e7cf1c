"""The running kernel: its command line, FIPS mode, settings in force."""
# ruff: noqa: D103, S101

import pytest
from testinfra.host import Host  # type: ignore[import-untyped]

from hardpan.scanners.collect.base import ExpectedState
from hardpan.scanners.collect.checks import queries
from hardpan.scanners.collect.checks.answers import ask, read_output

PARAMETERS = {
    "test_kernel_argument_is_active": lambda e: e.kernel_arguments,
    "test_sysctl_is_active": lambda _: list(queries.SYSCTLS),
}


def test_kernel_argument_is_active(target: Host, argument: str) -> None:
    assert argument in read_output(target, queries.CMDLINE).split()


def test_sysctl_is_active(target: Host, name: str) -> None:
    expected_value = queries.SYSCTLS[name]
    value = ask(target, queries.sysctl_query(name)).stdout.strip()

    # 2 is stricter than 1 for kptr_restrict, ptrace_scope and unprivileged_bpf_disabled.
    assert value == expected_value or (expected_value == "1" and value == "2"), f"{name} is {value}"


def test_fips_mode_matches_profile(target: Host, expected: ExpectedState) -> None:
    is_enabled = ask(target, queries.FIPS).stdout.strip() == "1"

    assert is_enabled == expected.fips


def test_command_line_does_not_weaken_the_kernel(target: Host) -> None:
    weak = {"mitigations=off", "selinux=0", "audit=0", "pti=off", "init=/bin/sh"}

    assert not weak & set(read_output(target, queries.CMDLINE).split())


def test_core_dumps_are_disabled_or_handled(target: Host) -> None:
    pattern = read_output(target, queries.CORE).strip()

    if not pattern:
        pytest.skip("the kernel has no core pattern")
    assert pattern.startswith("|") or pattern == "core"
