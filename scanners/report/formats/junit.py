"""JUnit XML: suites of the testinfra checks, the compatibility checks and the STIG rules.

CI systems agree on little: at most one of failure, error and skipped in a test
case, and the counts in the suite. Characters that XML forbids never arrive here:
the documents are free of them.
"""

from dataclasses import dataclass

from lxml import etree

from hardpan.scanners.model.results import CheckOutcome
from hardpan.scanners.report.model.check_sections import CheckPart
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.sections import CompatibilityResultPart, RulePart
from hardpan.scanners.report.registry import Report

_TAGS = {"fail": "failure", "error": "error", "unknown": "error"}
_TAG_BY_OUTCOME: dict[CheckOutcome, str] = {
    "passed": "",
    "failed": "failure",
    "error": "error",
    "not_checked": "skipped",
    "skipped": "skipped",
}
_SKIPPED_VERDICTS = {"notapplicable", "notchecked", "informational"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _TestCase:
    classname: str
    name: str
    duration_s: float
    tag: str
    """``failure``, ``error``, ``skipped`` or empty for a pass."""

    message: str


class ChecksJunit:
    """``junit.xml``: the testinfra checks, and the compatibility checks if they ran."""

    def render(self, report: Report) -> bytes:
        """One test case per check and per conflict."""
        cases = [_build_check_case(c) for c in report.findings.checks]
        suites = [_build_suite("hardpan checks", report.findings, cases)]
        if report.findings.compatibility is not None:
            compatibility_cases = [
                _build_compatibility_case(p) for p in report.findings.compatibility.results
            ]
            suites.append(
                _build_suite("hardpan compatibility checks", report.findings, compatibility_cases)
            )
        return _serialize_suites(suites)


class RulesJunit:
    """``junit-rules.xml``: the rules; a waived failure is skipped, with its reason."""

    def render(self, report: Report) -> bytes:
        """One test case per selected rule."""
        classname = report.findings.content.profile_id.replace(" ", "_")
        cases = [_build_rule_case(r, classname) for r in report.findings.rules]
        return _serialize_suites([_build_suite(classname, report.findings, cases)])


def _build_check_case(check: CheckPart) -> _TestCase:
    rule = check.to_rule()
    tag, message = _TAG_BY_OUTCOME[check.outcome], check.message
    if rule is not None and rule.waiver is not None and rule.is_waived:
        tag, message = "skipped", f"{check.outcome}, waiver: {rule.waiver.describe()}"
    elif rule is not None and tag:
        facts = (
            f"{rule.title} ({rule.severity}; {', '.join(rule.nist)})",
            f"observed: {check.observed}" if check.observed else "",
            f"remedy: {check.remedy}",
        )
        message = "\n".join((check.message, *filter(None, facts)))
    group, _, name = check.name.rpartition("::")
    return _TestCase(
        classname=f"hardpan.{group or 'checks'}",
        name=name,
        duration_s=check.duration_s,
        tag=tag,
        message=message,
    )


def _build_rule_case(rule: RulePart, classname: str) -> _TestCase:
    tag, message = _TAGS.get(rule.verdict, ""), f"{rule.verdict}: {rule.title}"
    if rule.verdict in _SKIPPED_VERDICTS:
        tag, message = "skipped", rule.verdict
    elif tag and rule.waiver is not None and rule.is_waived:
        tag, message = "skipped", f"{rule.verdict}, waiver: {rule.waiver.describe()}"
    return _TestCase(classname=classname, name=rule.rule_id, duration_s=0, tag=tag, message=message)


def _build_compatibility_case(result: CompatibilityResultPart) -> _TestCase:
    tags = {"pass": "", "fail": "failure", "error": "error"}
    checks = (("control", result.control), ("workload", result.workload))
    check_lines = [f"{name} {check.outcome}: {check.observed}" for name, check in checks]
    tag, headline = tags.get(result.verdict, "skipped"), f"{result.verdict}: {result.reason}"
    if tag and result.waiver is not None and result.is_waived:
        tag, headline = "skipped", f"{result.verdict}, waiver: {result.waiver.describe()}"
    return _TestCase(
        classname="hardpan.compatibility",
        name=result.conflict,
        duration_s=0,
        tag=tag,
        message="\n".join([headline, *check_lines]),
    )


def _build_suite(name: str, findings: Findings, cases: list[_TestCase]) -> etree._Element:
    suite = etree.Element("testsuite", name=name, hostname=findings.host.hostname)
    suite.set("timestamp", findings.finished)
    suite.set("tests", str(len(cases)))
    for tag, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(c.tag == tag for c in cases)))
    for case in cases:
        node = etree.SubElement(suite, "testcase", classname=case.classname, name=case.name)
        node.set("time", f"{case.duration_s:.3f}")
        if case.tag:
            problem = etree.SubElement(node, case.tag)
            problem.set("message", case.message.partition("\n")[0])
            problem.text = None if case.tag == "skipped" else case.message
    return suite


def _serialize_suites(suites: list[etree._Element]) -> bytes:
    root = etree.Element("testsuites")
    root.extend(suites)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
