"""Build the statement over the assessment results that compliance-trestle verifies.

``trestle verify`` takes no predicate but its own, with exactly one subject whose
digest is of the file's RFC 8785 form. Our files are in that form already, so the
digest is also that of the file, and ``cosign`` takes the same envelope. Of a file in
another form the two would differ, so there is no statement about it, and none is taken.
"""

import json
from typing import Final

from hardpan.core.files import Sha256, canonical_json, sha256_bytes
from hardpan.scanners.report.registry import FORMATS
from hardpan.signing import MalformedError, SignedStatement, parse_json

OSCAL_PREDICATE_TYPE: Final = (
    "https://oscal-compass.github.io/compliance-trestle/predicates/oscal-signing/v1"
)

RESULTS_FILE: Final = FORMATS["oscal-ar"].filename
MAX_RESULTS_BYTES: Final = 64 << 20
_MAX_RESULTS_VALUES: Final = 1_000_000
"""More than other documents have: some 90 for each rule and control. Only the document of a
statement that a trusted key signed is parsed, so memory is no attacker's to take."""


def build_oscal_statement(document: bytes, *, name: str) -> bytes:
    """Build the statement's bytes, which are signed unchanged.

    Raises:
        MalformedError: ``document`` is not in RFC 8785 form, so no one digest fits it.
    """
    value = parse_json(
        document,
        label=name,
        max_bytes=MAX_RESULTS_BYTES,
        max_values=_MAX_RESULTS_VALUES,
        max_text_bytes=4 * MAX_RESULTS_BYTES,
    )
    try:
        canonical = canonical_json(value)
    except ValueError as e:
        raise MalformedError(f"{name}: not in RFC 8785 form: {e}") from e
    if canonical != document:
        raise MalformedError(f"{name}: not in RFC 8785 form")
    return build_statement_for(name, sha256_bytes(document))


def build_statement_for(name: str, sha256: Sha256) -> bytes:
    """The statement's bytes for a file that is in RFC 8785 form and has this digest."""
    return canonical_json(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": name, "digest": {"sha256": sha256}}],
            "predicateType": OSCAL_PREDICATE_TYPE,
            "predicate": {
                "canonicalization": "RFC8785",
                "digestAlgorithm": "sha256",
                "digestSource": "canonical-json",
                "tool": "hardpan",
            },
        }
    )


def extract_dsse(signed: SignedStatement) -> bytes:
    """The plain DSSE envelope, as trestle reads it, out of the Sigstore bundle around it."""
    return canonical_json(json.loads(signed.bundle)["dsseEnvelope"])
