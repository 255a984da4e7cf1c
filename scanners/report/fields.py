"""What the documents are made of: the base of every part and the kinds of values in them.

Keys are camelCase; numbers with a fraction are rounded to four places so that the
canonical JSON form exists.
"""

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from hardpan.scanners.model import Verdict

VERDICTS = tuple(v.value for v in Verdict if v is not Verdict.NOT_SELECTED)
SEVERITIES = ("high", "medium", "low", "unknown")
OPEN = frozenset({"fail", "error", "unknown"})
"""Verdicts that need someone's attention unless a waiver is on record."""

T = TypeVar("T")
Number = int | float
Many = Annotated[tuple[T, ...], Field(strict=False)]
HexDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
"""RFC 3339, UTC, whole seconds."""

Severity = Literal["high", "medium", "low", "unknown"]
HostKeyTrustName = Literal["pinned", "known_hosts", "built_image", "first_use", "unknown"]
HOST_KEY_TRUST: dict[HostKeyTrustName, str] = {
    "pinned": "the host key was pinned",
    "known_hosts": "the host key was in known_hosts",
    "built_image": "the host key came from the console of the guest that hardpan built",
    "first_use": "the host key was trusted on first use",
    "unknown": "how the host key was known is not recorded",
}
"""How the scanner knew the host's key -> the same in words; see ``model.HostKeyTrust``."""

KNOWN_HOST_KEY = frozenset({"pinned", "known_hosts", "built_image"})
"""Ways of knowing a host key before the first connection."""

Outcome = Literal["passed", "failed", "error", "skipped"]
PairVerdictName = Literal["pass", "fail", "not_checked", "not_applicable", "error"]
HeldName = Literal["holds", "broken", "not_asked", "not_applicable", "error"]
VerdictName = Literal[
    "pass", "fail", "error", "unknown", "notapplicable", "notchecked", "informational", "fixed"
]


def _every_verdict(counts: dict[str, int]) -> dict[str, int]:
    if set(counts) != set(VERDICTS):
        raise ValueError(f"expected a count for each of {', '.join(VERDICTS)}")
    return counts


Counts = Annotated[dict[str, Annotated[int, Field(ge=0)]], AfterValidator(_every_verdict)]


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
        use_attribute_docstrings=True,
    )

    def data(self) -> dict[str, object]:
        """The document as JSON data."""
        return self.model_dump(mode="json", by_alias=True)
