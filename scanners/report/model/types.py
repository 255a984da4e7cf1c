"""Building blocks of the documents: the base class of every part and the value types.

Keys are camelCase; numbers with a fraction are rounded to four places so that the
canonical JSON form exists.
"""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from hardpan.profiles.schema import ssg
from hardpan.scanners.model.scan import Verdict

VERDICTS = tuple(v.value for v in Verdict if v is not Verdict.NOT_SELECTED)
SEVERITIES = (*ssg.SEVERITIES, "unknown", "info")
"""Severities of XCCDF, the highest first, except that ``unknown`` may be any."""

OPEN_VERDICTS = frozenset({"fail", "error", "unknown"})
"""Verdicts that need someone's attention unless a waiver is on record."""

T = TypeVar("T")
Number = int | float
MAX_NAMES = 256
"""Entries of an object whose names are data: counts, the environment of the smoke test."""


def _limit_names(value: object) -> object:
    # Before its values are validated: each one that is wrong takes a kilobyte of error.
    if isinstance(value, dict) and len(value) > MAX_NAMES:
        raise ValueError(f"expected at most {MAX_NAMES} names")
    return value


JsonList = Annotated[tuple[T, ...], Field(strict=False, fail_fast=True)]
"""A list; of its wrong values the first is an error, because each takes a kilobyte."""

HexDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Timestamp = Annotated[
    str,
    Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"),
]
"""RFC 3339, UTC, whole seconds. A target's clock may say a day that does not exist."""

NumberByName = Annotated[dict[str, int], BeforeValidator(_limit_names)]
TextByName = Annotated[
    dict[Annotated[str, Field(pattern=r"^[\x00-\x7f]*$")], str], BeforeValidator(_limit_names)
]
"""Names are ASCII: canonical JSON sorts others differently in different writers."""

Severity = Literal["high", "medium", "low", "unknown", "info"]
DisaSeverity = Literal["high", "medium", "low", ""]
RoleName = Literal["full", "unscored", "unchecked"]
HostKeyTrustName = Literal["pinned", "known_hosts", "built_image", "local", "first_use", "unknown"]
HOST_KEY_TRUST_TEXT: dict[HostKeyTrustName, str] = {
    "pinned": "the host key was pinned",
    "known_hosts": "the host key was in known_hosts",
    "built_image": "the host key came from the console of the guest that hardpan booted",
    "local": "the host scanned itself, without a network connection",
    "first_use": "the host key was trusted on first use",
    "unknown": "how the host key was known is not recorded",
}
"""How the scanner knew the host's key -> the same in words; see ``model.HostKeyTrust``."""

TRUSTED_BEFORE_CONNECT = frozenset({"pinned", "known_hosts", "built_image", "local"})
"""Ways of knowing a host key before the first connection; ``local`` needs none."""

CompatibilityVerdictName = Literal["pass", "fail", "not_checked", "not_applicable", "error"]
CompatibilityOutcomeName = Literal["satisfied", "violated", "not_tested", "not_applicable", "error"]
VerdictName = Literal[
    "pass", "fail", "error", "unknown", "notapplicable", "notchecked", "informational", "fixed"
]


def _require_every_verdict(counts: dict[str, int]) -> dict[str, int]:
    if set(counts) != set(VERDICTS):
        raise ValueError(f"expected a count for each of {', '.join(VERDICTS)}")
    return counts


Counts = Annotated[
    dict[str, Annotated[int, Field(ge=0)]],
    BeforeValidator(_limit_names),
    AfterValidator(_require_every_verdict),
]


class Document(BaseModel):
    """A part of a JSON document: frozen, camelCase, types not bent.

    Readers ignore fields they do not know, as in-toto asks; the version in
    ``schemaVersion`` or the predicate's type says when that would be wrong.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        alias_generator=to_camel,
        populate_by_name=True,
    )

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The document in JSON data, where a field has one name alone: the camelCase one.

        The program itself builds documents by the names of their attributes. A reader that took
        both would let a document say two things in one field.

        Raises:
            pydantic.ValidationError: it is no such document.
        """
        return cls.model_validate(value, by_alias=True, by_name=False)

    def to_json(self) -> dict[str, object]:
        """The document as JSON data."""
        return self.model_dump(mode="json", by_alias=True)
