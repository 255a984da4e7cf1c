"""The trust policy (trust.yaml) of an auditor. It is never read from the evidence itself."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from hardpan.profiles.schema.types import RuleSelector
from hardpan.scanners.report.model.types import (
    CompatibilityVerdictName,
    HexDigest,
    Severity,
    VerdictName,
)

ALLOWED_YEARS = range(1970, 9000)
"""Years allowed in policies and statements; a century can be added or subtracted."""

_MAX_HOURS = 876_000
"""A hundred years."""


def _to_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("expected a time zone, e.g. 2026-11-21T04:00:00Z")
    # A time zone before the first or after the last day of the calendar cannot be converted.
    if moment.year not in ALLOWED_YEARS:
        raise ValueError(f"expected a year from {ALLOWED_YEARS.start} to {ALLOWED_YEARS.stop - 1}")
    return moment.astimezone(UTC)


_TIME_PATTERN = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)


def _parse_time(value: object) -> datetime:
    # pydantic takes a number, in quotes too, for seconds since 1970: 20261122 is in August 1970.
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _TIME_PATTERN.fullmatch(value):
        raise ValueError("expected a time, e.g. 2026-11-21T04:00:00Z")
    return datetime.fromisoformat(value)


def _require_int(value: object) -> object:
    # True and 1.0 are equal to 1, which is all that a literal is compared by.
    if type(value) is not int:
        raise ValueError("expected 1")
    return value


UtcTime = Annotated[datetime, BeforeValidator(_parse_time), AfterValidator(_to_utc)]


class PolicyModel(BaseModel):
    """A part of the policy: frozen, unknown settings refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PolicyKey(PolicyModel):
    """One trusted key and what it is trusted for."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    role: Literal["scan", "build", "scan-pq", "verify"]
    """``scan`` signs evidence, ``build`` signs image provenance, ``scan-pq`` the evidence's
    second envelope, ``verify`` the outcome of a verification; none may do another's work."""

    alg: Literal["ecdsa-p256-sha256", "rsa-pkcs1v15-sha256", "ml-dsa-65", "ml-dsa-87"]
    """The one algorithm the key is trusted for; the key must be of its kind."""

    spki: Annotated[str, Field(min_length=1, max_length=4096)]
    """The public key: PEM text, or a file's path relative to this policy."""

    not_before: UtcTime
    not_after: UtcTime
    compromised_at: UtcTime | None = None
    """Time of the compromise. Signatures that a timestamp shows to be older stay valid."""


class TimestampRule(PolicyModel):
    """Whose RFC 3161 timestamp the evidence must contain."""

    roots: Annotated[str, Field(min_length=1, max_length=65_536)]
    """The authority's root certificates: PEM text, or a file's path relative to this policy."""

    policy_oid: str = ""
    """The TSA policy it must be issued under; empty accepts any."""

    max_lag_s: Annotated[int, Field(gt=0, le=3600 * _MAX_HOURS)] = 86_400
    """Longest time from the scan's end to the timestamp."""


class CmsRule(PolicyModel):
    """Roots that a CMS signature must chain to; checked by ``openssl cms``."""

    roots: Annotated[str, Field(min_length=1, max_length=65_536)]
    """Root certificates: PEM text, or a file's path relative to this policy."""


class PreviousStatementRule(PolicyModel):
    """The host's last statement known to the auditor, which this statement must follow."""

    sequence: Annotated[int, Field(ge=0)]
    statement_sha256: HexDigest | None = None
    """None where ``sequence`` is 0: the first statement follows on none."""


class TargetRule(PolicyModel):
    """Which hosts the evidence may be about; an empty list allows all."""

    host_keys: tuple[Annotated[str, Field(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")], ...] = ()
    machine_ids: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{32}([0-9a-f]{32})?$")], ...] = ()
    """Values of ``machineIdHmac``."""

    product_uuids: tuple[HexDigest, ...] = ()
    """Values of ``productUuidSha256``, which distinguish a cloned machine from its original."""

    require_verified_host_key: bool = False
    """True refuses a scan that trusted the host key on first use (``scan --trust-new-host-key``),
    and evidence of an older hardpan, which does not say."""

    require_host_signature: bool = False
    """True requires a host signature (SSHSIG by the host key) over nonce and findings."""


class ContentRule(PolicyModel):
    """Which SCAP content is allowed; an empty list allows all."""

    source_sha256: tuple[HexDigest, ...] = ()
    derived_sha256: tuple[HexDigest, ...] = ()
    profile_ids: tuple[str, ...] = ()
    """Allowed profiles. Tailored content needs its digest in ``tailoring_sha256`` too: a tailoring
    may change what a profile of the same id evaluates."""

    tailoring_sha256: tuple[HexDigest, ...] = ()
    """Digests of the tailoring files that are allowed."""

    require_untailored: bool = False
    """True refuses every tailoring, also one that only adds rules."""


class ImageRule(PolicyModel):
    """What must be known about the image the target was booted from."""

    require_provenance: bool = False
    sha256: tuple[HexDigest, ...] = ()
    """Allowed images; an empty list allows all."""


class TrustPolicy(PolicyModel):
    """The content of trust.yaml."""

    version: Annotated[Literal[1], BeforeValidator(_require_int)]
    keys: Annotated[tuple[PolicyKey, ...], Field(min_length=1)]
    clock_skew_s: Annotated[int, Field(ge=0, le=86_400)] = 300
    max_age_hours: Annotated[int, Field(gt=0, le=_MAX_HOURS)] | None = None
    """Maximum age of the scan, counted from its end."""

    require_pq: bool = False
    """Refuse evidence without a post-quantum signature by a ``scan-pq`` key."""

    nonce: Annotated[str, Field(min_length=16)] | None = None
    """Nonce that the statement must contain."""

    expires: UtcTime | None = None
    """Expiry; evidence is rejected from then on."""

    require_timestamp: TimestampRule | None = None
    require_cms: CmsRule | None = None
    previous_statement: PreviousStatementRule | None = None

    target: TargetRule = TargetRule()
    content: ContentRule = ContentRule()
    image: ImageRule = ImageRule()
    max_counts: dict[VerdictName, Annotated[int, Field(ge=0)]] = {}
    """Verdict -> most rules that may have it, waivers or not. More is an answer
    (exit 1), not broken trust."""

    max_open: dict[Severity, Annotated[int, Field(ge=0)]] = {}
    """Severity -> most rules that may be open: not passed (``error`` and ``unknown``
    included) and without a waiver on record. ``high`` is DISA's CAT I. A rule counts with the
    higher of OpenSCAP's and DISA's severity, and one of unknown severity at least as ``medium``;
    ``unknown`` and ``info`` limit the rules for which OpenSCAP reports these."""

    waivers: tuple[RuleSelector, ...] | None = None
    """Rules whose waivers are accepted, by any of their ids or a pattern; ``max_open`` counts the
    other waived rules as open. None accepts every waiver."""

    max_compatibility: dict[CompatibilityVerdictName, Annotated[int, Field(ge=0)]] = {}
    """Verdict of a compatibility check -> most that may have it. Where one is set, evidence
    without compatibility checks exceeds the threshold."""

    min_score: Annotated[float, Field(ge=0, le=100)] | None = None
