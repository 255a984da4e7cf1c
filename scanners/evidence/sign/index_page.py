"""``index.html``: what the files of the evidence are, for a person who opens the archive.

The page is a file of the statement like every other one. It cannot have its own digest, nor those
of the files derived from the statement. The same files give the same bytes.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import version

from hardpan.core.compression import CompressedBlob
from hardpan.core.resources import resource_path
from hardpan.core.templates import html_environment
from hardpan.scanners.evidence.archive import is_safe_name
from hardpan.scanners.evidence.file_names import (
    BUNDLE,
    CMS,
    HOST,
    HOST_SIGNATURE,
    OSCAL,
    PACKAGES,
    PQ_ENVELOPE,
    PROVENANCE,
    SBOM,
    STATEMENT,
    STATEMENT_SIGNATURE,
    TEST_RESULT,
    TIMESTAMP,
)
from hardpan.scanners.report.headline import HeadlineState, build_headline
from hardpan.scanners.report.registry import FORMATS, Report

_ANY = "people and programs"
_AUDITORS = "auditors who compute results again"
_OTHER_FILES = (
    ("VERIFY.md", "how to verify this evidence without hardpan", "people"),
    ("verify.sh", "verifies unpacked evidence; run your own copy only", "sh, openssl, jq"),
    (HOST, "identity and software of the scanned host", _ANY),
    (PACKAGES, "the installed packages, one per line", _ANY),
    (PROVENANCE, "signed SLSA provenance of the image", "slsa-verifier, cosign, policy engines"),
    (SBOM, "software bill of materials of the image, CycloneDX", "Dependency-Track and others"),
    (HOST_SIGNATURE, "the host's own signature with its SSH host key", "ssh-keygen, hardpan"),
    ("tailoring.*", "the tailoring of the profile, as it was given", "oscap, SCAP Workbench"),
    ("arf.xml", "OpenSCAP's results as one ARF", "oscap, openscap-report, SCAP tools"),
    ("arf-untouched.xml", "OpenSCAP's results of the untouched content, ARF", "oscap, SCAP tools"),
    ("arf*.xml", "OpenSCAP's results of one part of the content, ARF", "oscap, SCAP tools"),
    ("raw/*.json", "what the target answered to a collector, with the commands", _AUDITORS),
)
"""Pattern of the name, purpose and consumers of the files that are no report; first match."""

_SIGNATURE_FILES = {
    BUNDLE: ("the statement and its signature, a Sigstore bundle", "hardpan, cosign"),
    STATEMENT: ("the statement: in-toto, with the SHA-256 of each file", "openssl, jq"),
    STATEMENT_SIGNATURE: ("the signature of the statement", "openssl"),
    TEST_RESULT: ("the outcome as in-toto test-result, signed", "policy engines"),
    OSCAL: ("a signature of assessment-results.json", "compliance-trestle, cosign"),
    TIMESTAMP: ("RFC 3161 timestamp of the signature", "hardpan, openssl ts"),
    CMS: ("CMS signature of the statement", "openssl cms"),
    PQ_ENVELOPE: ("post-quantum signature of the statement, ML-DSA", "hardpan, openssl 3.5"),
}
_LOOKS = {
    HeadlineState.OPEN: ("bad", "✗"),
    HeadlineState.INCOMPLETE: ("warn", "!"),
    HeadlineState.COMPLIANT: ("good", "✓"),
}
_TEMPLATES = resource_path("hardpan.scanners.evidence.sign", "templates")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """One row of the index."""

    name: str
    purpose: str
    consumers: str
    size_bytes: int = 0
    sha256: str = ""
    """Empty for a file derived from the statement."""

    @property
    def is_linked(self) -> bool:
        """False for a name that an archive cannot have, which would be another address."""
        return is_safe_name(self.name)


def render_index(
    report: Report, files: Mapping[str, CompressedBlob], signature_files: Iterable[str]
) -> bytes:
    """Return the page about ``files``, which the statement lists, and those derived from it."""
    css = (_TEMPLATES / "index.css").read_text("utf-8")
    headline = build_headline(report.findings)
    look, mark = _LOOKS[headline.state]
    page = (
        html_environment(_TEMPLATES)
        .get_template("index.html.j2")
        .render(
            f=report.findings,
            css=css,
            style_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
            headline=headline,
            look=look,
            mark=mark,
            signer_sha256=report.signer_sha256,
            version=version("hardpan"),
            files=[_describe_file(name, file) for name, file in sorted(files.items())],
            signature_files=[
                IndexEntry(name=name, purpose=purpose, consumers=consumers)
                for name in sorted(signature_files)
                for purpose, consumers in (_SIGNATURE_FILES[name],)
            ],
        )
    )
    return page.encode("utf-8")


def _describe_file(name: str, file: CompressedBlob) -> IndexEntry:
    purpose, consumers = find_description(name)
    return IndexEntry(
        name=name,
        purpose=purpose,
        consumers=consumers,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
    )


def find_description(name: str) -> tuple[str, str]:
    """Return purpose and consumers of a file; those of an unknown one are empty."""
    for spec in FORMATS.values():
        if spec.filename == name:
            return spec.description, spec.consumers
    for pattern, purpose, consumers in _OTHER_FILES:
        if fnmatchcase(name, pattern):
            return purpose, consumers
    return "", ""
