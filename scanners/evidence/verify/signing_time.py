"""Check when the evidence was signed: its own claim, or a timestamp authority's."""

from datetime import UTC, datetime, timedelta

from hardpan.core.errors import TrustError
from hardpan.scanners.evidence.policy.model import ALLOWED_YEARS, PolicyKey
from hardpan.scanners.evidence.verify.context import VerificationContext
from hardpan.scanners.evidence.verify.verification_log import (
    CheckOutcome,
    Passed,
    Skipped,
    report_not_verified,
)
from hardpan.signing import Envelope, read_timestamp_token, verify_timestamp


def parse_time(text: str) -> datetime:
    """Parse the time in a document.

    Raises:
        TrustError: it is no valid time, or its year is not in ``ALLOWED_YEARS``.
    """
    try:
        parsed = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as e:
        raise TrustError(f"invalid time: {text}") from e
    if parsed.year not in ALLOWED_YEARS:
        raise TrustError(
            f"invalid time: {text}: expected a year from {ALLOWED_YEARS.start} "
            f"to {ALLOWED_YEARS.stop - 1}"
        )
    return parsed


def check_timestamp(context: VerificationContext) -> CheckOutcome:
    """Check the timestamp, which sets the trusted signing time.

    If the policy names no authority, there is no trusted signing time: the token must have the form
    of a token over this signature, signed by the certificate inside it, but its time proves
    nothing.

    Raises:
        TrustError: the policy requires a timestamp and there is none, or the timestamp is invalid,
            is before the scan's end, too long after it, or in the future.
    """
    envelope, trust, finished = context.envelope, context.trust, context.claim.scan.finished
    rule = trust.policy.require_timestamp
    if rule is None or trust.timestamp_authority is None:
        return _check_untrusted_timestamp(envelope)
    if not envelope.timestamp:
        raise TrustError("the policy requires a timestamp, the evidence has none")
    signing_time = verify_timestamp(
        envelope.timestamp, envelope.signature, trust.timestamp_authority
    )
    read_timestamp_token(envelope.timestamp, envelope.signature)
    skew = timedelta(seconds=trust.policy.clock_skew_s)
    scan_end, formatted = parse_time(finished), f"{signing_time:%Y-%m-%dT%H:%M:%SZ}"
    if signing_time < scan_end - skew:
        raise TrustError(f"the timestamp {formatted} is before the scan's end {finished}")
    if signing_time > scan_end + timedelta(seconds=rule.max_lag_s):
        raise TrustError(
            f"the timestamp {formatted} is more than {rule.max_lag_s} s after the scan"
        )
    if signing_time > context.verification_time + skew:
        raise TrustError(f"the timestamp {formatted} is in the future")
    context.signing_time = signing_time
    return Passed(formatted)


def _check_untrusted_timestamp(envelope: Envelope) -> CheckOutcome:
    if not envelope.timestamp:
        return Skipped("the evidence has none, and the policy names no authority")
    token = read_timestamp_token(envelope.timestamp, envelope.signature)
    token.check_embedded_signature()
    return report_not_verified(
        f"the policy names no authority; the token says {token.gen_time:%Y-%m-%dT%H:%M:%SZ}"
    )


def check_key_window(context: VerificationContext) -> CheckOutcome:
    """Check that the key of the bundle's signature was valid at signing time.

    Raises:
        TrustError: it was not.
    """
    return require_valid_key(context, context.signature.key)


def require_valid_key(context: VerificationContext, key: PolicyKey) -> Passed:
    """Check that ``key`` was valid at signing time.

    Without a timestamp only the signer states the time, and a thief of the key can state any. So
    of a compromised key only signatures with an earlier trusted timestamp are valid.

    Raises:
        TrustError: it was not.
    """
    signing_time = context.signing_time
    reference_time = signing_time or parse_time(context.claim.scan.finished)
    if not key.not_before <= reference_time <= key.not_after:
        raise TrustError(f"key {key.id!r} is not trusted for {reference_time:%Y-%m-%dT%H:%M:%SZ}")
    if key.compromised_at is None:
        return Passed("" if signing_time is None else "by trusted time")
    if signing_time is None:
        raise TrustError(
            f"key {key.id!r} is compromised, and no trusted time shows that it signed earlier"
        )
    if signing_time >= key.compromised_at:
        raise TrustError(f"key {key.id!r} was compromised when it signed")
    return Passed("before its compromise, by trusted time")


def check_policy_expiry(context: VerificationContext) -> CheckOutcome:
    """Check that the policy has not expired.

    Raises:
        TrustError: it has expired.
    """
    expires = context.policy.expires
    if expires is None:
        return Skipped("the policy has no expiry")
    if context.verification_time >= expires:
        raise TrustError(f"the policy expired on {expires:%Y-%m-%dT%H:%M:%SZ}")
    return Passed()
