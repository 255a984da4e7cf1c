"""From a scan to one signed evidence file."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path

from hardpan import events
from hardpan.errors import InputError
from hardpan.events import Emit
from hardpan.files import canonical_json, sha256_bytes, write_atomic
from hardpan.signing import Signer, sign, sign_dsse
from scanners.evidence.archive import write_archive
from scanners.evidence.guide import guide
from scanners.evidence.statement import PREDICATE_TYPE, predicate, statement
from scanners.model import Scan
from scanners.report.base import FORMATS, Report, attached
from scanners.report.fill import clean, findings, smoke

BUNDLE = "evidence.sigstore.json"
UNSIGNED = (BUNDLE, "statement.json", "statement.sig")
"""The signature itself and its two re-encodings; every other file is a subject."""

PQ_ENVELOPE = "evidence.mldsa.dsse.json"
"""The second, post-quantum signature over the same statement, where there is one."""

PROVENANCE = "provenance.sigstore.json"
SUFFIX = ".evidence.zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachments:
    """The files that the statement will be about, and how to write it."""

    files: Mapping[str, bytes]
    report: Report


def write(
    scan: Scan,
    signer: Signer,
    out: Path,
    emit: Emit,
    *,
    nonce: str = "",
    pq: Signer | None = None,
) -> Path:
    """Sign ``scan`` and write it as one evidence file, the public key as ``*.pub`` beside it.

    With ``pq``, a second envelope is signed over the same bytes. Everything but the
    signatures depends on the scan and the kinds of keys alone.

    Raises:
        InputError: ``out`` has another suffix, or an attached file's name is
            taken or not safe.
    """
    if not out.name.endswith(SUFFIX):
        raise InputError(f"{out}: expected a name that ends in {SUFFIX}")
    with events.stage(emit, "evidence") as note:
        attached = attachments(scan, signer)
        claim = predicate(
            attached.report.findings,
            attached.report.smoke,
            arf=arf_names(attached.files),
            invocation=tuple(map(clean, scan.invocation)),
            nonce=nonce,
            version=version("hardpan"),
            signatures=expected(signer, pq),
        )
        digests = {name: sha256_bytes(data) for name, data in attached.files.items()}
        note(f"signing a statement over {len(digests)} files")
        signed = sign(statement(claim, digests), signer)
        proofs = (signed.bundle, signed.payload, signed.signature)
        files = [*attached.files.items(), *zip(UNSIGNED, proofs, strict=True)]
        if pq is not None:
            files.append((PQ_ENVELOPE, sign_dsse(signed.payload, pq)))
        write_archive(out, files)
        key = key_beside(out)
        write_atomic(key, signer.public.pem)
        if pq is not None:
            write_atomic(pq_key_beside(out), pq.public.pem)
        note(f"wrote {out} and {key.name}")
    return out


def expected(signer: Signer, pq: Signer | None) -> tuple[str, ...]:
    """What the statement says about its signatures."""
    return (signer.public.alg, *(() if pq is None else (pq.public.alg,)))


def pq_key_beside(evidence: Path) -> Path:
    """As ``key_beside``, for the post-quantum key."""
    return key_beside(evidence).with_suffix(".pq.pub")


def key_beside(evidence: Path) -> Path:
    """Where the public key lies for those who fetch it: a convenience, never trusted."""
    return evidence.with_name(evidence.name.removesuffix(SUFFIX) + ".pub")


def arf_names(names: Mapping[str, bytes]) -> tuple[str, ...]:
    """The attached ARF documents."""
    return tuple(sorted(n for n in names if fnmatchcase(n.rpartition("/")[2], "arf*.xml")))


def attachments(scan: Scan, signer: Signer) -> Attachments:
    """The files that go beside the statement.

    Raises:
        InputError: the scan attaches a file under a name that is taken.
    """
    report = Report(
        findings=findings(scan),
        smoke=None if scan.smoke is None else smoke(scan.smoke),
        signer_sha256=signer.public.sha256,
        predicate_type=PREDICATE_TYPE,
    )
    files = {
        **attached(report),
        "VERIFY.md": guide(report).encode(),
        "host.json": canonical_json(report.findings.host.data()),
        "packages.txt": "".join(f"{clean(p)}\n" for p in scan.packages).encode(),
    }
    if scan.image is not None:
        files[PROVENANCE] = scan.image.provenance
        files["sbom.cdx.json"] = scan.image.sbom
    ours = {*UNSIGNED, PQ_ENVELOPE, PROVENANCE, "sbom.cdx.json"}
    taken = sorted({*files, *ours, *(f.file for f in FORMATS.values())} & set(scan.raw))
    if taken:
        raise InputError(f"{taken[0]}: this name in the evidence is taken")
    return Attachments(files={**files, **scan.raw}, report=report)
