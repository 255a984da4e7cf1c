"""The same outcome in in-toto's vetted predicate ``test-result``, for engines that know no other.

It has three lists and no place for verdicts between them. The rule, for rules,
checks and paired checks alike:

- passed: ``pass`` and ``fixed``;
- failed: ``fail``, ``error`` and ``unknown``, waived or not: a waiver is no pass;
- warned: ``notchecked``, ``informational`` and skipped checks: nobody looked;
- in no list: ``notapplicable``: there was nothing to look at.

``result`` is FAILED when one failed, else WARNED when one is warned, else PASSED.
"""

from collections.abc import Mapping

from hardpan.errors import TrustError
from hardpan.files import canonical_json
from hardpan.scanners.report.documents import Findings, SmokeDocument

PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
_LIST = {
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


def statement(
    found: Findings, smoke: SmokeDocument | None, digests: Mapping[str, str]
) -> dict[str, object]:
    """The second statement, over the same files as the first."""
    subject = [{"name": n, "digest": {"sha256": d}} for n, d in sorted(digests.items())]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": PREDICATE_TYPE,
        "subject": subject,
        "predicate": _predicate(found, smoke),
    }


def check(
    payload: bytes, found: Findings, smoke: SmokeDocument | None, digests: Mapping[str, str]
) -> None:
    """Pass if ``payload`` says of these findings what the rule above says.

    Raises:
        TrustError: it says something else, or is about other files.
    """
    if payload != canonical_json(statement(found, smoke, digests)):
        raise TrustError("the test-result statement is not the one that the findings lead to")


def _predicate(found: Findings, smoke: SmokeDocument | None) -> dict[str, object]:
    said: list[tuple[str, str]] = [(r.rule_id, r.verdict) for r in found.rules]
    said += [(f"check {c.name}", c.outcome) for c in found.checks]
    pairs = found.paired.pairs if found.paired else ()
    said += [(f"paired {p.conflict}", p.verdict) for p in pairs]
    said += [("smoke", smoke.verdict)] if smoke else []
    lists: dict[str, list[str]] = {"passedTests": [], "warnedTests": [], "failedTests": []}
    for name, verdict in said:
        if verdict not in ("notapplicable", "not_applicable"):
            lists[_LIST.get(verdict, "failedTests")].append(name)
    worst = "FAILED" if lists["failedTests"] else "WARNED" if lists["warnedTests"] else "PASSED"
    return {"result": worst, "configuration": _configuration(found), **lists}


def _configuration(found: Findings) -> list[dict[str, object]]:
    content = found.content
    names = {"source": content.source_sha256, "derived": content.derived_sha256}
    streams: list[dict[str, object]] = [
        {"name": f"{content.name} ({kind})", "digest": {"sha256": sha256}}
        for kind, sha256 in names.items()
    ]
    return [*streams, {"name": content.profile_id, "uri": f"urn:xccdf:{content.profile_id}"}]
