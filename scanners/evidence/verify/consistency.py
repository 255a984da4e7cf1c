"""Whether statement, bundle and documents agree. No policy and no key is needed for that.

The documents are the evidence's files or the compact copies that a ledger stores:
nothing that a copy leaves out is compared.
"""

from hardpan.core.errors import TrustError
from hardpan.scanners.compatibility.outcomes import combine_outcomes
from hardpan.scanners.evidence.archive import check_names
from hardpan.scanners.evidence.file_names import (
    COMPANION_FILES,
    PQ_ENVELOPE,
    TIMESTAMP,
    UNSIGNED_FILES,
)
from hardpan.scanners.evidence.statement.model import (
    Predicate,
    Statement,
    hash_selected_rules,
)
from hardpan.scanners.evidence.statement.predicate_extensions import summarize_waivers
from hardpan.scanners.evidence.verify.tailoring_record import is_tailoring_consistent
from hardpan.scanners.evidence.verify.waiver_records import are_waivers_consistent
from hardpan.scanners.model.results import CHECK_PREFIX
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.scanners.report.model.scan_changes import ScanChanges
from hardpan.scanners.report.model.scores import count_covered, count_passed, format_share
from hardpan.scanners.report.model.sections import ImagePart
from hardpan.scanners.report.model.types import VERDICTS
from hardpan.scanners.report.registry import FORMATS
from hardpan.signing import Envelope

CHANGES = FORMATS["changes"].filename
SMOKE = FORMATS["smoke"].filename


def check_timestamp_presence(statement: Statement, envelope: Envelope) -> None:
    """Pass if the bundle has a timestamp exactly when the statement expects one.

    Raises:
        TrustError: it was stripped or added.
    """
    is_expected = TIMESTAMP in statement.predicate.companion_files
    if is_expected != bool(envelope.timestamp):
        problem = "missing although expected" if is_expected else "present although not expected"
        raise TrustError(f"the bundle's timestamp does not match the statement: {problem}")


def check_subjects(statement: Statement) -> None:
    """Pass if the statement lists files that one archive can hold, each once.

    Raises:
        TrustError: it does not, or a companion file is of an unknown kind.
    """
    listed = statement.list_digests()
    if len(listed) != len(statement.subject):
        raise TrustError("a file is listed twice")
    check_names(sorted(listed), TrustError)
    if unexpected := sorted(listed.keys() & {*UNSIGNED_FILES, PQ_ENVELOPE, *COMPANION_FILES}):
        # NOTE: as a mere attachment it would be checked by other tools, but not here.
        raise TrustError(
            f"{unexpected[0]}: is derived from the statement and cannot be listed in it"
        )
    if unexpected := sorted(set(statement.predicate.companion_files) - set(COMPANION_FILES)):
        raise TrustError(f"{ascii(unexpected[0])[1:-1]}: is not an allowed companion file")


def check_findings(statement: Statement, findings: Findings) -> None:
    """Pass if ``found`` says what the statement says of it, every verdict counted again.

    Raises:
        TrustError: they disagree, or nothing was scanned.
    """
    claim = statement.predicate
    results = claim.results
    recounted = {v: sum(r.verdict == v for r in findings.rules) for v in VERDICTS}
    ids = {r.rule_id for r in findings.rules}
    waived = sum(r.is_waived for r in findings.rules)
    comparisons = {
        "duplicate rules": len(ids) == len(findings.rules),
        "selected": results.selected == len(findings.rules),
        "counts": results.counts == recounted == findings.counts,
        "baseline counts": results.baseline_counts == findings.baseline_counts,
        "score": results.score == findings.score,
        "waivers": results.waivers == waived
        and claim.waivers in (None, summarize_waivers(findings)),
        "waiver records": are_waivers_consistent(findings),
        "selected rules": claim.content.selected_rules_sha256 == hash_selected_rules(findings),
        "host": claim.target.host == findings.host,
        "content": _dump_content(claim) == findings.content.model_dump(exclude={"tailoring"}),
        "tailoring": is_tailoring_consistent(statement, findings),
        "image": _build_image_part(claim) == findings.image,
        "duplicate checks": _are_checks_unique(findings),
        "checks": claim.checks.counts == findings.count_checks_by_outcome(),
        "compatibility checks": _compatibility_agrees(claim, findings),
        "times": (claim.scan.started, claim.scan.finished) == (findings.started, findings.finished),
        "profile": claim.scan.profile == findings.profile,
        "FIPS flag": _is_fips_flag_consistent(findings),
        "pass ratio": findings.pass_ratio == format_share(*count_passed(findings.rules)),
        "coverage": findings.coverage == format_share(*count_covered(findings.rules)),
    }
    mismatches = [name for name, is_equal in comparisons.items() if not is_equal]
    if mismatches:
        raise TrustError(f"{results.file}: disagrees with the statement: {', '.join(mismatches)}")
    _check_presence(statement, findings)


