"""The content's own fixes, and their text as bash with the profile's values.

Upstream's fixes exist as bash and as Ansible tasks, with attributes that say what applying them
means. Source: XCCDF 1.2 (NISTIR 7275r4), section 6.4.4.4, tables 19 and 20.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from hardpan.core.errors import InputError
from hardpan.profiles.schema.ssg import SEVERITIES, Fix
from hardpan.scanners.content.benchmark import resolve_profile
from hardpan.scanners.content.resolve import ResolvedProfile, ResolvedRule, read_requires
from hardpan.scanners.content.resolve_items import Item, read_boolean
from hardpan.scanners.content.scap_xml import XCCDF, Element, element_text, find_benchmark

BASH_FIX_SYSTEMS = ("urn:xccdf:fix:script:sh", "urn:xccdf:fix:commands")
_ANSIBLE_FIX_SYSTEMS = ("urn:xccdf:fix:script:ansible",)

_ASSIGNMENT = re.compile(r"[ \t]*(?:(?:export|local|readonly) )?[A-Za-z_]\w*='", re.ASCII)
"""Start of a line in which a value follows as a word in single quotes, as upstream's fixes do."""

_QUOTED_WORD = re.compile(r"[^\"'\\`]*\"")
"""Start of a line in which a value follows in double quotes."""

_SPECIAL_IN_QUOTES = re.compile(r"[\"$`\\]")
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_./:@%+,=-]+", re.ASCII)
"""Values that are the same for a shell in any quotes, or without."""


class FixKind(StrEnum):
    """Language of a fix."""

    ANSIBLE = "ansible"
    BASH = "bash"


_SYSTEMS = {FixKind.BASH: BASH_FIX_SYSTEMS, FixKind.ANSIBLE: _ANSIBLE_FIX_SYSTEMS}


