"""What a verified statement claims, checked against the policy.

A check returns its outcome, and raises ``TrustError`` where the claim does not hold.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from hardpan.errors import TrustError
from hardpan.media_types import DISK_IMAGES
from hardpan.scanners.evidence.bundle import PROVENANCE
from hardpan.scanners.evidence.checks import (
    CheckOutcome,
    Exceeded,
    Passed,
    Skipped,
    not_verified,
)
from hardpan.scanners.evidence.moments import key_window, moment
from hardpan.scanners.evidence.policy import Key, Policy
from hardpan.scanners.evidence.sources import Source, not_stored
from hardpan.scanners.evidence.statement import BuiltFile, Image, Predicate, read_provenance
from hardpan.scanners.evidence.trust import Trust
from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.fields import HOST_KEY_TRUST, KNOWN_HOST_KEY
from hardpan.signing import read_bundle

_MAX_PROVENANCE_BYTES = 12 << 20

Judge = Callable[[Predicate, Policy, Key, datetime], CheckOutcome]


def provenance(source: Source, claim: Predicate, trust: Trust, at: datetime | None) -> CheckOutcome:
    """What vouches for the image. The scan's timestamp ``at`` covers it: it is a subject.

    Raises:
        TrustError: the provenance is missing although asked for, by no build
            key, another statement than the one named, or about another image, which files of the
            build that are no disk image are, too.
    """
    image = claim.target.image
    rule = trust.policy.image
    if image is None:
        if rule.require_provenance or rule.sha256:
            raise TrustError("the policy wants a known image, the statement names none")
        return Skipped("the host was not booted from a known image, and the policy allows it")
    if rule.sha256 and image.digest.sha256 not in rule.sha256:
        raise TrustError(f"image sha256:{image.digest.sha256} is not one that the policy names")
    bundle = source.proof(PROVENANCE, max_bytes=_MAX_PROVENANCE_BYTES)
    if bundle is None:
        return not_stored(PROVENANCE, required=rule.require_provenance)
    envelope = read_bundle(bundle, what=PROVENANCE)
    if envelope.payload_sha256 != image.provenance.sha256:
        raise TrustError("the attached provenance is not the one that the statement names")
    keys = {public: key for key, public in trust.role("build")}
    if not keys and not rule.require_provenance:
        _check_is_image(image, read_provenance(envelope.unverified))
        return not_verified("the policy names no key of role build for the image's provenance")
    payload, public = envelope.opened(*keys)
    key_window(claim.scan.finished, keys[public], at)
    built = _check_is_image(image, read_provenance(payload))
    return Passed(f"image {built.name}, key {keys[public].id!r}")


def _check_is_image(image: Image, subjects: tuple[BuiltFile, ...]) -> BuiltFile:
    """The disk image among ``subjects`` that ``image`` is, by digest and kind.

    What the statement calls it decides nothing, but it may not be the name of another one.

    Raises:
        TrustError: there is none.
    """
    problem = f"the provenance is not about image sha256:{image.digest.sha256}"
    same = [s for s in subjects if s.digest.sha256 == image.digest.sha256]
    disks = [s for s in same if s.kind in DISK_IMAGES]
    if same and not disks:
        raise TrustError(f"{problem}: that is {same[0].name}, which is no disk image")
    if not disks:
        raise TrustError(problem)
    fitting = [s for s in disks if s.kind == image.media_type]
    if not fitting:
        raise TrustError(f"{problem}: expected {image.media_type}, found {disks[0].kind}")
    if any(s.name == image.name and s not in same for s in subjects):
        raise TrustError(f"{problem}: {image.name} is another file there")
    return fitting[0]


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


def _host_key(claim: Predicate, policy: Policy, _key: Key, _now: datetime) -> CheckOutcome:
    how = claim.target.host.host_key_trust
    said = HOST_KEY_TRUST[how]
    if not policy.target.require_known_host_key:
        return Skipped(f"{said}; the policy allows it")
    if how not in KNOWN_HOST_KEY:
        raise TrustError(f"the policy wants a host key that was known before the scan: {said}")
    return Passed(said)


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
    "host-key": _host_key,
    "content": _content,
}
"""Check id -> its judge."""

FRESHNESS = frozenset({"age", "nonce", "sequence"})
"""What only the newest scan can meet: it is not asked of a scan of the past."""
