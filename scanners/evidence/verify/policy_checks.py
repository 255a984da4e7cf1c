"""Check time, chain position, host and content of a verified statement against the policy."""

from datetime import timedelta

from hardpan.core.errors import TrustError
from hardpan.scanners.evidence.verify.context import VerificationContext
from hardpan.scanners.evidence.verify.signing_time import parse_time
from hardpan.scanners.evidence.verify.verification_log import CheckOutcome, Passed, Skipped
from hardpan.scanners.report.model.content_sections import describe_changes
from hardpan.scanners.report.model.types import HOST_KEY_TRUST_TEXT, TRUSTED_BEFORE_CONNECT


def check_time(context: VerificationContext) -> CheckOutcome:
    """Check that the scan's times are in order and not in the future.

    Raises:
        TrustError: they are not.
    """
    claim, policy = context.claim, context.policy
    started, finished = parse_time(claim.scan.started), parse_time(claim.scan.finished)
    if finished < started:
        raise TrustError("the scan ends before it begins")
    if finished > context.verification_time + timedelta(seconds=policy.clock_skew_s):
        raise TrustError(f"the scan ends in the future: {claim.scan.finished}")
    return Passed(f"{claim.scan.started} to {claim.scan.finished}")


def check_age(context: VerificationContext) -> CheckOutcome:
    """Check that the scan is not older than the policy allows.

    Raises:
        TrustError: it is.
    """
    claim, policy = context.claim, context.policy
    if policy.max_age_hours is None:
        return Skipped("the policy sets no maximum age")
    age = context.verification_time - parse_time(claim.scan.finished)
    if age > timedelta(hours=policy.max_age_hours):
        raise TrustError(f"the scan is {age} old, the policy allows {policy.max_age_hours} hours")
    return Passed()


def check_nonce(context: VerificationContext) -> CheckOutcome:
    """Check that the statement contains the policy's nonce.

    Raises:
        TrustError: it does not.
    """
    claim, policy = context.claim, context.policy
    if policy.nonce is None:
        return Skipped("the policy requires none")
    if claim.scan.nonce != policy.nonce:
        raise TrustError("the statement does not contain the policy's nonce")
    return Passed()


def check_chain_position(context: VerificationContext) -> CheckOutcome:
    """Check that the statement follows the previous statement that the policy names.

    Raises:
        TrustError: it has no chain position, or another one.
    """
    claim, policy = context.claim, context.policy
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


def check_target(context: VerificationContext) -> CheckOutcome:
    """Check that the policy lists the scanned host.

    Raises:
        TrustError: host key, machine id or product UUID is not listed.
    """
    claim, policy = context.claim, context.policy
    host, rule = claim.target.host, policy.target
    if rule.host_keys and host.host_key_sha256 not in rule.host_keys:
        raise TrustError(f"{host.describe_identity()} is not listed in the policy")
    if rule.machine_ids and host.machine_id_hmac not in rule.machine_ids:
        raise TrustError("the machine id is not listed in the policy")
    if rule.product_uuids and host.product_uuid_sha256 not in rule.product_uuids:
        raise TrustError("the product UUID is not listed in the policy (possible clone)")
    if not (rule.host_keys or rule.machine_ids or rule.product_uuids):
        return Skipped("the policy names no hosts")
    return Passed(host.describe_identity())


def check_host_key(context: VerificationContext) -> CheckOutcome:
    """Check that the scanner knew the host key before it connected.

    Raises:
        TrustError: it did not, and the policy requires it.
    """
    claim, policy = context.claim, context.policy
    host = claim.target.host
    description = HOST_KEY_TRUST_TEXT[host.host_key_trust]
    if not policy.target.require_verified_host_key:
        return Skipped(f"{description}; the policy allows it")
    if not host.host_key_sha256:
        raise TrustError("the policy requires a host key that was known before: the host has none")
    if host.host_key_trust not in TRUSTED_BEFORE_CONNECT:
        raise TrustError(
            f"the policy requires a host key that was known before the scan: {description}"
        )
    return Passed(description)


def check_content(context: VerificationContext) -> CheckOutcome:
    """Check that the policy allows the SCAP content and the profile.

    Raises:
        TrustError: a digest or the profile is not listed.
    """
    claim, policy = context.claim, context.policy
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


def check_tailoring(context: VerificationContext) -> CheckOutcome:
    """Check that the policy allows the tailoring of the profile.

    Raises:
        TrustError: the content is tailored, and the policy refuses it or does not list its digest.
    """
    tailoring, rule = context.claim.content.tailoring, context.policy.content
    if tailoring is None:
        return Passed("the profile is not tailored")
    changes = describe_changes(tailoring.unselected, tailoring.selected, tailoring.settings)
    description = f"{tailoring.file} sha256 {tailoring.sha256}: {changes}"
    if tailoring.sha256 in rule.tailoring_sha256 and not rule.require_untailored:
        return Passed(description)
    if rule.require_untailored:
        raise TrustError(f"the policy requires untailored content: {description}")
    if rule.tailoring_sha256 or rule.profile_ids:
        raise TrustError(f"the tailoring is not listed in the policy: {description}")
    return Skipped(f"the policy allows any tailoring: {description}")
