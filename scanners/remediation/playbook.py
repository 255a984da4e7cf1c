"""Render an Ansible playbook: one block for each rule, with its own variables and tags."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence

import yaml
from yaml.representer import SafeRepresenter

from hardpan.scanners.remediation.ansible_fix import AnsibleTasks
from hardpan.scanners.remediation.header import (
    RemediationSource,
    clean,
    describe_rule,
    format_header,
)
from hardpan.scanners.remediation.plan import Plan, PlannedFix, describe_effect

_INDENT = " " * 4
_LINE_WIDTH = 100
_USAGE = (
    "Show what would change: ansible-playbook -i HOST, --check --diff FILE",
    "Apply it:               ansible-playbook -i HOST, FILE",
    "Some rules only:        ansible-playbook -i HOST, --tags RULE,... FILE",
    "Check mode skips commands: a rule whose later tasks need their output is reported there as",
    "failed. Tags: short rule id, STIG id, severity_high and so on, and those of the content.",
)
_GATHER = """\
- name: Gather the package facts
  ansible.builtin.package_facts:
    manager: auto
  tags:
  - always
"""
_REPORT = """\
- name: Report the rules whose fix failed
  ansible.builtin.fail:
    msg: "The fix failed for: {{ hardpan_failed_rules | join(', ') }}"
  when: hardpan_failed_rules | default([]) | length > 0
  ignore_errors: '{{ ansible_check_mode }}'
  tags:
  - always
"""
_REBOOT = """\
- name: Report that a reboot is needed
  ansible.builtin.debug:
    msg: "Reboot the host. These rules take effect after it: RULES"
  tags:
  - always
"""


def render_playbook(
    source: RemediationSource, plan: Plan, tasks: Sequence[tuple[PlannedFix, AnsibleTasks]]
) -> bytes:
    """Return the playbook; the same evidence and options give the same bytes."""
    collections = sorted({c for _, rule_tasks in tasks for c in rule_tasks.collections})
    lines = [*format_header(source, plan, usage=_USAGE, collections=collections)]
    lines += [
        "---",
        f"- name: Remediate {len(tasks)} failed rules",
        "  hosts: all",
        "  become: true",
        "  tasks:" if tasks else "  tasks: []",
    ]
    lines += _render_tasks(tasks)
    return ("\n".join(lines) + "\n").encode("ascii")


def _render_tasks(tasks: Sequence[tuple[PlannedFix, AnsibleTasks]]) -> Iterator[str]:
    section = None
    has_current_facts = False
    for planned, rule_tasks in tasks:
        if planned.section != section:
            section = planned.section
            yield f"\n{_INDENT}# ---- {clean(section) or 'Rules without a group'} ----"
        if rule_tasks.needs_package_facts and not has_current_facts:
            yield "\n" + _indent(_GATHER)
            has_current_facts = True
        yield f"\n{_INDENT}# {describe_rule(planned.rule)}"
        yield f"{_INDENT}# {clean(describe_effect(planned))}"
        yield _indent(_serialize(_build_block(planned, rule_tasks)))
        if rule_tasks.may_change_packages:
            has_current_facts = False
    if tasks:
        yield "\n" + _indent(_REPORT)
    reboots = [planned.name for planned, _ in tasks if planned.needs_reboot]
    if reboots:
        yield "\n" + _indent(_REBOOT.replace("RULES", ", ".join(reboots)))


def _build_block(planned: PlannedFix, rule_tasks: AnsibleTasks) -> yaml.Node:
    """Return the block of a rule: if one of its tasks fails, the next rule is remediated."""
    rule = planned.rule
    # Ansible expands templates in names.
    name = clean(describe_rule(rule).translate(str.maketrans("{}", "()")))
    rule_tags = (planned.name, *rule.stig_ids, f"severity_{rule.severity}")
    effects = ("disruptive",) if planned.is_disruptive else ()
    safe_tags = [t for t in (*rule_tags, *effects, *rule_tasks.tags) if _is_safe_tag(t)]
    record = {
        "name": "Record that the fix failed",
        "ansible.builtin.set_fact": {
            "hardpan_failed_rules": "{{ hardpan_failed_rules | default([]) + "
            f"['{planned.name}'] }}}}"
        },
    }
    fields: list[tuple[str, yaml.Node]] = [("name", _represent(name))]
    if rule_tasks.variables:
        pairs = [(_represent(n), v) for n, v in rule_tasks.variables.items()]
        fields.append(("vars", yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)))
    fields += [
        ("tags", _represent(list(dict.fromkeys(safe_tags)))),
        ("block", _build_sequence(rule_tasks.tasks)),
        ("rescue", _represent([record])),
    ]
    pairs = [(_represent(n), v) for n, v in fields]
    return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)


def _is_safe_tag(tag: str) -> bool:
    return tag.isascii() and not set(tag) & set("{}%#, \t\n")


def _build_sequence(nodes: Iterable[yaml.Node]) -> yaml.Node:
    return yaml.SequenceNode("tag:yaml.org,2002:seq", list(nodes), flow_style=False)


def _represent(value: object) -> yaml.Node:
    return SafeRepresenter(sort_keys=False, default_flow_style=False).represent_data(value)


def _serialize(block: yaml.Node) -> str:
    text = yaml.serialize(
        _build_sequence([block]), Dumper=yaml.CSafeDumper, allow_unicode=False, width=_LINE_WIDTH
    )
    # libyaml ends a document after a text with blank lines at its end explicitly.
    return str(text).removesuffix("...\n")


def _indent(text: str) -> str:
    return textwrap.indent(text.rstrip("\n"), _INDENT)
