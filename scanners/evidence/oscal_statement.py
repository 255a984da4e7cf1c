"""A statement about the assessment results in the words of compliance-trestle.

``trestle verify`` takes no predicate but its own, with exactly one subject whose
digest is of the file's RFC 8785 form. Our files are in that form already, so the
digest is also that of the file, and ``cosign`` takes the same envelope.
"""

import json
from typing import Final

from hardpan.files import Sha256, canonical_json, sha256_bytes
from hardpan.signing import Signed
from scanners.report.base import FORMATS

OSCAL_PREDICATE_TYPE: Final = (
    "https://oscal-compass.github.io/compliance-trestle/predicates/oscal-signing/v1"
)

RESULTS: Final = FORMATS["oscal-ar"].file


def oscal_statement(document: bytes, *, name: str) -> bytes:
    """The statement's bytes, to be signed as they are.

    Raises:
        ValueError: ``document`` is not in RFC 8785 form, so no one digest fits it.
    """
    if canonical_json(json.loads(document)) != document:
        raise ValueError(f"{name}: not in RFC 8785 form")
    return statement_about(name, sha256_bytes(document))


def statement_about(name: str, sha256: Sha256) -> bytes:
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


def dsse(signed: Signed) -> bytes:
    """The plain DSSE envelope, as trestle reads it, out of the Sigstore bundle around it."""
    return canonical_json(json.loads(signed.bundle)["dsseEnvelope"])
