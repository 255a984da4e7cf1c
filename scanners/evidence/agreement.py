"""Whether statement, bundle and documents agree. No policy and no key is needed for that.

The documents may be the evidence's own files or the compact copies that a ledger stores:
nothing that a copy leaves out is compared.
"""

from hardpan.errors import TrustError
from hardpan.scanners.evidence.archive import check_names
from hardpan.scanners.evidence.bindings import SIBLINGS, TIMESTAMP, waivers
from hardpan.scanners.evidence.bundle import PQ_ENVELOPE, UNSIGNED
from hardpan.scanners.evidence.statement import Predicate, Statement, selected_rules_sha256
from hardpan.scanners.paired.verdict import weighed
from hardpan.scanners.report.base import FORMATS
from hardpan.scanners.report.changes import Changes
from hardpan.scanners.report.documents import Findings, SmokeDocument
from hardpan.scanners.report.fields import VERDICTS
from hardpan.scanners.report.parts import ImagePart
from hardpan.signing import Envelope

CHANGES = FORMATS["changes"].file
SMOKE = FORMATS["smoke"].file


def check_timestamp_presence(statement: Statement, envelope: Envelope) -> None:
    """Pass if the bundle has a timestamp exactly where the statement promises one.

    Raises:
        TrustError: it was stripped or added.
    """
    promised = TIMESTAMP in statement.predicate.siblings
    if promised != bool(envelope.timestamp):
        said = "none, although promised" if promised else "one that was not promised"
        raise TrustError(f"the bundle's timestamp: the statement says otherwise: {said}")


def check_listing(statement: Statement) -> None:
    """Pass if the statement lists files that one archive can hold, each once.

    Raises:
        TrustError: it does not, or a sibling is of no known kind.
    """
    listed = statement.digests()
    if len(listed) != len(statement.subject):
        raise TrustError("a file is listed twice")
    check_names(sorted(listed), TrustError)
    if odd := sorted(listed.keys() & {*UNSIGNED, PQ_ENVELOPE, *SIBLINGS}):
        # NOTE: as a mere attachment it would be judged by nobody here, and by others it would.
        raise TrustError(f"{odd[0]}: is made of the statement, and cannot be listed in it")
    if odd := sorted(set(statement.predicate.siblings) - set(SIBLINGS)):
        raise TrustError(f"{ascii(odd[0])[1:-1]}: may not lie beside the statement unlisted")


def check_findings(statement: Statement, found: Findings) -> None:
    """Pass if ``found`` says what the statement says of it, every verdict counted again.

    Raises:
        TrustError: they disagree, or nothing was scanned.
    """
    claim = statement.predicate
    results = claim.results
    recounted = {v: sum(r.verdict == v for r in found.rules) for v in VERDICTS}
    ids = {r.rule_id for r in found.rules}
    waived = sum(r.is_waived for r in found.rules)
    same = {
        "a rule twice": len(ids) == len(found.rules),
        "selected": results.selected == len(found.rules),
        "counts": results.counts == recounted == found.counts,
        "counts before": results.before == found.before,
        "score": results.score == found.score,
        "waivers": results.waivers == waived and claim.waivers in (None, waivers(found)),
        "selected rules": claim.content.selected_rules_sha256 == selected_rules_sha256(found),
        "host": claim.target.host == found.host,
        "content": _content_of(claim) == found.content.model_dump(),
        "image": _image_of(claim) == found.image,
        "checks": claim.checks.counts == found.check_counts(),
        "paired checks": _paired_agrees(claim, found),
        "times": (claim.scan.started, claim.scan.finished) == (found.started, found.finished),
        "profile": claim.scan.profile == found.profile,
        "FIPS flag": _fips_agrees(found),
    }
    wrong = [name for name, holds in same.items() if not holds]
    if wrong:
        raise TrustError(f"{results.file}: disagrees with the statement: {', '.join(wrong)}")
    _check_presence(statement, found)


def check_smoke(claim: Predicate, smoke: SmokeDocument | None) -> None:
    """Pass if the smoke test's document says what the statement says of it.

    Raises:
        TrustError: they disagree, or only one of the two knows of a smoke test.
    """
    verdict = None if smoke is None else smoke.verdict
    expected = None if claim.smoke is None else claim.smoke.verdict
    if verdict != expected:
        raise TrustError(f"{SMOKE}: disagrees with the statement: verdict")


def check_changes(claim: Predicate, changes: Changes, found: Findings) -> None:
    """Pass if ``changes`` is about the statement before this one, and ends in these findings.

    What the older scan said is the signer's word: only that scan itself can show it.

    Raises:
        TrustError: it is about another statement, or disagrees with the findings.
    """
    if claim.chain is None or changes.statement_sha256 != claim.chain.previous_statement_sha256:
        raise TrustError(f"{CHANGES}: is not about the statement before this one")
    rules = {r.rule_id: (r.verdict, r.is_waived) for r in found.rules}
    told = {c.rule_id: (c.new, c.waived) for c in changes.rules}
    if len(told) != len(changes.rules) or any(
        now != rules.get(rule_id, (None, False)) for rule_id, now in told.items()
    ):
        raise TrustError(f"{CHANGES}: disagrees with the findings")


def _paired_agrees(claim: Predicate, found: Findings) -> bool:
    """Whether the statement tells of the paired checks what they are, verdicts weighed anew."""
    if claim.paired is None or found.paired is None:
        return claim.paired is None and found.paired is None
    pairs = found.paired.pairs
    return (
        claim.paired.counts == found.paired.counts()
        and len({p.conflict for p in pairs}) == len(pairs)
        and all(p.verdict == weighed(p.control.outcome, p.action.outcome) for p in pairs)
    )


def _image_of(claim: Predicate) -> ImagePart | None:
    image = claim.target.image
    if image is None:
        return None
    return ImagePart(
        name=image.name,
        sha256=image.digest.sha256,
        provenance_statement_sha256=image.provenance.sha256,
    )


def _content_of(claim: Predicate) -> dict[str, object]:
    return claim.content.model_dump(exclude={"selected_rules_sha256"})


def _fips_agrees(found: Findings) -> bool:
    """The flag is told twice, by the host and beside the certificates: never two ways."""
    said = None if found.fips is None else found.fips.kernel_fips_flag
    return said in (None, "unknown") or (said == "on") == found.host.fips_kernel_flag


def _check_presence(statement: Statement, found: Findings) -> None:
    claim, listed = statement.predicate, statement.digests()
    if not found.rules:
        raise TrustError("no rule was selected: nothing was scanned")
    if found.counts["notapplicable"] == len(found.rules):
        raise TrustError("every rule is notapplicable: the content does not fit the host")
    expected = (claim.results.file, *claim.results.arf, claim.checks.file)
    missing = [n for n in expected if n not in listed]
    if missing or not claim.results.arf:
        raise TrustError(f"{missing[0] if missing else 'the ARF'}: is missing from the evidence")
