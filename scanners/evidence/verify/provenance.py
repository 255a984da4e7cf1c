"""Check the provenance of the image that the host was booted from."""

import json

from hardpan.core.errors import TrustError
from hardpan.core.limits import MAX_EVIDENCE_BUNDLE_BYTES
from hardpan.core.media_types import DISK_IMAGES
from hardpan.scanners.evidence.file_names import PROVENANCE
from hardpan.scanners.evidence.statement.model import (
    BootImage,
    ProvenanceSubject,
    read_provenance_subjects,
)
from hardpan.scanners.evidence.verify.context import VerificationContext
from hardpan.scanners.evidence.verify.signing_time import require_valid_key
from hardpan.scanners.evidence.verify.sources import report_not_stored
from hardpan.scanners.evidence.verify.verification_log import (
    CheckOutcome,
    Passed,
    Skipped,
    report_not_verified,
)
from hardpan.signing import read_bundle


def check_provenance(context: VerificationContext) -> CheckOutcome:
    """Check the provenance of the image, a subject that the scan's timestamp covers.

    Raises:
        TrustError: the provenance is missing although the policy requires it, is signed by no
            build key, is another statement than the named one, or does not cover the image as a
            disk image.
    """
    source, claim, trust = context.source, context.claim, context.trust
    image = claim.target.image
    rule = trust.policy.image
    if image is None:
        if rule.require_provenance or rule.sha256:
            raise TrustError("the policy requires a known image, the statement names none")
        return Skipped("the host was not booted from a known image, and the policy allows it")
    if rule.sha256 and image.digest.sha256 not in rule.sha256:
        raise TrustError(f"image sha256:{image.digest.sha256} is not listed in the policy")
    bundle = source.read_signature_file(PROVENANCE, max_bytes=MAX_EVIDENCE_BUNDLE_BYTES)
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
    require_valid_key(context, keys[public])
    built = _find_image_subject(image, read_provenance_subjects(payload))
    audits = _describe_wheel_audits(payload)
    return Passed(f"image {built.name}, key {keys[public].id!r}{audits}")


def _find_image_subject(
    image: BootImage, subjects: tuple[ProvenanceSubject, ...]
) -> ProvenanceSubject:
    """Find the disk image among ``subjects`` that has the digest and media type of ``image``.

    The name in the statement identifies nothing, but it may not be the name of another subject.

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


def _describe_wheel_audits(payload: bytes) -> str:
    """Return how many findings the audits of the image's Python stacks have; empty without one."""
    try:
        details = json.loads(payload).get("predicate", {}).get("runDetails", {})
        counts = [
            byproduct["annotations"]
            for byproduct in details.get("byproducts", ())
            if byproduct["name"].startswith("wheel-audit:")
        ]
        high_count = sum(int(count["high"]) for count in counts)
        total = sum(int(number) for count in counts for number in count.values())
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise TrustError(f"provenance: byproducts: malformed: {e!r}") from e
    if not counts:
        return ""
    return f"; wheel audit: {total} findings, {high_count} of severity high"
