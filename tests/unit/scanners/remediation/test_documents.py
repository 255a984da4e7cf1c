"""Playbook and script as documents: nothing from evidence or content leaves its place in them."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
import yaml

from hardpan.core.files import sha256_bytes
from hardpan.scanners.content.fixes import FixKind, RuleFixes, render_bash_fix
from hardpan.scanners.remediation.ansible_fix import parse_ansible_fix
from hardpan.scanners.remediation.plan import RuleSelection, build_plan
from hardpan.scanners.remediation.playbook import render_playbook
from hardpan.scanners.remediation.shell_script import render_script
from hardpan.scanners.report.model.sections import RulePart
from tests.unit.scanners.remediation.samples import (
    TASK,
    WAIVER,
    fix,
    rule,
    rule_fixes,
    source,
    value,
)

HOSTILE = (
    "a\n- hosts: x\n\"'`$(id)\x1b[31m\u2028\u202e {{ lookup('pipe', 'id') }} # *x &y !z \u00e9"
)
_FACTS = "- name: Gather\n  package_facts:\n    manager: auto\n"
_INSTALL = "- name: Install\n  ansible.builtin.package: {name: x}\n"


def _playbook(rules: Sequence[RulePart], content: Sequence[RuleFixes]) -> str:
    evidence = source(*rules)
    selection = RuleSelection(include_disruptive=True)
    plan = build_plan(evidence.findings, content, FixKind.ANSIBLE, selection)
    tasks = [(planned, parse_ansible_fix(planned.fix)) for planned in plan.fixes]
    return render_playbook(evidence, plan, tasks).decode()


def _script(rules: Sequence[RulePart], content: Sequence[RuleFixes]) -> str:
    evidence = source(*rules)
    selection = RuleSelection(include_disruptive=True)
    plan = build_plan(evidence.findings, content, FixKind.BASH, selection)
    scripts = [(planned, render_bash_fix(planned.fix)) for planned in plan.fixes]
    return render_script(evidence, plan, scripts).decode()


def _load(text: str) -> list[Any]:
    (play,) = yaml.safe_load(text)
    assert {k: play[k] for k in ("hosts", "become")} == {"hosts": "all", "become": True}
    tasks: list[Any] = play["tasks"]
    return tasks


def test_playbook_has_a_block_for_each_rule() -> None:
    rules = [
        rule("one", stig_ids=("RHEL-09-1",), severity="high"),
        rule("two"),
        rule("waived", waiver=WAIVER),
    ]
    promoted = "- name: XCCDF Value v # promote to variable\n  set_fact:\n    v: !!str "
    always = "\n  tags: [always]\n"
    content = [
        rule_fixes("one", ansible=fix(promoted, value("5"), always + TASK + "  tags: [CCE-1]\n")),
        rule_fixes("two", ansible=fix(needs_reboot=True)),
    ]

    text = _playbook(rules, content)

    first, second, report, reboot = _load(text)
    assert first == {
        "name": "RHEL-09-1 one (high): Title of one",
        "vars": {"v": "5"},
        "tags": ["one", "RHEL-09-1", "severity_high", "CCE-1"],
        "block": [{"name": "Do it", "ansible.builtin.command": "true"}],
        "rescue": [
            {
                "name": "Record that the fix failed",
                "ansible.builtin.set_fact": {
                    "hardpan_failed_rules": "{{ hardpan_failed_rules | default([]) + ['one'] }}"
                },
            }
        ],
    }
    assert second["tags"] == ["two", "severity_medium", "disruptive"]
    assert report["ansible.builtin.fail"]["msg"].startswith("The fix failed for:")
    assert reboot["ansible.builtin.debug"]["msg"].endswith("take effect after it: two")
    for line in (
        "# Remediation of 2 failed rules, written by hardpan",
        f"# evidence     sha256 {'a' * 64}",
        "# signature    verified: signed by key 'scan'",
        "# host         lab, host key SHA256:",
        "# content      ssg-rhel9-ds.xml 0.1.82, sha256 ",
        "# profile      xccdf_org.ssgproject.content_profile_",
        "# Failed, and waived (1):",
        "#   waived (medium): Title of waived: needed (web team, until 2099-01-31)",
        "    # strategy configure, complexity low, disruption low, needs a reboot",
    ):
        assert line in text


def test_package_facts_are_gathered_again_after_packages_may_have_changed() -> None:
    names = ["a", "b", "c", "d", "package_x_installed"]
    fixes = {name: fix(_FACTS + "- debug: {}\n") for name in names}
    fixes["package_x_installed"] = fix(_FACTS + _INSTALL)
    fixes["c"] = fix("- command: dnf -y remove x\n")  # needs no facts itself
    content = [rule_fixes(name, ansible=fixes[name]) for name in names]

    tasks = _load(_playbook([rule(n) for n in names], content))

    gather = "Gather the package facts"
    assert [t["name"].partition(" (")[0] for t in tasks] == [
        *(gather, "package_x_installed", gather, "a", "b", "c", gather, "d"),
        "Report the rules whose fix failed",
    ]
    assert all(t["tags"] == ["always"] for t in tasks if t["name"] == gather)


def test_text_with_blank_lines_at_its_end_does_not_end_the_playbook() -> None:
    tasks = "- debug:\n    msg: |+\n      a\n\n\n"

    block, _ = _load(_playbook([rule("one")], [rule_fixes("one", ansible=fix(tasks))]))

    assert block["block"] == [{"debug": {"msg": "a\n\n\n"}}]


def test_playbook_without_rules_is_valid() -> None:
    assert _load(_playbook([rule("one", "pass")], [])) == []


def test_texts_of_evidence_stay_in_their_place_in_a_playbook() -> None:
    rules = [rule("one", title=HOSTILE, stig_ids=(HOSTILE, "OK-1")), rule("two", title=HOSTILE)]
    content = [rule_fixes("one", ansible=fix(), group=HOSTILE), rule_fixes("two")]

    text = _playbook(rules, content)

    first, _ = _load(text)
    assert "{" not in first["name"]
    assert first["tags"] == ["one", "OK-1", "severity_medium"]
    assert text.isascii()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert not re.search(r"^\s*- hosts: x", text, re.MULTILINE)


def test_texts_of_evidence_stay_in_comments_of_a_script() -> None:
    rules = [rule("one", title=HOSTILE, stig_ids=(HOSTILE,)), rule("two", title=HOSTILE)]
    content = [rule_fixes("one", bash=fix("true\n"), group=HOSTILE), rule_fixes("two")]

    text = _script(rules, content)

    assert text.isascii()
    assert all(line.startswith("#") for line in text.splitlines() if "lookup" in line)
    assert text.count("lookup") == 4  # twice in the title and ids, in the group, and left out


def test_script_has_each_fix_verbatim_in_a_document_that_only_its_digest_ends() -> None:
    bodies = ["cat <<EOF\nunfinished\n", "exit 1\nFIX_\n)\n}\n'\n"]
    content = [
        rule_fixes("one", bash=fix(bodies[0])),
        rule_fixes("two", bash=fix(bodies[1], needs_reboot=True)),
    ]

    text = _script([rule("one"), rule("two")], content)

    documents = re.findall(
        r"^remediate (\w+) <<'(FIX_\w{32})'\n(.*?)^\2$", text, re.MULTILINE | re.DOTALL
    )
    assert documents == [
        (name, f"FIX_{sha256_bytes(body.encode())[:32]}", body)
        for name, body in zip(("one", "two"), bodies, strict=True)
    ]
    assert "echo 'Reboot the host. These rules take effect after it: two' >&2" in text
    assert text.startswith("#!/bin/bash\n# Remediation of 2 failed rules")


@pytest.mark.parametrize("render", [_playbook, _script])
def test_same_input_gives_the_same_bytes(render: Any) -> None:
    names = [f"r{n}" for n in range(20)]
    collections = "- a.b.c: {}\n  d.e.f: {}\n  x.y.z: {}\n"
    content = [rule_fixes(n, ansible=fix(collections), bash=fix("true\n")) for n in names]

    assert render([rule(n) for n in names], content) == render([rule(n) for n in names], content)
