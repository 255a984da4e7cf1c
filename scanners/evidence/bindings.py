"""What else the statement binds: its own identity, its place in a row, its siblings.

Every field has a default, so evidence of before it existed still reads.
"""

from typing import Annotated

from pydantic import Field

from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.fields import Document, HexDigest, Many
from hardpan.scanners.report.parts import Rule

TEST_RESULT = "evidence.test-result.sigstore.json"
OSCAL = "assessment-results.dsse.json"
TIMESTAMP = "evidence.tsr"
CMS = "statement.p7s"
SIBLINGS = (TEST_RESULT, OSCAL, TIMESTAMP, CMS)
"""Files that cannot be subjects: they are made of the statement or of its signature."""

HOST_PROOF = "host-proof.sig"
NAMESPACE = "hardpan-evidence"
"""What the host's key signs for; a signature for another purpose is no proof."""


class Waivers(Document):
    """The waivers on record, held or ended."""

    n: int
    earliest_expiry: str | None


class Runner(Document):
    """The scanning station, in its own words."""

    user: str
    station: str
    """Keyed digest of the station's machine id; empty where it has none."""

    python: str
    transport: str


class Chain(Document):
    """The place of this statement in the row of a host's statements."""

    sequence: Annotated[int, Field(ge=1)]
    previous_statement_sha256: HexDigest | None


class Bindings(Document):
    """The optional part of the predicate."""

    statement_id: str | None = None
    """Derived from the rest, so that the same scan gives the same bytes. A random one would
    identify nothing better: the identity is the digest of the statement."""

    siblings: Many[str] = ()
    """Files beside the statement that are not subjects: exactly these, none stripped or added."""

    chain: Chain | None = None
    waivers: Waivers | None = None
    runner: Runner | None = None
    host_proof: str | None = None
    """The file with the host's signature over ``challenge``; None where the host gave none."""


def waivers(found: Findings) -> Waivers:
    """How many rules have a waiver on record, and the first one's last day."""
    ends = sorted(_waived(r) for r in found.rules if r.waiver is not None)
    return Waivers(n=len(ends), earliest_expiry=ends[0] if ends else None)


def challenge(nonce: str | None, boot_id: str, findings_sha256: str) -> bytes:
    """What the host signs with its host key: this auditor, this boot, these findings."""
    said = nonce or "-"
    return (
        f"hardpan-evidence/1\nnonce {said}\nboot {boot_id}\nfindings {findings_sha256}\n".encode()
    )


def _waived(rule: Rule) -> str:
    return "" if rule.waiver is None else rule.waiver.expires
