"""Which rules are remediated, in which order, and why the others are not."""

import pytest

from hardpan.core.errors import InputError
from hardpan.scanners.content.fixes import FixKind, RuleFixes
from hardpan.scanners.remediation.plan import Omission, Plan, RuleSelection, build_plan
from hardpan.scanners.report.model.sections import RulePart
from tests.unit.scanners.remediation.samples import WAIVER, findings, fix, rule, rule_fixes


def _plan(
    rules: list[RulePart],
    content: list[RuleFixes],
    kind: FixKind = FixKind.ANSIBLE,
    selection: RuleSelection | None = None,
) -> Plan:
    return build_plan(findings(*rules), content, kind, selection or RuleSelection())


def _names(plan: Plan) -> list[str]:
    return [planned.name for planned in plan.fixes]


def _omitted(plan: Plan) -> dict[str, tuple[Omission, str]]:
    return {o.rule.rule_id.rpartition("_")[2]: (o.reason, o.message) for o in plan.omitted}


def test_exactly_the_failed_rules_without_waiver_are_remediated() -> None:
    expired = WAIVER.model_copy(update={"is_active": False})
    rules = [
        rule("failed"),
        rule("waived", waiver=WAIVER),
        rule("expired", waiver=expired),
        rule("unscored", role="unscored"),
        *(rule(v, v) for v in ("pass", "error", "unknown", "notchecked", "notapplicable")),
        *(rule(v, v) for v in ("informational", "fixed")),
    ]

    plan = _plan(rules, [rule_fixes(r.rule_id.rpartition("_")[2], ansible=fix()) for r in rules])

    assert _names(plan) == ["failed", "expired", "unscored"]
    assert {name: reason for name, (reason, _) in _omitted(plan).items()} == {
        "waived": Omission.WAIVED,
        "error": Omission.NOT_EVALUATED,
        "unknown": Omission.NOT_EVALUATED,
        "notchecked": Omission.NOT_EVALUATED,
    }
    assert _omitted(plan)["waived"][1] == "needed (web team, until 2099-01-31)"
    assert _omitted(plan)["error"][1] == "result error: whether it needs a fix is not known"


def test_missing_fix_is_explained() -> None:
    rules = [rule("none"), rule("bash"), rule("ansible"), rule("absent")]
    content = [
        rule_fixes("none"),
        rule_fixes("bash", bash=fix()),
        rule_fixes("ansible", ansible=fix()),
    ]

    ansible, bash = _plan(rules, content), _plan(rules, content, FixKind.BASH)

    assert _names(ansible) == ["ansible"]
    assert _names(bash) == ["bash"]
    assert _omitted(ansible) == {
        "none": (Omission.NO_FIX, "the content has no fix"),
        "bash": (Omission.NO_FIX, "the content has no Ansible fix; one exists with --as bash"),
        "absent": (Omission.NO_FIX, "the content has no fix"),
    }
    assert _omitted(bash)["ansible"][1] == (
        "the content has no bash fix; one exists with --as ansible"
    )


@pytest.mark.parametrize("kind", list(FixKind))
def test_disruptive_fixes_are_left_out_unless_requested(kind: FixKind) -> None:
    rules = [rule("reboot"), rule("high"), rule("medium")]
    content = [  # the attributes of one fix are those of the rule
        rule_fixes("reboot", ansible=fix(needs_reboot=True), bash=fix()),
        rule_fixes("high", ansible=fix(), bash=fix(disruption="high")),
        rule_fixes("medium", ansible=fix(disruption="medium"), bash=fix(disruption="medium")),
    ]

    plan = _plan(rules, content, kind)
    complete = _plan(rules, content, kind, RuleSelection(include_disruptive=True))

    assert _names(plan) == ["medium"]
    assert _omitted(plan) == {
        "reboot": (Omission.DISRUPTIVE, "takes effect after a reboot: add --disruptive"),
        "high": (Omission.DISRUPTIVE, "its disruption is high: add --disruptive"),
    }
    assert [(f.name, f.is_disruptive, f.needs_reboot) for f in complete.fixes] == [
        ("reboot", True, True),
        ("high", True, False),
        ("medium", False, False),
    ]
    assert complete.omitted == ()


