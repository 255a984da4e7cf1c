"""When the evidence was signed: by its own word, or by a timestamp authority's."""

from datetime import UTC, datetime, timedelta

from hardpan.errors import TrustError
from hardpan.scanners.evidence.checks import CheckOutcome, Passed, Skipped, not_verified
from hardpan.scanners.evidence.policy import YEARS, Key, Policy
from hardpan.scanners.evidence.trust import Trust
from hardpan.signing import Envelope, read_token, trusted_time


def moment(text: str) -> datetime:
    """The moment that a document names.

    Raises:
        TrustError: there is no such moment, or a policy's limits cannot be added to it.
    """
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as e:
        raise TrustError(f"not a moment in time: {text}") from e
    if moment.year not in YEARS:
        raise TrustError(
            f"not a moment in time: {text}: expected a year from {YEARS.start} to {YEARS.stop - 1}"
        )
    return moment


def stamped(
    envelope: Envelope, finished: str, trust: Trust, now: datetime
) -> tuple[datetime | None, CheckOutcome]:
    """When the policy's authority saw the signature, and how the check ends.

    None where the policy names no authority: then a token has the form of one over this signature,
    signed by the certificate inside it, and its time is not to be relied on.

    Raises:
        TrustError: the policy wants a timestamp and there is none, it does not
            hold, or it is from before the scan, too long after it, or to come.
    """
    rule = trust.policy.require_timestamp
    if rule is None or trust.authority is None:
        return None, _without_authority(envelope)
    if not envelope.timestamp:
        raise TrustError("the policy wants a timestamp, the evidence has none")
    at = trusted_time(envelope.timestamp, envelope.signature, trust.authority)
    read_token(envelope.timestamp, envelope.signature)
    skew = timedelta(seconds=trust.policy.clock_skew_s)
    ended, said = moment(finished), f"{at:%Y-%m-%dT%H:%M:%SZ}"
    if at < ended - skew:
        raise TrustError(f"the timestamp {said} is from before the scan's end {finished}")
    if at > ended + timedelta(seconds=rule.max_lag_s):
        raise TrustError(f"the timestamp {said} is more than {rule.max_lag_s} s after the scan")
    if at > now + skew:
        raise TrustError(f"the timestamp {said} is in the future")
    return at, Passed(said)


def _without_authority(envelope: Envelope) -> CheckOutcome:
    if not envelope.timestamp:
        return Skipped("the evidence has none, and the policy names no authority")
    token = read_token(envelope.timestamp, envelope.signature)
    token.check_own_signature()
    return not_verified(
        f"the policy names no authority; the token says {token.moment:%Y-%m-%dT%H:%M:%SZ}"
    )


def key_window(finished: str, key: Key, at: datetime | None) -> Passed:
    """Whether ``key`` was to be trusted when it signed.

    Without a timestamp the signer itself says when, which a thief would too: so
    of a compromised key nothing holds but what an authority saw before.

    Raises:
        TrustError: it was not.
    """
    when = at or moment(finished)
    if not key.not_before <= when <= key.not_after:
        raise TrustError(f"key {key.id!r} is not trusted for {when:%Y-%m-%dT%H:%M:%SZ}")
    if key.compromised_at is None:
        return Passed("" if at is None else "by trusted time")
    if at is None:
        raise TrustError(
            f"key {key.id!r} is compromised, and no trusted time says that it was not yet"
        )
    if at >= key.compromised_at:
        raise TrustError(f"key {key.id!r} was compromised when it signed")
    return Passed("before its compromise, by trusted time")


def in_force(policy: Policy, now: datetime) -> CheckOutcome:
    """Whether the policy itself still holds.

    Raises:
        TrustError: it has expired.
    """
    if policy.expires is None:
        return Skipped("the policy has no end")
    if now >= policy.expires:
        raise TrustError(f"the policy expired on {policy.expires:%Y-%m-%dT%H:%M:%SZ}")
    return Passed()
