"""The content's own bash fixes, with the profile's values substituted."""

from collections.abc import Collection, Mapping

from hardpan.core.errors import InputError
from hardpan.profiles.schema.ssg import SEVERITIES, Fix
from hardpan.scanners.content.benchmark import resolve_profile
from hardpan.scanners.content.resolve_items import Item
from hardpan.scanners.content.scap_xml import XCCDF, Element, find_benchmark

BASH_FIX_SYSTEMS = ("urn:xccdf:fix:script:sh", "urn:xccdf:fix:commands")
"""Fix systems that are used; the content also has Ansible, Puppet and others."""


def collect_fixes(
    root: Element, profile_id: str, rule_ids: Collection[str], name: str
) -> tuple[Fix, ...]:
    """Return the fixes of these rules, in the benchmark's order of remediation.

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
            script=_find_script(rule.item, resolved.values, name),
        )
        for rule in resolved.rules
        if rule.item.item_id in requested
    )
    missing = requested - {f.rule_id for f in fixes}
    if missing:
        raise InputError(f"{name}: {profile_id} does not select {', '.join(sorted(missing))}")
    return fixes


def _find_script(rule: Item, values: Mapping[str, str | None], name: str) -> str:
    for fix in rule.children("fix"):
        if fix.get("system") in BASH_FIX_SYSTEMS:
            return _substitute_values(fix, values, name)
    return ""


def _substitute_values(fix: Element, values: Mapping[str, str | None], name: str) -> str:
    fragments = [fix.text or ""]
    for child in fix:
        if child.tag == XCCDF + "sub":
            value_id = child.get("idref", "")
            text = values.get(value_id)
            if text is None:
                raise InputError(
                    f"{name}: the fix {fix.get('id')} refers to the value {value_id}, "
                    "which has no value in this profile"
                )
            fragments.append(text)
        fragments.append(child.tail or "")
    return "".join(fragments).strip("\n") + "\n"
