"""The audit check compares the rules in the kernel with those that augenrules has compiled."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from hardpan.core.errors import UnavailableError
from hardpan.scanners.collect.checks import queries, test_services


class AuditedHost:
    """A target that answers the query of the audit check."""

    def __init__(self, stdout: str, rc: int = 0) -> None:
        self._answer = SimpleNamespace(stdout=stdout, rc=rc)

    def run(self, command: str) -> Any:
        assert command == queries.AUDIT.command_line
        return self._answer


def check(enabled: int, loaded: int, compiled: int) -> list[str]:
    observed: list[str] = []
    host = AuditedHost(f"enabled {enabled}\nloaded {loaded}\ncompiled {compiled}\n")
    test_services.test_audit_is_enabled_with_rules(host, observed.append)
    return observed


@pytest.mark.parametrize(("enabled", "loaded"), [(1, 114), (2, 114), (2, 116)])
def test_complete_rules_pass_and_counts_are_observed(enabled: int, loaded: int) -> None:
    assert check(enabled, loaded, 114) == [
        f"{loaded} audit rules are loaded, 114 are in /etc/audit/audit.rules"
    ]


def test_incomplete_load_fails_and_names_both_counts() -> None:
    with pytest.raises(AssertionError, match=r"74 of the 114 rules in /etc/audit/audit.rules are"):
        check(1, 74, 114)


@pytest.mark.parametrize(
    ("enabled", "loaded", "compiled", "problem"),
    [
        (0, 114, 114, "auditing is off"),
        (1, 0, 0, "0 audit rules are loaded"),
        (1, 10, 10, "10 audit rules are loaded"),
    ],
)
def test_disabled_auditing_and_few_rules_fail(
    enabled: int, loaded: int, compiled: int, problem: str
) -> None:
    with pytest.raises(AssertionError, match=problem):
        check(enabled, loaded, compiled)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("", "auditing is off"),
        ("enabled 1\nloaded 114\n", "cannot be counted"),
        ("enabled 1\nloaded x\ncompiled 3\n", "cannot be counted"),
    ],
)
def test_answer_without_counts_fails(answer: str, problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        test_services.test_audit_is_enabled_with_rules(AuditedHost(answer), lambda _: None)


def test_host_without_compiled_rules_is_not_checked() -> None:
    status = queries.AUDIT.missing_statuses[2]

    with pytest.raises(UnavailableError, match=r"there is no /etc/audit/audit.rules"):
        test_services.test_audit_is_enabled_with_rules(AuditedHost("", status), lambda _: None)


def test_query_counts_rules_and_not_settings() -> None:
    lines = ("-D", "-b 8192", "--backlog_wait_time 60000", "-f 1", "-e 2", "# -a x", "")
    rules = ("-a always,exit -S mount", " -w /etc/x -p wa", "-A exclude,always")
    pattern = re.search(r"grep -E '([^']+)'", queries.AUDIT.script)
    assert pattern

    expression = re.compile(pattern[1].replace("[[:space:]]", r"\s"))

    assert [line for line in (*lines, *rules) if expression.match(line)] == list(rules)
