"""What a verified statement claims, held against its files and the policy.

A check returns its outcome, and raises ``TrustError`` where the claim does not hold.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from hardpan.errors import TrustError
from hardpan.scanners.evidence.archive import Archive
from hardpan.scanners.evidence.bindings import waivers
from hardpan.scanners.evidence.bundle import PROVENANCE
from hardpan.scanners.evidence.checks import CheckOutcome, Exceeded, Passed, Skipped
from hardpan.scanners.evidence.moments import key_window, moment
from hardpan.scanners.evidence.policy import Key, Policy
from hardpan.scanners.evidence.statement import (
    Predicate,
    problems,
    read_provenance,
    selected_rules_sha256,
)
from hardpan.scanners.evidence.trust import Trust
from hardpan.scanners.paired.verdict import weighed
from hardpan.scanners.report.base import FORMATS
from hardpan.scanners.report.changes import Changes
from hardpan.scanners.report.documents import Findings, SmokeDocument
from hardpan.scanners.report.fields import VERDICTS
from hardpan.signing import MalformedError, parse_json, read_bundle

_MAX_DOCUMENT_BYTES = 64 << 20
_MAX_PROVENANCE_BYTES = 12 << 20
_Model = TypeVar("_Model", bound=BaseModel)

Judge = Callable[[Predicate, Policy, Key, datetime], CheckOutcome]


def read_findings(archive: Archive, claim: Predicate) -> Findings:
    """The findings, in agreement with the statement.

    Raises:
        TrustError: they are malformed or disagree.
    """
    results = claim.results
    found = _document(archive, results.file, Findings)
    recounted = {v: sum(r.verdict == v for r in found.rules) for v in VERDICTS}
    ids = {r.rule_id for r in found.rules}
    waived = sum(r.is_waived for r in found.rules)
    image = claim.target.image
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
        "image": (image and image.digest.sha256) == (found.image and found.image.sha256),
        "checks": claim.checks.counts == found.check_counts(),
        "paired checks": _paired_agrees(claim, found),
        "times": (claim.scan.started, claim.scan.finished) == (found.started, found.finished),
        "profile": claim.scan.profile == found.profile,
        "FIPS flag": _fips_agrees(found),
    }
    wrong = [name for name, holds in same.items() if not holds]
    if wrong:
        raise TrustError(f"{results.file}: disagrees with the statement: {', '.join(wrong)}")
    _check_presence(archive, claim, found)
    return found


def read_smoke(archive: Archive, claim: Predicate) -> SmokeDocument | None:
    """The smoke test's document, in agreement with the statement; None where none ran.

    Raises:
        TrustError: it is malformed or disagrees.
    """
    if claim.smoke is None:
        return None
    found = _document(archive, claim.smoke.file, SmokeDocument)
    if found.verdict != claim.smoke.verdict:
        raise TrustError(f"{claim.smoke.file}: disagrees with the statement: verdict")
    return found


def read_changes(archive: Archive, claim: Predicate, found: Findings) -> Changes | None:
    """What changed since the statement before this one; None where nobody compared.

    What the older scan said is the signer's word: only that scan itself can show it.

    Raises:
        TrustError: it is malformed, about another statement, or disagrees with the findings.
    """
    name = FORMATS["changes"].file
    if name not in archive.entries:
        return None
    made = _document(archive, name, Changes)
    if claim.chain is None or made.statement_sha256 != claim.chain.previous_statement_sha256:
        raise TrustError(f"{name}: is not about the statement before this one")
    rules = {r.rule_id: (r.verdict, r.is_waived) for r in found.rules}
    told = {c.rule_id: (c.new, c.waived) for c in made.rules}
    if len(told) != len(made.rules) or any(
        now != rules.get(rule_id, (None, False)) for rule_id, now in told.items()
    ):
        raise TrustError(f"{name}: disagrees with the findings")
    return made


def provenance(
    archive: Archive, claim: Predicate, trust: Trust, at: datetime | None
) -> CheckOutcome:
    """What vouches for the image. The scan's timestamp ``at`` covers it: it is a subject.

    Raises:
        TrustError: the provenance is missing although asked for, by no build
            key, another statement than the one named, or about another image.
    """
    image = claim.target.image
    rule = trust.policy.image
    if image is None:
        if rule.require_provenance or rule.sha256:
            raise TrustError("the policy wants a known image, the statement names none")
        return Skipped("the host was not booted from a known image, and the policy allows it")
    if rule.sha256 and image.digest.sha256 not in rule.sha256:
        raise TrustError(f"image sha256:{image.digest.sha256} is not one that the policy names")
    bundle = archive.read(PROVENANCE, max_bytes=_MAX_PROVENANCE_BYTES)
    envelope = read_bundle(bundle, what=PROVENANCE)
    if envelope.payload_sha256 != image.provenance.sha256:
        raise TrustError("the attached provenance is not the one that the statement names")
    keys = {public: key for key, public in trust.role("build")}
    if not keys and not rule.require_provenance:
        return Skipped("the policy names no key for builds and does not ask for provenance")
    payload, public = envelope.opened(*keys)
    key_window(claim.scan.finished, keys[public], at)
    if image.digest.sha256 not in read_provenance(payload).values():
        raise TrustError(f"the provenance is not about image sha256:{image.digest.sha256}")
    return Passed(f"image {image.name}, key {keys[public].id!r}")


def limits(found: Findings, policy: Policy) -> CheckOutcome:
    """Whether counts and score are within the policy's limits."""
    if over := _over_limits(found, policy):
        return Exceeded("; ".join(over))
    if not any(
        (policy.max_counts, policy.max_open, policy.max_paired, policy.min_score is not None)
    ):
        return Skipped("the policy sets no limits")
    return Passed()


