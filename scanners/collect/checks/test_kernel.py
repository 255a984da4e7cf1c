"""The running kernel: its command line, FIPS mode, settings in force."""
# ruff: noqa: D103, S101

import pytest
from testinfra.host import Host  # type: ignore[import-untyped]

from hardpan.scanners.collect.checks import queries
from hardpan.scanners.collect.checks.answers import Observe, ask, read_output

PARAMETERS = {
    "test_kernel_argument_is_active": lambda e: e.kernel_arguments,
    "test_sysctl_is_active": lambda _: list(queries.SYSCTLS),
}


def test_kernel_argument_is_active(target: Host, observe: Observe, argument: str) -> None:
    command_line = read_output(target, queries.CMDLINE)
    observe(command_line.strip())

    assert argument in command_line.split(), f"{argument} is missing"


def test_sysctl_is_active(target: Host, observe: Observe, name: str) -> None:
    expected_value = queries.SYSCTLS[name]
    value = ask(target, queries.sysctl_query(name)).stdout.strip()
    observe(f"{name} = {value}")

    # 2 is stricter than 1 for kptr_restrict, ptrace_scope and unprivileged_bpf_disabled.
    assert value == expected_value or (expected_value == "1" and value == "2"), f"{name} is {value}"


def test_command_line_does_not_weaken_the_kernel(target: Host, observe: Observe) -> None:
    weak = {"mitigations=off", "selinux=0", "audit=0", "pti=off", "init=/bin/sh"}

    command_line = read_output(target, queries.CMDLINE)
    observe(command_line.strip())
    arguments = sorted(weak & set(command_line.split()))

    assert not arguments, f"weakened by {', '.join(arguments)}"


def test_core_dumps_are_disabled_or_handled(target: Host, observe: Observe) -> None:
    pattern = read_output(target, queries.CORE).strip()
    observe(f"kernel.core_pattern = {pattern}")

    if not pattern:
        pytest.skip("the kernel has no core pattern")
    assert pattern.startswith("|") or pattern == "core"