def test_fixes_that_can_lock_out_the_user_are_disruptive_and_last() -> None:
    names = ["sudo_remove_nopasswd", "sshd_disable_root_login", "b", "package_x_installed"]
    rules = [rule(n) for n in names]
    content = [rule_fixes(n, ansible=fix()) for n in names]

    plan = _plan(rules, content)
    complete = _plan(rules, content, selection=RuleSelection(include_disruptive=True))

    assert _names(plan) == ["package_x_installed", "b"]
    message = "it can lock out the user who applies it: add --disruptive"
    assert _omitted(plan) == {
        "nopasswd": (Omission.DISRUPTIVE, message),
        "login": (Omission.DISRUPTIVE, message),
    }
    assert _names(complete) == ["package_x_installed", "b", *names[:2]]
    assert [f.is_disruptive for f in complete.fixes] == [False, False, True, True]


def test_packages_are_installed_first_and_requirements_before_rules() -> None:
    names = ["b", "a", "service_x_enabled", "package_x_installed", "c"]
    content = [
        rule_fixes("b", ansible=fix(), requires=("c",)),
        rule_fixes("a", ansible=fix()),
        rule_fixes("service_x_enabled", ansible=fix()),
        rule_fixes("package_x_installed", ansible=fix()),
        rule_fixes("c", ansible=fix(), requires=("a", "b")),  # b and c require each other
    ]

    plan = _plan([rule(n) for n in names], content)

    assert _names(plan) == ["package_x_installed", "a", "c", "b", "service_x_enabled"]
    assert [f.section for f in plan.fixes] == ["Packages", *["Group"] * 4]


def test_long_chain_of_requirements_is_ordered() -> None:
    names = [f"r{n}" for n in range(3000)]
    content = [
        rule_fixes(n, ansible=fix(), requires=(following,) if following else ())
        for n, following in zip(names, [*names[1:], ""], strict=True)
    ]

    assert _names(_plan([rule(n) for n in names], content)) == names[::-1]


@pytest.mark.parametrize(
    "selector", ["one", "xccdf_org.ssgproject.content_rule_one", "rhel-09-1", "V-12", "on*"]
)
def test_rules_are_selected_by_any_id(selector: str) -> None:
    rules = [rule("one", stig_ids=("RHEL-09-1",), sv_ids=("SV-12r3_rule",)), rule("two")]
    content = [rule_fixes("one", ansible=fix()), rule_fixes("two", ansible=fix())]

    plan = _plan(rules, content, selection=RuleSelection(selectors=(selector,)))

    assert _names(plan) == ["one"]
    assert plan.omitted == ()


def test_requested_rule_that_did_not_fail_is_named() -> None:
    plan = _plan([rule("one", "pass")], [], selection=RuleSelection(selectors=("one",)))

    assert _omitted(plan) == {"one": (Omission.NOT_FAILED, "result pass: needs no fix")}


def test_unknown_rule_is_refused_with_near_matches() -> None:
    with pytest.raises(InputError, match="--rule sshd_idel: expected a rule of the scan") as e:
        _plan([rule("sshd_idle")], [], selection=RuleSelection(selectors=("sshd_idel",)))

    assert e.value.hint == "did you mean sshd_idle?"


def test_severity_counts_as_for_fail_on() -> None:
    rules = [
        rule("low", severity="low"),
        rule("disa", severity="low", disa_severity="high"),
        rule("unknown", severity="unknown"),
        rule("info", severity="info"),
    ]
    content = [rule_fixes(r.rule_id.rpartition("_")[2], ansible=fix()) for r in rules]

    def select(severity: str) -> list[str]:
        selection = RuleSelection(min_severity=severity)  # type: ignore[arg-type]
        return _names(_plan(rules, content, selection=selection))

    assert select("high") == ["disa"]
    assert select("medium") == ["disa", "unknown"]
    assert select("low") == ["low", "disa", "unknown"]
    assert _names(_plan(rules, content)) == ["low", "disa", "unknown", "info"]


@pytest.mark.parametrize("name", ["a{{x}}", "a b", "a'b", "a\nb", "-a", "a;b"])
def test_rule_with_unsafe_id_is_left_out(name: str) -> None:
    plan = _plan([rule(name)], [rule_fixes(name, ansible=fix())])

    assert plan.fixes == ()
    assert [o.reason for o in plan.omitted] == [Omission.INVALID_FIX]
