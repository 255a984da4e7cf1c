"""Refuse Ansible tasks that would run something on the machine that runs the playbook.

A fix is for the scanned host. Upstream's fixes use nothing that is refused here; other content
that does is not what a reader of a remediation expects. This is no sandbox: a playbook is as
trusted as the content that its fixes are from.
"""

import re
from collections.abc import Iterator

import yaml

_KEYWORDS = frozenset(
    ("connection", "delegate_facts", "delegate_to", "local_action", "vars_files", "roles")
)
_MODULES = frozenset(
    (
        *("add_host", "fetch", "group_by", "include", "meta", "script", "template"),
        *("import_playbook", "import_role", "import_tasks"),
        *("include_role", "include_tasks", "include_vars"),
    )
)
_LOOPS = frozenset(
    f"with_{name}"
    for name in (
        *("dict", "fileglob", "flattened", "indexed_items", "items", "list", "nested"),
        *("sequence", "subelements", "together"),
    )
)
_LOOKUP = re.compile(r"\b(?:lookup|query|q)\s*\(", re.ASCII)
_HARMLESS_LOOKUP = re.compile(
    r"""\blookup\((["'])env\1, (["'])container\2\)"""
    r"""|\b(?:lookup|query|q)\((["'])(?:ansible\.builtin\.)?"""
    r"""(?:dict|items|list|nested|subelements|together)\3"""
)
"""Upstream's: whether Ansible runs in a container that builds an image, and loops over data."""


def find_local_actions(node: yaml.Node) -> Iterator[str]:
    """Yield what a task, or a task in its blocks, would do on the control machine."""
    if isinstance(node, yaml.ScalarNode):
        if _LOOKUP.search(_HARMLESS_LOOKUP.sub("", node.value)):
            yield "a lookup"
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from find_local_actions(child)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _check_key(str(key.value))
            yield from find_local_actions(value)


def _check_key(key: str) -> Iterator[str]:
    name = key.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")
    is_loop = key.startswith("with_") and key not in _LOOPS
    # A variable such as ansible_connection changes where a task runs.
    if name in _KEYWORDS | _MODULES or is_loop or key.startswith("ansible_"):
        yield key
