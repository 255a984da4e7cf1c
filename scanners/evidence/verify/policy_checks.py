"""The checks of a verified statement against the policy.

A check returns its outcome and raises ``TrustError`` if it fails.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from hardpan.core.errors import TrustError
from hardpan.core.media_types import DISK_IMAGES
from hardpan.scanners.evidence.file_names import PROVENANCE
from hardpan.scanners.evidence.policy.model import PolicyKey, TrustPolicy
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy
from hardpan.scanners.evidence.statement.model import (
    BootImage,
    Predicate,
    ProvenanceSubject,
    read_provenance_subjects,
)
from hardpan.scanners.evidence.verify.signing_time import check_key_validity, parse_time
from hardpan.scanners.evidence.verify.sources import EvidenceSource, report_not_stored
from hardpan.scanners.evidence.verify.verification_log import (
    CheckOutcome,
    Exceeded,
    Passed,
    Skipped,
    report_not_verified,
)
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.types import HOST_KEY_TRUST_TEXT, TRUSTED_BEFORE_CONNECT
from hardpan.signing import read_bundle

_MAX_PROVENANCE_BYTES = 12 << 20

PolicyCheck = Callable[[Predicate, TrustPolicy, PolicyKey, datetime], CheckOutcome]


def check_provenance(
    source: EvidenceSource, claim: Predicate, trust: ResolvedPolicy, signing_time: datetime | None
) -> CheckOutcome:
    """Check the provenance of the image, a subject that the scan's timestamp covers.

    Raises:
        TrustError: the provenance is missing although asked for, by no build
            key, another statement than the one named, or about another image, which files of the
            build that are no disk image are, too.
    """
    image = claim.target.image
    rule = trust.policy.image
    if image is None:
        if rule.require_provenance or rule.sha256:
            raise TrustError("the policy requires a known image, the statement names none")
        return Skipped("the host was not booted from a known image, and the policy allows it")
    if rule.sha256 and image.digest.sha256 not in rule.sha256:
        raise TrustError(f"image sha256:{image.digest.sha256} is not listed in the policy")
    bundle = source.read_signature_file(PROVENANCE, max_bytes=_MAX_PROVENANCE_BYTES)
    if bundle is None:
        return report_not_stored(PROVENANCE, required=rule.require_provenance)
    envelope = read_bundle(bundle, label=PROVENANCE)
    if envelope.payload_sha256 != image.provenance.sha256:
        raise TrustError("the attached provenance does not match the digest in the statement")
    keys = {public: key for key, public in trust.keys_for_role("build")}
    if not keys and not rule.require_provenance:
        _find_image_subject(image, read_provenance_subjects(envelope.unverified_payload))
        return report_not_verified(
            "the policy names no key of role build for the image's provenance"
        )
    payload, public = envelope.verify(*keys)
    check_key_validity(claim.scan.finished, keys[public], signing_time)
    built = _find_image_subject(image, read_provenance_subjects(payload))
    return Passed(f"image {built.name}, key {keys[public].id!r}")


def _find_image_subject(
    image: BootImage, subjects: tuple[ProvenanceSubject, ...]
) -> ProvenanceSubject:
    """The disk image among ``subjects`` that ``image`` is, by digest and kind.

    What the statement calls it decides nothing, but it may not be the name of another one.

    Raises:
        TrustError: there is none.
    """
    problem = f"the provenance does not cover image sha256:{image.digest.sha256}"
    same_digest = [s for s in subjects if s.digest.sha256 == image.digest.sha256]
    disks = [s for s in same_digest if s.effective_media_type in DISK_IMAGES]
    if same_digest and not disks:
        raise TrustError(f"{problem}: that is {same_digest[0].name}, which is not a disk image")
    if not disks:
        raise TrustError(problem)
    matching_disks = [s for s in disks if s.effective_media_type == image.media_type]
    if not matching_disks:
        raise TrustError(
            f"{problem}: expected {image.media_type}, got {disks[0].effective_media_type}"
        )
    if any(s.name == image.name and s not in same_digest for s in subjects):
        raise TrustError(f"{problem}: {image.name} has another digest there")
    return matching_disks[0]


def check_thresholds(findings: Findings, policy: TrustPolicy) -> CheckOutcome:
    """Check that counts and score are within the policy's thresholds."""
    if exceeded := _find_exceeded(findings, policy):
        return Exceeded("; ".join(exceeded))
    if not any(
        (policy.max_counts, policy.max_open, policy.max_compatibility, policy.min_score is not None)
    ):
        return Skipped("the policy sets no thresholds")
    return Passed()


def _find_exceeded(findings: Findings, policy: TrustPolicy) -> list[str]:
    """Describe each exceeded threshold."""
    open_counts = findings.count_open_by_severity()
    thresholds = [(str(v), findings.counts[v], maximum) for v, maximum in policy.max_counts.items()]
    thresholds += [(f"open {s}", open_counts[s], maximum) for s, maximum in policy.max_open.items()]
    exceeded = [f"{name}: {n}, at most {maximum}" for name, n, maximum in thresholds if n > maximum]
    exceeded += _find_exceeded_compatibility(findings, policy)
    if policy.min_score is not None and float(findings.score) < policy.min_score:
        exceeded.append(f"score: {findings.score}, at least {policy.min_score:g}")
    return exceeded


