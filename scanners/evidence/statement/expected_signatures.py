"""List the signatures that a statement expects, before and after signing.

The same function reads them for the page that is about to be signed and for one that is
rendered again from the statement, so that both list the same signatures.
"""

from hardpan.scanners.evidence.file_names import TIMESTAMP
from hardpan.scanners.evidence.statement.model import Predicate
from hardpan.scanners.report.model.expected_signatures import ExpectedSignatures
from hardpan.signing import ALGORITHMS


def build_expected_signatures(
    signatures: tuple[str, ...], companion_files: tuple[str, ...], *, has_host_signature: bool
) -> ExpectedSignatures:
    """Return the signatures of a statement with these algorithms and companion files."""
    return ExpectedSignatures(
        algorithm="".join(x for x in signatures if not ALGORITHMS[x].is_post_quantum),
        post_quantum="".join(x for x in signatures if ALGORITHMS[x].is_post_quantum),
        has_timestamp=TIMESTAMP in companion_files,
        has_host_signature=has_host_signature,
    )


def read_expected_signatures(claim: Predicate) -> ExpectedSignatures:
    """Return the expected signatures of a verified statement."""
    return build_expected_signatures(
        claim.signatures_expected,
        claim.companion_files,
        has_host_signature=claim.host_signature is not None,
    )
