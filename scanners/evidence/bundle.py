"""From a scan to one signed evidence file."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path

from hardpan import events
from hardpan.errors import InputError
from hardpan.events import Emit
from hardpan.files import canonical_json, write_atomic
from hardpan.identifiers import PREDICATE_TYPE
from hardpan.packed import Packed, pack, packing_thread
from hardpan.scanners.evidence import outcome
from hardpan.scanners.evidence.archive import write_archive
from hardpan.scanners.evidence.bindings import (
    CMS,
    HOST_PROOF,
    OSCAL,
    SIBLINGS,
    TEST_RESULT,
    TIMESTAMP,
    Chain,
    Runner,
)
from hardpan.scanners.evidence.guide import guide, script
from hardpan.scanners.evidence.oscal_statement import RESULTS, dsse, statement_about
from hardpan.scanners.evidence.promised import promises
from hardpan.scanners.evidence.statement import predicate, statement
from hardpan.scanners.model import Scan
from hardpan.scanners.report.base import FORMATS, Report, attached
from hardpan.scanners.report.changes import Changes
from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.fill import clean, findings, smoke
from hardpan.signing import Signer, detached, sign, sign_dsse, with_timestamp

BUNDLE = "evidence.sigstore.json"
UNSIGNED = (BUNDLE, "statement.json", "statement.sig")
"""The signature itself and its two re-encodings; every other file is a subject."""

PQ_ENVELOPE = "evidence.mldsa.dsse.json"
"""The second, post-quantum signature over the same statement, where there is one."""

PROVENANCE = "provenance.sigstore.json"
PACKAGES = "packages.txt"
"""The installed packages, one a line."""

SUFFIX = ".evidence.zip"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._]+")
_LONGEST_PART = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What goes with the evidence beside the scan itself."""

    stamp: Callable[[bytes], bytes] | None = None
    """Gives an RFC 3161 token over a signature; None leaves the timestamp out."""

    certificate: Path | None = None
    """The signing key's certificate; with it goes a CMS signature."""

    chain: Chain | None = None
    runner: Runner | None = None

    changes: Changes | None = None
    """What changed since the statement before this one in the chain."""

    @property
    def siblings(self) -> tuple[str, ...]:
        """The files that will lie beside the statement without being subjects."""
        there = {TEST_RESULT: True, OSCAL: True, TIMESTAMP: self.stamp, CMS: self.certificate}
        return tuple(name for name, made in there.items() if made)


def write(
    scan: Scan,
    signer: Signer,
    out: Path,
    emit: Emit,
    *,
    nonce: str = "",
    pq: Signer | None = None,
    terms: Terms = Terms(),  # frozen
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
        report = report_of(scan, signer, pq=pq, terms=terms)
        files = attachments(scan, report)
        claim = predicate(
            report.findings,
            report.smoke,
            arf=arf_names(files),
            invocation=tuple(map(clean, scan.invocation)),
            nonce=nonce,
            version=version("hardpan"),
            signatures=expected(signer, pq),
            siblings=terms.siblings,
            chain=terms.chain,
            runner=terms.runner,
            host_proof=HOST_PROOF in files,
        )
        digests = {name: file.sha256 for name, file in files.items()}
        note(f"signing a statement over {len(digests)} files")
        signed = sign(statement(claim, digests), signer)
        results = statement_about(RESULTS, files[RESULTS].sha256)  # drawn in RFC 8785 form
        beside = {
            TEST_RESULT: _test_result(report, digests, signer),
            OSCAL: dsse(sign(results, signer)),
        }
        bundle = signed.bundle
        if pq is not None:
            beside[PQ_ENVELOPE] = sign_dsse(signed.payload, pq)
        if terms.certificate is not None:
            beside[CMS] = detached(signed.payload, signer, terms.certificate)
        if terms.stamp is not None:
            note("asking for a timestamp")
            beside[TIMESTAMP] = terms.stamp(signed.signature)
            bundle = with_timestamp(bundle, beside[TIMESTAMP])
        proofs = dict(zip(UNSIGNED, (bundle, signed.payload, signed.signature), strict=True))
        every: dict[str, bytes | Packed] = {**files, **beside, **proofs}
        write_archive(out, every.items())
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


def _test_result(report: Report, digests: Mapping[str, str], signer: Signer) -> bytes:
    return sign(outcome.statement(report.findings, report.smoke, digests), signer).bundle


def key_beside(evidence: Path) -> Path:
    """Where the public key lies for those who fetch it: a convenience, never trusted."""
    return evidence.with_name(evidence.name.removesuffix(SUFFIX) + ".pub")


def usual_name(found: Findings) -> str:
    """``host-profile-time.evidence.zip``: what evidence is called where nobody names it.

    NOTE: the host says its own name. What stays of it can lead to no other folder, is no
    hidden file and no option of a program that is given it.
    """
    ended = found.finished.replace("-", "").replace(":", "")
    return f"{_part(found.host.hostname)}-{_part(found.profile)}-{ended}{SUFFIX}"


def _part(text: str) -> str:
    kept = _NOT_IN_NAMES.sub("-", text).strip("-._")[:_LONGEST_PART].rstrip("-._")
    return kept or "unnamed"


def arf_names(names: Iterable[str]) -> tuple[str, ...]:
    """The attached ARF documents."""
    return tuple(sorted(n for n in names if fnmatchcase(n.rpartition("/")[2], "arf*.xml")))


def report_of(
    scan: Scan,
    signer: Signer,
    *,
    pq: Signer | None = None,
    terms: Terms = Terms(),  # frozen
) -> Report:
    """What the reports are drawn from, the promises of the statement to come included."""
    return Report(
        findings=findings(scan),
        smoke=None if scan.smoke is None else smoke(scan.smoke),
        signer_sha256=signer.public.sha256,
        predicate_type=PREDICATE_TYPE,
        promises=promises(expected(signer, pq), terms.siblings, host_proof=HOST_PROOF in scan.raw),
        changes=terms.changes,
    )


def attachments(scan: Scan, report: Report) -> dict[str, Packed]:
    """The files that the statement will be about, drawn from ``report``.

    Raises:
        InputError: the scan attaches a file under a name that is taken.
    """
    beside = {
        "VERIFY.md": guide(report).encode(),
        "verify.sh": script(report.predicate_type).encode(),
        "host.json": canonical_json(report.findings.host.data()),
        PACKAGES: "".join(f"{clean(p)}\n" for p in scan.packages).encode(),
    }
    if scan.image is not None:
        beside[PROVENANCE] = scan.image.provenance
        beside["sbom.cdx.json"] = scan.image.sbom
    drawn = (f.file for f in FORMATS.values())
    ours = {*UNSIGNED, *SIBLINGS, PQ_ENVELOPE, PROVENANCE, "sbom.cdx.json"}
    taken = sorted({*beside, *ours, *drawn} & set(scan.raw))
    if taken:
        raise InputError(f"{taken[0]}: this name in the evidence is taken")
    with packing_thread() as packer:  # packs one while the next is drawn
        packing = {name: packer.submit(pack, data) for name, data in attached(report)}
        packing |= {n: packer.submit(pack, d) for n, d in {**beside, **scan.raw}.items()}
        return {name: made.result() for name, made in packing.items()}
