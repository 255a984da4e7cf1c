"""Services, the audit system, time, what listens, what is installed, what must run."""
# ruff: noqa: D103, S101

import re

import pytest
from testinfra.host import Host  # type: ignore[import-untyped]

from hardpan.scanners.collect.base import ExpectedState
from hardpan.scanners.collect.checks import queries
from hardpan.scanners.collect.checks.answers import Observe, ask, read_output

PARAMETERS = {
    "test_service_is_enabled_and_active": lambda e: e.enabled,
    "test_service_is_inactive": lambda e: e.disabled,
}


def test_service_is_enabled_and_active(target: Host, observe: Observe, name: str) -> None:
    enabled = ask(target, queries.service_query("is-enabled", name)).stdout.strip()
    active = ask(target, queries.service_query("is-active", name)).stdout.strip()

    observe(f"{name}: {enabled}, {active}")

    assert (enabled, active) == ("enabled", "active"), f"{name}: {enabled}, {active}"


def test_service_is_inactive(target: Host, observe: Observe, name: str) -> None:
    active = ask(target, queries.service_query("is-active", name)).stdout.strip()

    observe(f"{name}: {active}")

    assert active in ("inactive", "unknown", "failed"), f"{name} is {active}"


def test_audit_is_enabled_with_rules(target: Host, observe: Observe) -> None:
    answer = ask(target, queries.AUDIT).stdout
    values = dict(re.findall(r"^(enabled|loaded|compiled) (\d{1,9})\s*$", answer, re.MULTILINE))
    assert values.get("enabled") in ("1", "2"), "auditing is off"
    assert {"loaded", "compiled"} <= set(values), "the audit rules cannot be counted"
    loaded, compiled = int(values["loaded"]), int(values["compiled"])

    observe(f"{loaded} audit rules are loaded, {compiled} are in {queries.AUDIT_RULES}")

    assert loaded > 10, f"{loaded} audit rules are loaded"
    # auditctl stops at the first rule that the kernel refuses, such as one for a missing folder,
    # and then the last line, which locks the rules, is not reached either.
    assert loaded >= compiled, (
        f"{loaded} of the {compiled} rules in {queries.AUDIT_RULES} are loaded: "
        "run 'augenrules --load' to see which rule the kernel refuses"
    )


def test_time_server_matches_profile(target: Host, expected: ExpectedState) -> None:
    if not expected.time_servers:
        pytest.skip("the profile names no time server")
    named = re.findall(
        r"^(?:server|pool)\s+(\S+)", ask(target, queries.CHRONY).stdout, re.MULTILINE
    )

    assert set(named) & set(expected.time_servers)


def test_no_unexpected_port_is_open(
    target: Host, observe: Observe, expected: ExpectedState
) -> None:
    addresses = [
        x.split()[3] for x in ask(target, queries.LISTENING).stdout.splitlines() if x.split()
    ]
    public_addresses = [e for e in addresses if not e.startswith(("127.", "[::1]"))]
    ports = {int(e.rpartition(":")[2]) for e in public_addresses}
    observe(f"open ports: {', '.join(map(str, sorted(ports))) or 'none'}")

    unexpected = sorted(ports - set(expected.ports))
    assert not unexpected, f"also listening: {unexpected}"


def test_profile_packages_are_installed(target: Host, expected: ExpectedState) -> None:
    installed = set(read_output(target, queries.PACKAGES).split())

    missing = sorted(set(expected.packages) - installed)
    unwanted = sorted(set(expected.absent_packages) & installed)
    assert not missing, f"not installed: {', '.join(missing)}"
    assert not unwanted, f"installed: {', '.join(unwanted)}"


def test_ai_python_computes(target: Host, expected: ExpectedState) -> None:
    if not expected.ai_python:
        pytest.skip("the profile has no AI environment")
    answer = ask(target, queries.torch_query(expected.ai_python))

    assert answer.rc == 0
    assert answer.stdout.strip() == "64.0"