def _over_limits(found: Findings, policy: Policy) -> list[str]:
    """What exceeds the policy's limits, in words."""
    opened = found.open_by_severity()
    limits = [(str(v), found.counts[v], most) for v, most in policy.max_counts.items()]
    limits += [(f"open {s}", opened[s], most) for s, most in policy.max_open.items()]
    over = [f"{name}: {n}, at most {most}" for name, n, most in limits if n > most]
    over += _paired_over(found, policy)
    if policy.min_score is not None and float(found.score) < policy.min_score:
        over.append(f"score: {found.score}, at least {policy.min_score:g}")
    return over


def _paired_over(found: Findings, policy: Policy) -> list[str]:
    if not policy.max_paired:
        return []
    if found.paired is None:
        return ["paired checks: none ran, the policy limits them"]
    counts = found.paired.counts()
    limits = [(name, counts[name], most) for name, most in policy.max_paired.items()]
    return [f"paired {name}: {n}, at most {most}" for name, n, most in limits if n > most]


def _time(claim: Predicate, policy: Policy, _key: Key, now: datetime) -> CheckOutcome:
    started, finished = moment(claim.scan.started), moment(claim.scan.finished)
    if finished < started:
        raise TrustError("the scan ends before it begins")
    if finished > now + timedelta(seconds=policy.clock_skew_s):
        raise TrustError(f"the scan ends in the future: {claim.scan.finished}")
    return Passed(f"{claim.scan.started} to {claim.scan.finished}")


def _age(claim: Predicate, policy: Policy, _key: Key, now: datetime) -> CheckOutcome:
    if policy.max_age_hours is None:
        return Skipped("the policy sets no greatest age")
    age = now - moment(claim.scan.finished)
    if age > timedelta(hours=policy.max_age_hours):
        raise TrustError(f"the scan is {age} old, the policy takes {policy.max_age_hours} hours")
    return Passed()


