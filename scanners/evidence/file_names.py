"""Names of the files in an evidence archive, for those that sign and those that verify.

A report format's file name is in ``report.registry``; ``statement.predicate_extensions`` says what
the companion files are for.
"""

from typing import Final

from hardpan.scanners.model.tailoring import Tailoring

EVIDENCE_SUFFIX: Final = ".evidence.zip"

BUNDLE: Final = "evidence.sigstore.json"
STATEMENT: Final = "statement.json"
STATEMENT_SIGNATURE: Final = "statement.sig"
UNSIGNED_FILES: Final = (BUNDLE, STATEMENT, STATEMENT_SIGNATURE)
"""The signature itself and its two re-encodings; every other file is a subject."""

PQ_ENVELOPE: Final = "evidence.mldsa.dsse.json"
"""The optional second, post-quantum signature over the same statement."""

TEST_RESULT: Final = "evidence.test-result.sigstore.json"
OSCAL: Final = "assessment-results.dsse.json"
TIMESTAMP: Final = "evidence.tsr"
CMS: Final = "statement.p7s"
COMPANION_FILES: Final = (TEST_RESULT, OSCAL, TIMESTAMP, CMS)
"""Files that cannot be subjects: they are derived from the statement or its signature."""

HOST_SIGNATURE: Final = "host-signature.sshsig"
PROVENANCE: Final = "provenance.sigstore.json"
SBOM: Final = "sbom.cdx.json"
TAILORING_FILES: Final = {"yaml": "tailoring.yaml", "xccdf": "tailoring.xml"}
"""Format of a tailoring -> the file with it."""

INDEX: Final = "index.html"
"""What each file is, for a person who opens the archive."""

HOST: Final = "host.json"
PACKAGES: Final = "packages.txt"
"""The installed packages, one per line."""


def list_tailoring_files(tailoring: Tailoring | None) -> dict[str, bytes]:
    """Return the name and the bytes of the tailoring of a scan, if it has one."""
    return {} if tailoring is None else {TAILORING_FILES[tailoring.format]: tailoring.data}
