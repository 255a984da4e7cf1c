"""The registry of hardpan's own checks, and what makes a check count on a host."""

import re

import pytest

from hardpan.core.errors import InputError
from hardpan.scanners.collect import hostfacts
from hardpan.scanners.collect.check_recorder import join_parameter, make_unique
from hardpan.scanners.collect.check_registry import (
    REGISTRY_FILE,
    load_registry,
    parse_registry,
)
from hardpan.scanners.collect.plan import ScanPlan, plan_profile
from hardpan.scanners.report.oscal.nist_controls import parse_reference
from tests.source_tree import REPO
from tests.unit.collect.test_layers import lab_profile

CONTROLS = REPO / "tests" / "data" / "nist-800-53-rev5.txt"
TEXT = REGISTRY_FILE.read_text("utf-8")
ON_REQUEST = {
    "hardpan-check-fips-state",
    "hardpan-check-kernel-lockdown",
    "hardpan-check-module-signatures",
    "hardpan-check-pq-key-exchange",
    "hardpan-check-secure-boot",
    "hardpan-check-unsigned-modules",
}


def list_functions() -> set[str]:
    return {
        f"{path.stem}::{name}"
        for path in hostfacts.CHECKS.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }


def test_check_functions_and_entries_correspond() -> None:
    checks = [c.check for c in load_registry().checks]

    assert len(checks) >= 30
    assert sorted(checks) == sorted(list_functions())


def test_ids_are_stable() -> None:
    """A waiver and a policy name these ids: none may be renamed or removed."""
    ids = {c.id for c in load_registry().checks}

    assert ids >= {
        *ON_REQUEST,
        "hardpan-check-release-supported",
        "hardpan-check-release-support-remaining",
        "hardpan-check-sshd-setting",
        "hardpan-check-build-user-login",
        "hardpan-check-mount-options",
    }
    assert {c.id for c in load_registry().checks if c.required is not None} == ON_REQUEST


def test_controls_are_those_of_revision_5() -> None:
    lines = CONTROLS.read_text("utf-8").splitlines()
    controls_of_nist = {word for line in lines if not line.startswith("#") for word in line.split()}
    assert len(controls_of_nist) > 300
    references = [x for c in load_registry().checks for x in c.nist]

    parsed = {x: parse_reference(x) for x in references}
    assert [x for x, controls in parsed.items() if len(controls) != 1] == []
    assert (
        sorted(
            x for x, (control, *_) in parsed.items() if control.control_id not in controls_of_nist
        )
        == []
    )


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        (
            "severity: high",
            "severity: critical",
            "checks[0].severity: expected high, medium or low",
        ),
        ("nist: [SI-2, SA-22]", "nist: []", "checks[0].nist"),
        ("scope: host", "scope: all", "checks[0].scope: "),
        ("id: hardpan-check-release-supported", "id: release", "checks[0].id: "),
        ("    rationale: Vuln", "    reason: Vuln", "checks[0].reason: unknown setting"),
        (
            "hardpan-check-release-support-remaining",
            "hardpan-check-release-supported",
            "duplicated",
        ),
        (
            "test_platform::test_release_support_does_not_end_soon",
            "test_platform::test_release_is_supported",
            "test_platform::test_release_is_supported is duplicated",
        ),
        (
            "scope: profile\n    nist: [AC-17(2), CM-6]",
            "scope: profile\n    required: {}\n    nist: [AC-17(2), CM-6]",
            "expected none outside of the scope host",
        ),
    ],
)
def test_invalid_entry_reports_its_location(was: str, now: str, problem: str) -> None:
    assert was in TEXT

    with pytest.raises(InputError) as caught:
        parse_registry(TEXT.replace(was, now, 1).encode(), "registry.yaml")

    assert problem in str(caught.value)
    assert str(caught.value).startswith("registry.yaml:")


def list_required(plan: ScanPlan, *rules: str, requested: tuple[str, ...] = ()) -> set[str]:
    full_ids = (f"xccdf_org.ssgproject.content_rule_{name}" for name in rules)
    return set(plan.list_required_checks(full_ids, requested)) & ON_REQUEST


def test_plain_xccdf_profile_requires_checks_by_its_rules() -> None:
    assert list_required(ScanPlan(), "package_aide_installed") == set()
    assert list_required(ScanPlan(), "enable_fips_mode") == {"hardpan-check-fips-state"}
    assert "hardpan-check-release-supported" in ScanPlan().list_required_checks((), ())


def test_hardpan_profile_requires_checks_by_its_kernel_arguments() -> None:
    plain = plan_profile(lab_profile(fips=False, layers=()))
    hardened = plan_profile(lab_profile(fips=True, layers=("kernel_hardening",)))

    assert list_required(plain, "enable_fips_mode") == set()
    assert list_required(hardened) == {
        "hardpan-check-fips-state",
        "hardpan-check-kernel-lockdown",
        "hardpan-check-module-signatures",
        "hardpan-check-unsigned-modules",
    }


def test_option_requires_a_check() -> None:
    name = "hardpan-check-secure-boot"

    assert list_required(ScanPlan(), requested=(name, "smoke")) == {name}


@pytest.mark.parametrize(
    ("selector", "is_match"),
    [
        ("hardpan-check-umask", True),
        ("hardpan-check-mount-options._tmp", True),
        ("hardpan-check-mount-options.*", True),
        ("hardpan-check-*", True),
        ("hardpan-check-umaks", False),
        ("hardpan-check-umask2", False),
        ("hardpan-*-nothing", False),
        ("partition_for_tmp", False),
    ],
)
def test_selector_of_a_waiver_names_a_check(selector: str, is_match: bool) -> None:
    assert load_registry().matches_selector(selector) is is_match


@pytest.mark.parametrize(
    ("parameter", "name"),
    [("", "c"), ("/var/log", "c._var_log"), ("kernel.sysrq", "c.kernel.sysrq"), ("a=b", "c.a_b")],
)
def test_parameter_is_part_of_the_id(parameter: str, name: str) -> None:
    assert join_parameter("c", parameter) == name


def test_equal_ids_get_a_number() -> None:
    names: set[str] = set()
    for name in ("a", "a", "b", "a"):
        names.add(make_unique(name, names))

    assert names == {"a", "a-2", "a-3", "b"}