def check_smoke(claim: Predicate, smoke: SmokeDocument | None) -> None:
    """Pass if the smoke test's document says what the statement says of it.

    Raises:
        TrustError: they disagree, or only one of the two knows of a smoke test.
    """
    verdict = None if smoke is None else smoke.verdict
    expected = None if claim.smoke is None else claim.smoke.verdict
    if verdict != expected:
        raise TrustError(f"{SMOKE}: disagrees with the statement: verdict")


def check_changes(claim: Predicate, changes: ScanChanges, findings: Findings) -> None:
    """Pass if ``changes`` is about the statement before this one, and ends in these findings.

    The signer asserts what the older scan found; only that scan's own evidence proves it.

    Raises:
        TrustError: it is about another statement, or disagrees with the findings.
    """
    if claim.chain is None or changes.statement_sha256 != claim.chain.previous_statement_sha256:
        raise TrustError(f"{CHANGES}: does not refer to the previous statement")
    rules = {r.rule_id: (r.verdict, r.is_waived) for r in findings.rules}
    changed_rules = {c.rule_id: (c.current, c.waived) for c in changes.rules}
    if len(changed_rules) != len(changes.rules) or any(
        current != rules.get(rule_id, (None, False)) for rule_id, current in changed_rules.items()
    ):
        raise TrustError(f"{CHANGES}: disagrees with the findings")


def _are_checks_unique(findings: Findings) -> bool:
    """Return whether each check has an id of hardpan's registry, and no other check has it."""
    ids = [rule.rule_id for rule in findings.check_rules]
    return len(set(ids)) == len(ids) and all(i.startswith(CHECK_PREFIX) for i in ids)


def _compatibility_agrees(claim: Predicate, findings: Findings) -> bool:
    """Whether the statement agrees on the compatibility checks, with verdicts recomputed."""
    if claim.compatibility is None or findings.compatibility is None:
        return claim.compatibility is None and findings.compatibility is None
    results = findings.compatibility.results
    return (
        claim.compatibility.counts == findings.compatibility.count_verdicts()
        and len({p.conflict for p in results}) == len(results)
        and all(
            p.verdict == combine_outcomes(p.control.outcome, p.workload.outcome) for p in results
        )
    )


def _build_image_part(claim: Predicate) -> ImagePart | None:
    image = claim.target.image
    if image is None:
        return None
    return ImagePart(
        name=image.name,
        sha256=image.digest.sha256,
        provenance_statement_sha256=image.provenance.sha256,
    )


def _dump_content(claim: Predicate) -> dict[str, object]:
    return claim.content.model_dump(exclude={"selected_rules_sha256", "tailoring"})


def _is_fips_flag_consistent(findings: Findings) -> bool:
    """Return whether the host's FIPS flag equals the one next to the certificates."""
    reported_flag = None if findings.fips is None else findings.fips.kernel_fips_flag
    return (
        reported_flag in (None, "unknown")
        or (reported_flag == "on") == findings.host.fips_kernel_flag
    )


def _check_presence(statement: Statement, findings: Findings) -> None:
    claim, listed = statement.predicate, statement.list_digests()
    if not findings.rules:
        raise TrustError("no rule was selected: nothing was scanned")
    if findings.counts["notapplicable"] == len(findings.rules):
        raise TrustError("every rule is notapplicable: the content does not fit the host")
    expected = (claim.results.file, *claim.results.arf, claim.checks.file)
    missing = [n for n in expected if n not in listed]
    # OpenSCAP may have failed completely; then every rule is an error.
    if not claim.results.arf and findings.counts["error"] < len(findings.rules):
        missing.append("the ARF")
    if missing:
        raise TrustError(f"{missing[0]}: is missing from the evidence")
