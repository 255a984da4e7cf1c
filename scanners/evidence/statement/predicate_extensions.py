"""Optional predicate fields: statement id, chain position, companion files, host signature.

Every field has a default, so evidence of before it existed still reads.
"""

from typing import Annotated

from pydantic import Field

from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.model.types import Document, HexDigest, JsonList

HOST_SIGNATURE_NAMESPACE = "hardpan-evidence"
"""SSHSIG namespace; a signature for another namespace is rejected."""


class WaiverSummary(Document):
    """The waivers in the findings, active or expired."""

    count: int
    earliest_expiry: str | None


class ScannerIdentity(Document):
    """The scanning station, as it describes itself."""

    user: str
    station: str
    """Keyed digest of the station's machine id; empty where it has none."""

    python: str
    transport: str
    """``paramiko``, ``openssh`` or ``local``."""

    transport_reason: str = ""
    """Why it is not the default transport; empty for the default."""


class ChainLink(Document):
    """The position of this statement in the chain of a host's statements."""

    sequence: Annotated[int, Field(ge=1)]
    previous_statement_sha256: HexDigest | None


class PredicateExtensions(Document):
    """The optional part of the predicate."""

    statement_id: str | None = None
    """Derived from the rest, so that the same scan gives the same bytes. A random one would
    identify nothing better: the identity is the digest of the statement."""

    companion_files: JsonList[str] = ()
    """Files next to the statement that are not subjects: exactly these files exist."""

    chain: ChainLink | None = None
    waivers: WaiverSummary | None = None
    runner: ScannerIdentity | None = None
    host_signature: str | None = None
    """The file with the host's signature over ``build_host_challenge``; None if unsigned."""


def summarize_waivers(findings: Findings) -> WaiverSummary:
    """How many rules and checks have a waiver on record, and the first one's last day."""
    expiries = sorted(_waiver_expiry(r) for r in findings.rules_and_checks if r.waiver is not None)
    return WaiverSummary(count=len(expiries), earliest_expiry=expiries[0] if expiries else None)


def build_host_challenge(nonce: str | None, boot_id: str, findings_sha256: str) -> bytes:
    """What the host signs with its host key: this auditor, this boot, these findings."""
    nonce_text = nonce or "-"
    lines = ("hardpan-evidence/1", f"nonce {nonce_text}", f"boot {boot_id}")
    return "\n".join((*lines, f"findings {findings_sha256}", "")).encode()


def _waiver_expiry(rule: RulePart) -> str:
    return "" if rule.waiver is None else rule.waiver.expires
