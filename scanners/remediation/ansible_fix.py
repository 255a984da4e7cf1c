"""Turn upstream's Ansible fix of a rule into tasks with the profile's values.

A fix is YAML text with values of the profile in it. The values are inserted after the text was
parsed, so that none of them can add a task, and none is a template. Aliases, tags of other types
and deep nesting are refused before nodes are built, as in ``core.yaml_source``, which reads YAML
that people write: it knows no list of tasks, and no strings in block style.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import yaml

from hardpan.core.errors import InputError
from hardpan.scanners.content.fixes import ContentFix, require_text
from hardpan.scanners.remediation.control_machine import find_local_actions

_MAX_FIX_CHARACTERS = 1 << 20
_MAX_DEPTH = 24
_MAX_VALUES = 50_000
_STANDARD_TAG = "tag:yaml.org,2002:"
_TAGS = frozenset(_STANDARD_TAG + t for t in ("str", "int", "float", "bool", "null", "seq", "map"))
_TEMPLATE = re.compile(r"\{[{%#]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:()+-]{0,99}", re.ASCII)
_COLLECTION_MODULE = re.compile(r"([a-z0-9_]+\.[a-z0-9_]+)\.[a-z0-9_]+", re.ASCII)
_FACTS = ("package_facts", "ansible.builtin.package_facts")
_SET_FACT = ("set_fact", "ansible.builtin.set_fact")
_PACKAGE_MODULES = frozenset(
    prefix + name
    for prefix in ("", "ansible.builtin.")
    for name in ("package", "dnf", "dnf5", "yum", "apt")
)
_PACKAGE_COMMAND = re.compile(
    r"\b(?:dnf5?|microdnf|yum|apt|apt-get|zypper|rpm|dpkg)\b.*"
    r"(?:\b(?:install|remove|erase|purge|upgrade)\b|\s-[ieUFP])",
    re.ASCII | re.DOTALL,
)
"""Text of a command that may change which packages are installed."""

_MOVED_MODULES = {
    **dict.fromkeys(("firewalld", "mount", "seboolean", "selinux", "sysctl"), "ansible.posix"),
    **dict.fromkeys(("alternatives", "ini_file", "modprobe", "pamd"), "community.general"),
}
"""Short name in older content -> collection (ansible-core's ``ansible_builtin_runtime.yml``)."""

Fields = dict[str, yaml.Node]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsibleTasks:
    """The tasks of one rule."""

    tasks: tuple[yaml.Node, ...]
    variables: Mapping[str, yaml.Node]
    """Variable -> its value, which upstream sets with a task."""

    tags: tuple[str, ...]
    """Tags that upstream has on the tasks; they are removed from these."""

    needs_package_facts: bool
    """True if its conditions may read the packages; the task that gathers them is removed."""

    may_change_packages: bool
    collections: frozenset[str]
    """Collections that it needs in addition to ansible-core, e.g. ``community.general``."""


def parse_ansible_fix(fix: ContentFix) -> AnsibleTasks:
    """Parse a fix, and insert the values.

    Raises:
        InputError: it is no list of tasks, or a value is missing or is a template.
    """
    values, text = _insert_placeholders(fix)
    nodes = _compose(text, fix)
    tasks: list[yaml.Node] = []
    variables: Fields = {}
    tags: dict[str, None] = {}
    needs_facts = False
    for node in nodes:
        for action in find_local_actions(node):
            raise InputError(
                f"the fix {fix.fix_id}: expected tasks for the host, got {action[:80]!a}, which "
                "works on the control machine"
            )
        _insert_values(node, values, text)
        fields = _read_fields(node, fix)
        if _is_only(fields, _FACTS):
            needs_facts = True
        elif promoted := _read_promoted(fields):
            variables.update(promoted)
        else:
            tasks.append(_without_tags(node))
        tags.update(dict.fromkeys(t for t in _read_tags(fields) if t not in ("always", "never")))
    _require_loadable((*tasks, *variables.values()), fix)
    modules = {key for task in tasks for key in _iter_keys(task)}
    matches = (_COLLECTION_MODULE.fullmatch(m) for m in modules)
    collections = {m[1] for m in matches if m} | {_MOVED_MODULES.get(m, "") for m in modules}
    return AnsibleTasks(
        tasks=tuple(tasks),
        variables=variables,
        tags=tuple(t for t in tags if _TAG.fullmatch(t)),
        needs_package_facts=needs_facts,
        may_change_packages=not modules.isdisjoint(_PACKAGE_MODULES)
        or any(_PACKAGE_COMMAND.search(s.value) for task in tasks for s in _iter_scalars(task)),
        collections=frozenset(collections - {"ansible.builtin", ""}),
    )


def _insert_placeholders(fix: ContentFix) -> tuple[dict[str, str], str]:
    """Return placeholder -> value, and the text with placeholders, which occur nowhere else."""
    literal = "".join(part for part in fix.parts if isinstance(part, str))
    key = hashlib.sha256(literal.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    values: dict[str, str] = {}
    texts: list[str] = []
    for part in fix.parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        value = require_text(fix, part)
        if _TEMPLATE.search(value):
            raise InputError(f"the value {part.value_id} is a template: expected plain text")
        placeholder = f"hardpan{key}n{len(values)}z"
        values[placeholder] = value
        texts.append(placeholder)
    text = "".join(texts)
    if len(text) > _MAX_FIX_CHARACTERS:
        raise InputError(f"the fix {fix.fix_id} is longer than {_MAX_FIX_CHARACTERS} characters")
    return values, text


def _compose(text: str, fix: ContentFix) -> list[yaml.Node]:
    try:
        _require_simple(text)
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as e:
        raise InputError(f"the fix {fix.fix_id} is not YAML") from e
    except ValueError as e:
        raise InputError(f"the fix {fix.fix_id}: {e}") from e
    if not isinstance(root, yaml.SequenceNode) or not root.value:
        raise InputError(f"the fix {fix.fix_id}: expected a list of tasks")
    return list(root.value)


def _require_loadable(nodes: Iterable[yaml.Node], fix: ContentFix) -> None:
    """Pass if a YAML reader accepts the nodes: one that it refuses makes a playbook useless."""
    try:
        for node in nodes:
            yaml.load(yaml.serialize(node, Dumper=yaml.CSafeDumper), yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as e:
        raise InputError(f"the fix {fix.fix_id} has a value that is not plain YAML") from e


def _require_simple(text: str) -> None:
    """Pass if the events of a document are those of plain data.

    Raises:
        ValueError: they are not.
        yaml.YAMLError: it is not YAML.
    """
    depth = count = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ValueError("expected no aliases")
        tag = getattr(event, "tag", None)
        if tag and tag not in _TAGS:
            raise ValueError("expected no tags of other types")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        count += isinstance(event, yaml.NodeEvent)
        if depth > _MAX_DEPTH or count > _MAX_VALUES:
            raise ValueError("it has too many or too deeply nested values")


def _insert_values(node: yaml.Node, values: Mapping[str, str], source: str) -> None:
    for scalar in _iter_scalars(node):
        text = scalar.value
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        if text == scalar.value:
            continue
        scalar.value = text
        has_tag = source.startswith("!", scalar.start_mark.index)
        if not scalar.style and not has_tag:
            # The placeholder was text: the value may be a number or a boolean.
            tag = _resolve_tag(text)
            scalar.tag = tag if tag in _TAGS else _STANDARD_TAG + "str"


def _resolve_tag(text: str) -> str:
    resolver = yaml.resolver.Resolver()
    return str(resolver.resolve(yaml.ScalarNode, text, (True, False)))  # type: ignore[no-untyped-call]


def _iter_scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _iter_scalars(child)
    elif isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            yield from _iter_scalars(key)
            yield from _iter_scalars(child)


def _read_fields(task: yaml.Node, fix: ContentFix) -> Fields:
    if not isinstance(task, yaml.MappingNode):
        raise InputError(f"the fix {fix.fix_id}: expected a list of tasks")
    fields = {key.value: value for key, value in task.value if isinstance(key, yaml.ScalarNode)}
    if len(fields) != len(task.value):
        raise InputError(f"the fix {fix.fix_id}: a task has a key twice, or one that is no text")
    return fields


def _is_only(fields: Fields, modules: tuple[str, ...]) -> bool:
    """True for a task without conditions that calls one of the modules."""
    return any(m in fields for m in modules) and fields.keys() <= {"name", "tags", *modules}


def _read_promoted(fields: Fields) -> Fields:
    """Return the variables of a task that upstream marks as ``promote to variable``."""
    module = next((m for m in _SET_FACT if m in fields), "")
    name = fields.get("name")
    is_promoted = isinstance(name, yaml.ScalarNode) and name.value.startswith("XCCDF Value ")
    if not module or not is_promoted or not _is_only(fields, _SET_FACT):
        return {}
    facts = fields[module]
    if not isinstance(facts, yaml.MappingNode):
        return {}
    named = {key.value: value for key, value in facts.value if isinstance(key, yaml.ScalarNode)}
    is_simple = all(_VARIABLE.fullmatch(n) for n in named) and all(
        isinstance(value, yaml.ScalarNode) for value in named.values()
    )
    return named if is_simple else {}


def _read_tags(fields: Fields) -> list[str]:
    node = fields.get("tags")
    if isinstance(node, yaml.ScalarNode):
        return [t.strip() for t in node.value.split(",")]
    if isinstance(node, yaml.SequenceNode):
        return [t.value for t in node.value if isinstance(t, yaml.ScalarNode)]
    return []


def _without_tags(task: yaml.Node) -> yaml.Node:
    pairs = [(k, v) for k, v in task.value if k.value != "tags"]
    task.value = pairs
    return task


def _iter_keys(node: yaml.Node) -> Iterator[str]:
    """Yield the keys of tasks, those in blocks included."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value)
            if key.value in ("block", "rescue", "always") and isinstance(value, yaml.SequenceNode):
                for task in value.value:
                    yield from _iter_keys(task)