def _find_exceeded_compatibility(findings: Findings, policy: TrustPolicy) -> list[str]:
    if not policy.max_compatibility:
        return []
    if findings.compatibility is None:
        return ["compatibility checks: none ran, the policy limits them"]
    counts = findings.compatibility.count_verdicts()
    thresholds = [
        (name, counts[name], maximum) for name, maximum in policy.max_compatibility.items()
    ]
    return [
        f"compatibility {name}: {n}, at most {maximum}"
        for name, n, maximum in thresholds
        if n > maximum
    ]


def _check_time(
    claim: Predicate, policy: TrustPolicy, _key: PolicyKey, now: datetime
) -> CheckOutcome:
    started, finished = parse_time(claim.scan.started), parse_time(claim.scan.finished)
    if finished < started:
        raise TrustError("the scan ends before it begins")
    if finished > now + timedelta(seconds=policy.clock_skew_s):
        raise TrustError(f"the scan ends in the future: {claim.scan.finished}")
    return Passed(f"{claim.scan.started} to {claim.scan.finished}")


def _check_age(
    claim: Predicate, policy: TrustPolicy, _key: PolicyKey, now: datetime
) -> CheckOutcome:
    if policy.max_age_hours is None:
        return Skipped("the policy sets no maximum age")
    age = now - parse_time(claim.scan.finished)
    if age > timedelta(hours=policy.max_age_hours):
        raise TrustError(f"the scan is {age} old, the policy allows {policy.max_age_hours} hours")
    return Passed()


def _check_nonce(
    claim: Predicate, policy: TrustPolicy, _key: PolicyKey, _now: datetime
) -> CheckOutcome:
    if policy.nonce is None:
        return Skipped("the policy requires none")
    if claim.scan.nonce != policy.nonce:
        raise TrustError("the statement does not contain the policy's nonce")
    return Passed()


def _check_chain_position(
    claim: Predicate, policy: TrustPolicy, _key: PolicyKey, _now: datetime
) -> CheckOutcome:
    if policy.previous_statement is None:
        return Skipped("the policy names no previous statement")
    expected = (policy.previous_statement.sequence + 1, policy.previous_statement.statement_sha256)
    if claim.chain is None:
        raise TrustError("the policy requires a chain position, the statement has none")
    actual = (claim.chain.sequence, claim.chain.previous_statement_sha256)
    if actual[0] != expected[0]:
        raise TrustError(f"expected statement {expected[0]} of the host, got {actual[0]}")
    if actual[1] != expected[1]:
        raise TrustError(f"statement {actual[0]} follows another statement than the policy names")
    return Passed(f"statement {actual[0]} of the host")


def _check_target(
    claim: Predicate, policy: TrustPolicy, _key: PolicyKey, _now: datetime
) -> CheckOutcome:
    host, rule = claim.target.host, policy.target
    if rule.host_keys and host.host_key_sha256 not in rule.host_keys:
        raise TrustError(f"host key {host.host_key_sha256} is not listed in the policy")
    if rule.machine_ids and host.machine_id_hmac not in rule.machine_ids:
        raise TrustError("the machine id is not listed in the policy")
    if rule.product_uuids and host.product_uuid_sha256 not in rule.product_uuids:
        raise TrustError("the product UUID is not listed in the policy (possible clone)")
    if not (rule.host_keys or rule.machine_ids or rule.product_uuids):
        return Skipped("the policy names no hosts")
    return Passed(f"host key {host.host_key_sha256}")


def _check_host_key(
    claim: Predicate, policy: TrustPolicy, _key: PolicyKey, _now: datetime
) -> CheckOutcome:
    trust_kind = claim.target.host.host_key_trust
    description = HOST_KEY_TRUST_TEXT[trust_kind]
    if not policy.target.require_verified_host_key:
        return Skipped(f"{description}; the policy allows it")
    if trust_kind not in TRUSTED_BEFORE_CONNECT:
        raise TrustError(
            f"the policy requires a host key that was known before the scan: {description}"
        )
    return Passed(description)


def _check_content(
    claim: Predicate, policy: TrustPolicy, _key: PolicyKey, _now: datetime
) -> CheckOutcome:
    content, rule = claim.content, policy.content
    values = (
        ("source", content.source_sha256, rule.source_sha256),
        ("derived data stream", content.derived_sha256, rule.derived_sha256),
        ("profile", content.profile_id, rule.profile_ids),
    )
    for name, value, allowed in values:
        if allowed and value not in allowed:
            raise TrustError(f"{name} {value} is not listed in the policy")
    if not any(allowed for _, _, allowed in values):
        return Skipped("the policy names no content")
    return Passed(f"{content.name} {content.version}, {content.profile_id}")


POLICY_CHECKS: dict[str, PolicyCheck] = {
    "time": _check_time,
    "age": _check_age,
    "nonce": _check_nonce,
    "chain-position": _check_chain_position,
    "target": _check_target,
    "host-key": _check_host_key,
    "content": _check_content,
}
"""Check id -> function, in the order in which they run."""

FRESHNESS_CHECKS = frozenset({"age", "nonce", "chain-position"})
"""Checks that apply to the newest scan only."""
