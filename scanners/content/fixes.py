"""The content's own bash fixes, with the profile's values substituted."""

from collections.abc import Collection

from hardpan.core.errors import InputError
from hardpan.profiles.schema.ssg import SEVERITIES, Fix
from hardpan.scanners.content.benchmark import find_profile, iter_selected_rules
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
    bench = find_benchmark(root, name)
    profile_element = find_profile(bench, profile_id, name)
    values = resolve_values(bench, profile_element)
    requested = set(rule_ids)
    fixes = tuple(
        Fix(
            rule_id=rule.get("id", ""),
            severity=_read_severity(rule),
            script=_find_script(rule, values, name),
        )
        for rule in iter_selected_rules(bench, profile_element)
        if rule.get("id") in requested
    )
    missing = requested - {f.rule_id for f in fixes}
    if missing:
        raise InputError(f"{name}: {profile_id} does not select {', '.join(sorted(missing))}")
    return fixes


def resolve_values(bench: Element, profile_element: Element) -> dict[str, str]:
    """Return value id -> its value in this profile."""
    selectors = {
        r.get("idref", ""): r.get("selector", "")
        for r in profile_element.findall(XCCDF + "refine-value")
    }
    set_values = {
        s.get("idref", ""): s.text or "" for s in profile_element.findall(XCCDF + "set-value")
    }
    values_by_id = {}
    for value in bench.iter(XCCDF + "Value"):
        value_id = value.get("id", "")
        choices = {v.get("selector", ""): v.text or "" for v in value.findall(XCCDF + "value")}
        selector = selectors.get(value_id, "")
        fallback = choices.get("", next(iter(choices.values()), ""))
        values_by_id[value_id] = set_values.get(value_id, choices.get(selector, fallback))
    return values_by_id


def _read_severity(rule: Element) -> str:
    severity = rule.get("severity", "unknown")
    return severity if severity in SEVERITIES else "unknown"


def _find_script(rule: Element, values: dict[str, str], name: str) -> str:
    for fix in rule.findall(XCCDF + "fix"):
        if fix.get("system") in BASH_FIX_SYSTEMS:
            return _substitute_values(fix, values, name)
    return ""


def _substitute_values(fix: Element, values: dict[str, str], name: str) -> str:
    fragments = [fix.text or ""]
    for child in fix:
        if child.tag == XCCDF + "sub":
            value_id = child.get("idref", "")
            if value_id not in values:
                raise InputError(
                    f"{name}: the fix {fix.get('id')} refers to the unknown value {value_id}"
                )
            fragments.append(values[value_id])
        fragments.append(child.tail or "")
    return "".join(fragments).strip("\n") + "\n"