def _nonce(claim: Predicate, policy: Policy, _key: Key, _now: datetime) -> CheckOutcome:
    if policy.nonce is None:
        return Skipped("the policy asks for none")
    if claim.scan.nonce != policy.nonce:
        raise TrustError("the statement does not hold the policy's nonce")
    return Passed()


def _sequence(claim: Predicate, policy: Policy, _key: Key, _now: datetime) -> CheckOutcome:
    if policy.after is None:
        return Skipped("the policy names no statement before this one")
    expected = (policy.after.sequence + 1, policy.after.statement_sha256)
    if claim.chain is None:
        raise TrustError("the policy wants a place in a row, the statement has none")
    found = (claim.chain.sequence, claim.chain.previous_statement_sha256)
    if found[0] != expected[0]:
        raise TrustError(f"expected statement {expected[0]} of the host, found {found[0]}")
    if found[1] != expected[1]:
        raise TrustError(f"statement {found[0]} follows on another one than the policy names")
    return Passed(f"statement {found[0]} of the host")


def _target(claim: Predicate, policy: Policy, _key: Key, _now: datetime) -> CheckOutcome:
    host, rule = claim.target.host, policy.target
    if rule.host_keys and host.host_key_sha256 not in rule.host_keys:
        raise TrustError(f"host key {host.host_key_sha256} is not one that the policy names")
    if rule.machine_ids and host.machine_id_hmac not in rule.machine_ids:
        raise TrustError("the machine id is not one that the policy names")
    if rule.product_uuids and host.product_uuid_sha256 not in rule.product_uuids:
        raise TrustError("the product UUID is not one that the policy names: a clone?")
    if not (rule.host_keys or rule.machine_ids or rule.product_uuids):
        return Skipped("the policy names no hosts")
    return Passed(f"host key {host.host_key_sha256}")


def _content(claim: Predicate, policy: Policy, _key: Key, _now: datetime) -> CheckOutcome:
    content, rule = claim.content, policy.content
    found = (
        ("source", content.source_sha256, rule.source_sha256),
        ("derived data stream", content.derived_sha256, rule.derived_sha256),
        ("profile", content.profile_id, rule.profile_ids),
    )
    for name, value, allowed in found:
        if allowed and value not in allowed:
            raise TrustError(f"{name} {value} is not one that the policy names")
    if not any(allowed for _, _, allowed in found):
        return Skipped("the policy names no content")
    return Passed(f"{content.name} {content.version}, {content.profile_id}")


CLAIMS: dict[str, Judge] = {
    "time": _time,
    "age": _age,
    "nonce": _nonce,
    "sequence": _sequence,
    "target": _target,
    "content": _content,
}
"""Check id -> its judge."""


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


def _content_of(claim: Predicate) -> dict[str, object]:
    return claim.content.model_dump(exclude={"selected_rules_sha256"})


def _fips_agrees(found: Findings) -> bool:
    """The flag is told twice, by the host and beside the certificates: never two ways."""
    said = None if found.fips is None else found.fips.kernel_fips_flag
    return said in (None, "unknown") or (said == "on") == found.host.fips_kernel_flag


def _check_presence(archive: Archive, claim: Predicate, found: Findings) -> None:
    if not found.rules:
        raise TrustError("no rule was selected: nothing was scanned")
    if found.counts["notapplicable"] == len(found.rules):
        raise TrustError("every rule is notapplicable: the content does not fit the host")
    missing = [n for n in (*claim.results.arf, claim.checks.file) if n not in archive.entries]
    if missing or not claim.results.arf:
        raise TrustError(f"{missing[0] if missing else 'the ARF'}: is missing from the evidence")


def _document(archive: Archive, name: str, model: type[_Model]) -> _Model:
    data = archive.read(name, max_bytes=_MAX_DOCUMENT_BYTES)
    try:
        return model.model_validate(parse_json(data, what=name, max_bytes=_MAX_DOCUMENT_BYTES))
    except ValidationError as e:
        raise MalformedError(f"{name}: {problems(e)}") from e
