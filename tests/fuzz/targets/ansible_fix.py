"""Damaged Ansible fixes and unusual values: a playbook keeps its structure, values are text."""

from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from hardpan.scanners.content.fixes import ContentFix, FixKind
from hardpan.scanners.remediation.ansible_fix import AnsibleTasks, parse_ansible_fix
from hardpan.scanners.remediation.plan import RuleSelection, build_plan
from hardpan.scanners.remediation.playbook import render_playbook
from tests.fuzz.target import FuzzTarget, mutate_samples
from tests.unit.scanners.remediation.samples import fix, rule, rule_fixes, source, value

_PIECES = (
    *(bytes([c]) for c in b":-,[]{}&*!|>'\"%@`#?\n \t\0\x1b"),
    *(b"- ", b"---\n", b"...\n", b"&a ", b"*a", b"!!str ", b"!x ", b"<<: ", b"[[", b"{{ x }}"),
    *(b"- hosts: all\n", b"tags: never\n", b"block:\n", b"\xc2\x85", b"\xe2\x80\xa8", b"\xff"),
    *(b"lookup('pipe', 'id')", b"delegate_to: x\n", b"# x\n", b"%YAML 1.1\n", b"? ", b"|2\n"),
)
_SAMPLE = b"""\
- name: Gather the package facts
  package_facts:
    manager: auto
- name: Set it
  ansible.builtin.lineinfile:
    path: /etc/x
    line: "a b"
    mode: 0640
  when:
  - '"x" in ansible_facts.packages'
  tags:
  - CCE-1
- name: Several
  block:
  - name: Inner
    ansible.builtin.shell: |
      set -o pipefail
      true
"""
_PLACES = ("!!str ", "", "'x ", '"x ', "x ", "|\n      x ", ">\n      x ")
_CHARACTERS = "a:-#'\"{}[]!&*=<\n \\%"
_END = {"'": "'", '"': '"'}


def target(folder: Path) -> FuzzTarget:
    """Fixes with edits, and texts as values of a fix; ``folder`` is not used."""
    del folder
    return FuzzTarget(
        name="ansible_fix",
        inputs=st.one_of(
            mutate_samples([_SAMPLE], _PIECES),
            st.tuples(st.sampled_from(_PLACES), st.text(max_size=20)),
            st.tuples(st.sampled_from(_PLACES), st.text(st.sampled_from(_CHARACTERS), max_size=9)),
        ),
        check=_check,
    )


def _check(item: bytes | tuple[str, str]) -> str:
    if isinstance(item, bytes):
        _load_block(fix(item.decode("utf-8", "replace")))
        return "accepted fix"
    place, text = item
    start = "- name: n\n  debug:\n    msg: " + place
    end = _END.get(place[:1], "") + "\n  when: x\n"
    block = _load_block(fix(start, value(text), end))
    (task,) = block["block"]
    assert task.keys() == {"name", "debug", "when"}
    assert task["debug"].keys() == {"msg"}
    if place == "!!str ":
        assert task["debug"]["msg"] == text
    return "accepted value"


def _load_block(content_fix: ContentFix) -> dict[str, Any]:
    """Return the block of the rule in the playbook, which has nothing else of the fix."""
    tasks: AnsibleTasks = parse_ansible_fix(content_fix)
    evidence = source(rule("r"))
    plan = build_plan(
        evidence.findings, [rule_fixes("r", ansible=content_fix)], FixKind.ANSIBLE, RuleSelection()
    )
    text = render_playbook(evidence, plan, [(plan.fixes[0], tasks)])
    assert text.isascii()
    (play,) = yaml.load(text, yaml.CSafeLoader)
    assert play.keys() == {"name", "hosts", "become", "tasks"}
    blocks = [t for t in play["tasks"] if "block" in t]
    assert [b["name"] for b in blocks] == ["r (medium): Title of r"]
    assert len(play["tasks"]) == 2 + tasks.needs_package_facts
    return dict(blocks[0])
