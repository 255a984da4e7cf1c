"""The content's own bash fixes, with the profile's values filled in."""

from collections.abc import Collection
from dataclasses import dataclass

from hardpan.errors import InputError
from hardpan.scanners.content.benchmark import profile, selected
from hardpan.scanners.content.xml import XCCDF, Element, benchmark

BASH = ("urn:xccdf:fix:script:sh", "urn:xccdf:fix:commands")
"""Systems of the fixes that are used; the content also has Ansible, Puppet and others."""

_SEVERITIES = ("high", "medium", "low")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One rule's fix."""

    rule_id: str
    severity: str
    script: str
    """Bash; empty when the content has none."""


def remedies(
    root: Element, profile_id: str, rule_ids: Collection[str], name: str
) -> tuple[Fix, ...]:
    """The fixes of these rules, in the benchmark's own order of remediation.

    ``root`` is the data stream before slimming, which takes fixes away.

    Raises:
        InputError: a rule is not among those that the profile selects, or a fix
            asks for a value that the benchmark does not have.
    """
    bench = benchmark(root, name)
    chosen = profile(bench, profile_id, name)
    values = resolved(bench, chosen)
    wanted = set(rule_ids)
    found = tuple(
        Fix(
            rule_id=rule.get("id", ""),
            severity=_severity(rule),
            script=_script(rule, values, name),
        )
        for rule in selected(bench, chosen)
        if rule.get("id") in wanted
    )
    missing = wanted - {f.rule_id for f in found}
    if missing:
        raise InputError(f"{name}: {profile_id} does not select {', '.join(sorted(missing))}")
    return found


def resolved(bench: Element, chosen: Element) -> dict[str, str]:
    """Value id -> what it is in this profile."""
    selectors = {
        r.get("idref", ""): r.get("selector", "") for r in chosen.findall(XCCDF + "refine-value")
    }
    typed = {s.get("idref", ""): s.text or "" for s in chosen.findall(XCCDF + "set-value")}
    found = {}
    for value in bench.iter(XCCDF + "Value"):
        value_id = value.get("id", "")
        choices = {v.get("selector", ""): v.text or "" for v in value.findall(XCCDF + "value")}
        wanted = selectors.get(value_id, "")
        fallback = choices.get("", next(iter(choices.values()), ""))
        found[value_id] = typed.get(value_id, choices.get(wanted, fallback))
    return found


def _severity(rule: Element) -> str:
    severity = rule.get("severity", "unknown")
    return severity if severity in _SEVERITIES else "unknown"


def _script(rule: Element, values: dict[str, str], name: str) -> str:
    for fix in rule.findall(XCCDF + "fix"):
        if fix.get("system") in BASH:
            return _filled(fix, values, name)
    return ""


def _filled(fix: Element, values: dict[str, str], name: str) -> str:
    said = [fix.text or ""]
    for child in fix:
        if child.tag == XCCDF + "sub":
            value_id = child.get("idref", "")
            if value_id not in values:
                raise InputError(f"{name}: the fix {fix.get('id')} asks for {value_id}")
            said.append(values[value_id])
        said.append(child.tail or "")
    return "".join(said).strip("\n") + "\n"
