"""JUnit XML: a suite of the testinfra checks, one of the paired checks, one of the STIG rules.

CI systems agree on little: at most one of failure, error and skipped in a test
case, and the counts in the suite. Characters that XML forbids never arrive here:
the documents are free of them.
"""

from dataclasses import dataclass

from lxml import etree

from hardpan.scanners.report.base import Report
from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.parts import PairPart, Rule

_TAGS = {"fail": "failure", "error": "error", "unknown": "error"}
_NO_ANSWER = {"notapplicable", "notchecked", "informational"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    classname: str
    name: str
    took_s: float
    tag: str
    """``failure``, ``error``, ``skipped`` or empty for a pass."""

    message: str


class ChecksJunit:
    """``junit.xml``: the testinfra checks, and the paired checks where they ran."""

    def render(self, report: Report) -> bytes:
        """One test case per check and per conflict."""
        tags = {"passed": "", "failed": "failure", "error": "error", "skipped": "skipped"}
        cases = [
            _Case(
                classname=f"hardpan.{c.name.partition('::')[0]}",
                name=c.name.partition("::")[2] or c.name,
                took_s=c.took_s,
                tag=tags[c.outcome],
                message=c.message,
            )
            for c in report.findings.checks
        ]
        suites = [_suite("hardpan checks", report.findings, cases)]
        if report.findings.paired is not None:
            pairs = [_pair_case(p) for p in report.findings.paired.pairs]
            suites.append(_suite("hardpan paired checks", report.findings, pairs))
        return _document(suites)


class RulesJunit:
    """``junit-rules.xml``: the rules; a waived failure is skipped, with its reason."""

    def render(self, report: Report) -> bytes:
        """One test case per selected rule."""
        classname = report.findings.content.profile_id.replace(" ", "_")
        cases = [_rule_case(r, classname) for r in report.findings.rules]
        return _document([_suite(classname, report.findings, cases)])


def _rule_case(rule: Rule, classname: str) -> _Case:
    tag, message = _TAGS.get(rule.verdict, ""), f"{rule.verdict}: {rule.title}"
    if rule.verdict in _NO_ANSWER:
        tag, message = "skipped", rule.verdict
    elif tag and rule.waiver is not None and rule.is_waived:
        tag, message = "skipped", f"{rule.verdict}, waiver: {rule.waiver.said()}"
    return _Case(classname=classname, name=rule.rule_id, took_s=0, tag=tag, message=message)


def _pair_case(pair: PairPart) -> _Case:
    tags = {"pass": "", "fail": "failure", "error": "error"}
    halves = (("control", pair.control), ("action", pair.action))
    found = [f"{name} {half.outcome}: {half.found}" for name, half in halves]
    tag, first = tags.get(pair.verdict, "skipped"), f"{pair.verdict}: {pair.reason}"
    if tag and pair.waiver is not None and pair.is_waived:
        tag, first = "skipped", f"{pair.verdict}, waiver: {pair.waiver.said()}"
    return _Case(
        classname="hardpan.paired",
        name=pair.conflict,
        took_s=0,
        tag=tag,
        message="\n".join([first, *found]),
    )


def _suite(name: str, findings: Findings, cases: list[_Case]) -> etree._Element:
    suite = etree.Element("testsuite", name=name, hostname=findings.host.hostname)
    suite.set("timestamp", findings.finished)
    suite.set("tests", str(len(cases)))
    for tag, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(c.tag == tag for c in cases)))
    for case in cases:
        node = etree.SubElement(suite, "testcase", classname=case.classname, name=case.name)
        node.set("time", f"{case.took_s:.3f}")
        if case.tag:
            problem = etree.SubElement(node, case.tag)
            problem.set("message", case.message.partition("\n")[0])
            problem.text = None if case.tag == "skipped" else case.message
    return suite


def _document(suites: list[etree._Element]) -> bytes:
    root = etree.Element("testsuites")
    root.extend(suites)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
