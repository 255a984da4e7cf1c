"""Build the in-toto ``test-result`` statement, for engines that know no other predicate.

It has three lists and no place for verdicts between them. The rule, for rules,
checks and compatibility checks alike:

- passed: ``pass`` and ``fixed``;
- failed: ``fail``, ``error`` and ``unknown``, waived or not: a waiver is no pass;
- warned: ``notchecked``, ``informational`` and skipped checks: not evaluated;
- in no list: ``notapplicable``: there was nothing to look at.

``result`` is FAILED when one failed, else WARNED when one is warned, else PASSED.
"""

from collections.abc import Mapping

from hardpan.core.errors import TrustError
from hardpan.core.files import canonical_json
from hardpan.scanners.report.model.documents import Findings, SmokeDocument

PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
_LIST_BY_VERDICT = {
    "pass": "passedTests",
    "passed": "passedTests",
    "fixed": "passedTests",
    "fail": "failedTests",
    "failed": "failedTests",
    "error": "failedTests",
    "unknown": "failedTests",
    "notchecked": "warnedTests",
    "not_checked": "warnedTests",
    "informational": "warnedTests",
    "skipped": "warnedTests",
}


def build_statement(
    findings: Findings, smoke: SmokeDocument | None, digests: Mapping[str, str]
) -> dict[str, object]:
    """The second statement, over the same files as the first."""
    subject = [{"name": n, "digest": {"sha256": d}} for n, d in sorted(digests.items())]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": PREDICATE_TYPE,
        "subject": subject,
        "predicate": _build_predicate(findings, smoke),
    }


def check_statement(
    payload: bytes, findings: Findings, smoke: SmokeDocument | None, digests: Mapping[str, str]
) -> None:
    """Pass if ``payload`` is the test-result statement of these findings.

    Raises:
        TrustError: it says something else, or is about other files.
    """
    if payload != canonical_json(build_statement(findings, smoke, digests)):
        raise TrustError("the test-result statement is not the one that the findings lead to")


def _build_predicate(findings: Findings, smoke: SmokeDocument | None) -> dict[str, object]:
    verdict_by_test: list[tuple[str, str]] = [(r.rule_id, r.verdict) for r in findings.rules]
    verdict_by_test += [(f"check {c.name}", c.outcome) for c in findings.checks]
    results = findings.compatibility.results if findings.compatibility else ()
    verdict_by_test += [(f"compatibility {p.conflict}", p.verdict) for p in results]
    verdict_by_test += [("smoke", smoke.verdict)] if smoke else []
    lists: dict[str, list[str]] = {"passedTests": [], "warnedTests": [], "failedTests": []}
    for name, verdict in verdict_by_test:
        if verdict not in ("notapplicable", "not_applicable"):
            lists[_LIST_BY_VERDICT.get(verdict, "failedTests")].append(name)
    result = "FAILED" if lists["failedTests"] else "WARNED" if lists["warnedTests"] else "PASSED"
    return {"result": result, "configuration": _build_configuration(findings), **lists}


def _build_configuration(findings: Findings) -> list[dict[str, object]]:
    content = findings.content
    names = {"source": content.source_sha256, "derived": content.derived_sha256}
    streams: list[dict[str, object]] = [
        {"name": f"{content.name} ({kind})", "digest": {"sha256": sha256}}
        for kind, sha256 in names.items()
    ]
    return [*streams, {"name": content.profile_id, "uri": f"urn:xccdf:{content.profile_id}"}]
