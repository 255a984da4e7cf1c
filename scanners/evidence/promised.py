"""What the page may tell of signatures: the statement's promises, before and after signing.

The same function reads them for the page that is about to be signed and for one that is
drawn again from the statement, so that both show the same.
"""

from hardpan.scanners.evidence.bindings import TIMESTAMP
from hardpan.scanners.evidence.statement import Predicate
from hardpan.scanners.report.promises import Promises
from hardpan.signing import ALGORITHMS


def promises(
    signatures: tuple[str, ...], siblings: tuple[str, ...], *, host_proof: bool
) -> Promises:
    """The promises of a statement that expects ``signatures`` and names ``siblings``."""
    return Promises(
        algorithm="".join(x for x in signatures if not ALGORITHMS[x].post_quantum),
        post_quantum="".join(x for x in signatures if ALGORITHMS[x].post_quantum),
        timestamp=TIMESTAMP in siblings,
        host_proof=host_proof,
    )


def promised_by(claim: Predicate) -> Promises:
    """The promises of a statement that verified: its signatures are of known kinds."""
    return promises(
        claim.signatures_expected, claim.siblings, host_proof=claim.host_proof is not None
    )
