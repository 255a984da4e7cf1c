"""What the page may tell of signatures: the statement's promises, before and after signing.

The same function reads them for the page that is about to be signed and for one that is
drawn again from the statement, so that both show the same.
"""

from hardpan.scanners.evidence.statement.model import Predicate
from hardpan.scanners.evidence.statement.predicate_extensions import TIMESTAMP
from hardpan.scanners.report.model.expected_signatures import ExpectedSignatures
from hardpan.signing import ALGORITHMS


def build_expected_signatures(
    signatures: tuple[str, ...], companion_files: tuple[str, ...], *, has_host_signature: bool
) -> ExpectedSignatures:
    """The promises of a statement that expects ``signatures`` and names ``siblings``."""
    return ExpectedSignatures(
        algorithm="".join(x for x in signatures if not ALGORITHMS[x].is_post_quantum),
        post_quantum="".join(x for x in signatures if ALGORITHMS[x].is_post_quantum),
        has_timestamp=TIMESTAMP in companion_files,
        has_host_signature=has_host_signature,
    )


def read_expected_signatures(claim: Predicate) -> ExpectedSignatures:
    """The promises of a statement that verified: its signatures are of known kinds."""
    return build_expected_signatures(
        claim.signatures_expected,
        claim.companion_files,
        has_host_signature=claim.host_signature is not None,
    )
