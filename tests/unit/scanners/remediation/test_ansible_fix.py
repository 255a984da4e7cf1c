"""Upstream's Ansible fixes as tasks: values are data, and nothing but plain YAML is accepted."""

import pytest
import yaml

from hardpan.core.errors import InputError
from hardpan.scanners.content.fixes import FixValue
from hardpan.scanners.remediation.ansible_fix import parse_ansible_fix
from tests.unit.scanners.remediation.samples import TASK, fix, value


def _load(node: yaml.Node) -> object:
    return yaml.safe_load(yaml.serialize(node))


def _line(*parts: str | FixValue) -> list[object]:
    return [_load(t) for t in parse_ansible_fix(fix(*parts)).tasks]


_PROMOTED = """\
- name: Gather the package facts
  package_facts:
    manager: auto
  tags: [CCE-1, rule_a]
- name: XCCDF Value var_days # promote to variable
  set_fact:
    var_days: !!str """
_TASKS = """
  tags:
    - always
- name: Set it
  community.general.ini_file:
    path: /etc/x
    value: '{{ var_days }}'
    mode: 0640
  when: '"x" in ansible_facts.packages'
  tags:
  - CCE-1
  - never
- name: Several
  block:
  - name: Inner
    ansible.builtin.package: {name: x}
    tags: [inner]
"""


def test_upstreams_fix_becomes_tasks_variables_and_tags() -> None:
    tasks = parse_ansible_fix(fix(_PROMOTED, value("0600"), _TASKS))

    assert {n: _load(v) for n, v in tasks.variables.items()} == {"var_days": "0600"}
    assert [_load(t) for t in tasks.tasks] == [
        {
            "name": "Set it",
            "community.general.ini_file": {
                "path": "/etc/x",
                "value": "{{ var_days }}",
                "mode": 0o640,
            },
            "when": '"x" in ansible_facts.packages',
        },
        {
            "name": "Several",
            "block": [
                {"name": "Inner", "ansible.builtin.package": {"name": "x"}, "tags": ["inner"]}
            ],
        },
    ]
    assert tasks.tags == ("CCE-1", "rule_a")
    assert tasks.collections == {"community.general"}
    assert (tasks.needs_package_facts, tasks.may_change_packages) == (True, True)


@pytest.mark.parametrize(
    "text",
    ["a: b", "x # y", "[a, b]", "\n- name: evil\n  command: reboot", "'", '"', "&a *b !!x", "- -"],
)
@pytest.mark.parametrize("tag", ["!!str ", "", "'x ", '"'])
def test_value_cannot_add_anything_but_text(text: str, tag: str) -> None:
    closing = {"'x ": "'", '"': '"'}.get(tag, "")

    (task,) = _line("- name: n\n  debug:\n    msg: " + tag, value(text), closing + "\n")

    assert task == {"name": "n", "debug": {"msg": ("x " if tag == "'x " else "") + text}}


@pytest.mark.parametrize(
    ("text", "expected"), [("600", 600), ("yes", True), ("abc", "abc"), ("*", "*"), ("=", "=")]
)
def test_plain_value_without_a_tag_has_the_type_that_yaml_gives_it(
    text: str, expected: object
) -> None:
    assert _line("- é: 1\n  x: ", value(text), "\n  y: !!str ", value(text), "\n  z: ''\n") == [
        {"é": 1, "x": expected, "y": text, "z": ""}
    ]


@pytest.mark.parametrize("text", ["{{ lookup('pipe', 'id') }}", "{% if x %}", "a{#b"])
def test_value_that_is_a_template_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="the value v is a template"):
        _line("- x: ", value(text), "\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\n", "expected a list of tasks"),
        ("", "expected a list of tasks"),
        ("- a\n", "expected a list of tasks"),
        ("- a: 1\n  a: 2\n", "a key twice"),
        ("- [a]: 1\n", "a key twice, or one that is no text"),
        ("- a: &x 1\n  b: *x\n", "expected no aliases"),
        ("- a: !unsafe 1\n", "expected no tags of other types"),
        ("- a: !!python/object/apply:os.system ['id']\n", "expected no tags of other types"),
        ("- a: " + "[" * 30 + "]" * 30 + "\n", "too deeply nested"),
        ("- a: " + "[" * 100_000, "f"),
        ("- a: [" + "1," * 60_000 + "]\n", "too many"),
        ("- a: 1\n---\n- b: 1\n", "is not YAML"),
        ("- a: '\n", "is not YAML"),
        ("- a: =\n", "not plain YAML"),
        ("- a: 2026-13-45\n", "not plain YAML"),
        ("- a: {<<: b}\n", "not plain YAML"),
        ("- a: {[b]: c}\n", "not plain YAML"),
        ("- a: " + "x" * (1 << 20), "is longer than 1048576 characters"),
    ],
)
def test_fix_that_is_no_plain_list_of_tasks_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_ansible_fix(fix(text))


@pytest.mark.parametrize(
    "text",
    [
        "- debug: {msg: \"{{ lookup('pipe', 'id') }}\"}\n",
        "- debug: {msg: \"{{ q('items', q('pipe', 'id')) }}\"}\n",
        "- debug: {}\n  when: query ('file', '/etc/passwd')\n",
        "- debug: {}\n  when: lookup('env', 'HOME') == 'x'\n",
        "- command: id\n  delegate_to: localhost\n",
        "- local_action: command id\n",
        "- block:\n  - ansible.builtin.script: id\n",
        "- command: id\n  vars: {ansible_connection: local}\n",
        "- set_fact: {ansible_host: x}\n",
        "- command: id\n  with_pipe: id\n",
        "- include_tasks: /tmp/x\n",
    ],
)
def test_task_for_the_control_machine_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected tasks for the host, got"):
        parse_ansible_fix(fix(text))


def test_upstreams_conditions_and_loops_are_accepted() -> None:
    when = '( not ( lookup("env", "container") == "bwrap-osbuild" ) )'

    loop = "'{{ q(''ansible.builtin.subelements'', x.results, ''files'') }}'"

    assert len(_line(f"- command: id\n  when: {when}\n  with_items: [1]\n")) == 1
    assert len(_line(f"- command: id\n  loop: {loop}\n")) == 1


def test_conditional_facts_and_other_variables_remain_tasks() -> None:
    text = (
        "- name: g\n  package_facts: {}\n  when: x\n"
        "- name: XCCDF Value a b\n  set_fact: {'a b': 1}\n"
        "- name: Other\n  set_fact: {c: 1}\n"
    )

    tasks = parse_ansible_fix(fix(text))

    assert (len(tasks.tasks), tasks.needs_package_facts, dict(tasks.variables)) == (3, False, {})


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("apt: {name: x}", True),
        ("ansible.builtin.package: {name: x}", True),
        ("shell: |\n    true\n    dnf -y install x", True),
        ("command: dpkg -i x", True),
        ("command: rpm -q x", False),
        ("command: systemctl enable install", False),
        ("copy: {dest: /x}", False),
    ],
)
def test_tasks_that_may_change_packages_are_recognized(task: str, expected: bool) -> None:
    assert parse_ansible_fix(fix(f"- {task}\n")).may_change_packages is expected


def test_short_names_of_older_content_need_collections_too() -> None:
    tasks = parse_ansible_fix(fix("- sysctl: {}\n- block:\n  - ini_file: {}\n- copy: {}\n"))

    assert tasks.collections == {"ansible.posix", "community.general"}


def test_missing_value_is_refused() -> None:
    with pytest.raises(InputError, match="refers to the value v, which has no value"):
        parse_ansible_fix(fix(TASK, value(None)))