@dataclass(frozen=True, slots=True, kw_only=True)
class FixValue:
    """A value of the profile in a fix (``sub``)."""

    value_id: str
    text: str | None
    """None if oscap cannot resolve it."""

    is_declared: bool
    """True if the benchmark itself has this value: as the default, or for a selector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFix:
    """One fix of a rule, and what the content says about applying it."""

    fix_id: str
    parts: tuple[str | FixValue, ...]
    """Text and values, in the order in which they follow each other."""

    complexity: str
    """``low``, ``medium``, ``high`` or ``unknown``."""

    disruption: str
    """``low``, ``medium``, ``high`` or ``unknown``: how much it disturbs the running system."""

    strategy: str
    """``configure``, ``restrict``, ``enable``, … or ``unknown``."""

    needs_reboot: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFixes:
    """A rule of the profile with its fixes."""

    rule_id: str
    group: str
    """Title of the innermost group; empty for a rule in no group."""

    requires: tuple[tuple[str, ...], ...]
    """Ids of rules or groups; of each tuple one must be selected."""

    fixes: Mapping[FixKind, ContentFix]


def read_rule_fixes(bench: Element, profile_id: str, name: str) -> tuple[RuleFixes, ...]:
    """Return every rule of a profile with its fixes, in the benchmark's order of remediation.

    Raises:
        InputError: there is no such profile, or oscap would refuse it.
    """
    resolved = resolve_profile(bench, profile_id, name)
    return tuple(_read_fixes(rule, resolved) for rule in resolved.rules)


def render_bash_fix(fix: ContentFix) -> str:
    """Return a fix in bash with its values, as ``oscap xccdf generate fix`` inserts them.

    A value that is in quotes cannot end them, or run a command in them: such characters of values
    that the benchmark does not have itself are escaped, and single quotes of all values.

    Raises:
        InputError: a value is missing, or would be more than text where the fix has it.
    """
    texts: list[str] = []
    for number, part in enumerate(fix.parts):
        if isinstance(part, str):
            texts.append(part)
        else:
            line = "".join(texts).rpartition("\n")[2]
            following = next((p for p in fix.parts[number + 1 :] if isinstance(p, str)), "")
            texts.append(_quote_value(fix, part, line, following))
    return "".join(texts).strip("\n") + "\n"


def require_text(fix: ContentFix, value: FixValue) -> str:
    """Return the text of a value.

    Raises:
        InputError: the profile has none for it.
    """
    if value.text is None:
        raise InputError(
            f"the fix {fix.fix_id} refers to the value {value.value_id}, "
            "which has no value in this profile"
        )
    return value.text


def collect_fixes(
    root: Element, profile_id: str, rule_ids: Collection[str], name: str
) -> tuple[Fix, ...]:
    """Return the fixes in bash of these rules, in the benchmark's order of remediation.

    ``root`` is the data stream before tailoring, which removes fixes.

    Raises:
        InputError: the profile does not select a rule, or a fix refers to a value that the
            benchmark does not have.
    """
    resolved = resolve_profile(find_benchmark(root, name), profile_id, name)
    requested = set(rule_ids)
    fixes = tuple(
        Fix(
            rule_id=rule.item.item_id,
            severity=rule.severity if rule.severity in SEVERITIES else "unknown",
            script=_render_script(rule, resolved, name),
        )
        for rule in resolved.rules
        if rule.item.item_id in requested
    )
    missing = requested - {f.rule_id for f in fixes}
    if missing:
        raise InputError(f"{name}: {profile_id} does not select {', '.join(sorted(missing))}")
    return fixes


def _render_script(rule: ResolvedRule, resolved: ResolvedProfile, name: str) -> str:
    fix = _read_fixes(rule, resolved).fixes.get(FixKind.BASH)
    if fix is None:
        return ""
    try:
        return render_bash_fix(fix)
    except InputError as e:
        raise InputError(f"{name}: {e}") from e


def _read_fixes(rule: ResolvedRule, resolved: ResolvedProfile) -> RuleFixes:
    fixes: dict[FixKind, ContentFix] = {}
    for element in rule.item.children("fix"):
        for kind, systems in _SYSTEMS.items():
            if element.get("system") in systems and kind not in fixes:
                fixes[kind] = _read_fix(element, resolved)
    return RuleFixes(
        rule_id=rule.item.item_id,
        group=_read_group_title(rule.item.element),
        requires=read_requires(rule.item),
        fixes=fixes,
    )


def _read_fix(element: Element, resolved: ResolvedProfile) -> ContentFix:
    return ContentFix(
        fix_id=element.get("id", ""),
        parts=tuple(_read_parts(element, resolved)),
        complexity=element.get("complexity", "unknown"),
        disruption=element.get("disruption", "unknown"),
        strategy=element.get("strategy", "unknown"),
        needs_reboot=read_boolean(element.get("reboot")),
    )


def _read_parts(element: Element, resolved: ResolvedProfile) -> Iterator[str | FixValue]:
    yield element.text or ""
    for child in element:
        if child.tag == XCCDF + "sub":
            value_id = child.get("idref", "")
            text = resolved.values.get(value_id)
            yield FixValue(
                value_id=value_id,
                text=text,
                is_declared=text in _list_declared_texts(resolved.items.get(value_id)),
            )
        yield child.tail or ""


def _list_declared_texts(item: Item | None) -> tuple[str | None, ...]:
    return () if item is None else tuple(value.text for value in item.children("value"))


def _read_group_title(rule: Element) -> str:
    group = next(rule.iterancestors(XCCDF + "Group"), None)
    return "" if group is None else element_text(group.find(XCCDF + "title"))


def _quote_value(fix: ContentFix, value: FixValue, line: str, following: str) -> str:
    """Return the text of a value for its place in a script; ``line`` is what precedes it."""
    text = require_text(fix, value)
    if _ASSIGNMENT.fullmatch(line) and following.startswith("'"):
        return text.replace("'", "'\\''")
    if value.is_declared or _PLAIN_VALUE.fullmatch(text):
        return text  # a part of upstream's script, or harmless
    if _QUOTED_WORD.fullmatch(line) and following.startswith('"'):
        return _SPECIAL_IN_QUOTES.sub(r"\\\g<0>", text)
    raise InputError(
        f"the fix {fix.fix_id} has the value {value.value_id} where a shell would interpret it: "
        "expected one of the content's own values, or letters, digits and ./:@%+,=_-"
    )
