"""From a scan to one signed evidence file."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path

from hardpan.core import events
from hardpan.core.compression import CompressedBlob, compress, compression_thread
from hardpan.core.errors import HardpanError, InputError
from hardpan.core.events import Emit
from hardpan.core.files import canonical_json, write_atomic
from hardpan.core.identifiers import PREDICATE_TYPE
from hardpan.scanners.evidence.archive import write_archive
from hardpan.scanners.evidence.file_names import (
    CMS,
    COMPANION_FILES,
    EVIDENCE_SUFFIX,
    HOST,
    HOST_SIGNATURE,
    INDEX,
    OSCAL,
    PACKAGES,
    PQ_ENVELOPE,
    PROVENANCE,
    SBOM,
    TEST_RESULT,
    TIMESTAMP,
    UNSIGNED_FILES,
)
from hardpan.scanners.evidence.predicates import test_result
from hardpan.scanners.evidence.predicates.oscal_signing import (
    RESULTS_FILE,
    build_statement_for,
    extract_dsse,
)
from hardpan.scanners.evidence.sign.index_page import render_index
from hardpan.scanners.evidence.sign.output_files import pq_public_key_path, public_key_path
from hardpan.scanners.evidence.sign.verify_instructions import (
    render_verify_md,
    render_verify_script,
)
from hardpan.scanners.evidence.statement.expected_signatures import build_expected_signatures
from hardpan.scanners.evidence.statement.model import (
    Predicate,
    build_predicate,
    build_statement,
)
from hardpan.scanners.evidence.statement.predicate_extensions import ChainLink, ScannerIdentity
from hardpan.scanners.model.scan import Scan
from hardpan.scanners.report.model.build import build_findings, build_smoke_document
from hardpan.scanners.report.model.display_text import replace_control_characters
from hardpan.scanners.report.model.scan_changes import ScanChanges
from hardpan.scanners.report.registry import FORMATS, Report, render_attachments
from hardpan.signing import Signer, embed_timestamp, sign, sign_cms_detached, sign_dsse


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningOptions:
    """Signatures and links that the evidence contains in addition to the scan."""

    timestamper: Callable[[bytes], bytes] | None = None
    """Gives an RFC 3161 token over a signature; None leaves the timestamp out."""

    certificate: Path | None = None
    """The signing key's certificate; with it goes a CMS signature."""

    chain: ChainLink | None = None
    runner: ScannerIdentity | None = None

    changes: ScanChanges | None = None
    """What changed since the statement before this one in the chain."""

    @property
    def companion_files(self) -> tuple[str, ...]:
        """The companion files: files next to the statement that are not its subjects."""
        conditions = {
            TEST_RESULT: True,
            OSCAL: True,
            TIMESTAMP: self.timestamper,
            CMS: self.certificate,
        }
        return tuple(name for name, is_present in conditions.items() if is_present)


def write_evidence(
    scan: Scan,
    signer: Signer,
    output: Path,
    emit: Emit,
    *,
    nonce: str = "",
    pq_signer: Signer | None = None,
    options: SigningOptions = SigningOptions(),  # frozen
) -> Path:
    """Sign ``scan`` and write the evidence file, and next to it the public key as ``*.pub``.

    ``pq_signer`` signs a second envelope over the same bytes. Everything except the signatures
    depends only on the scan, the options and the algorithms of the keys.

    Raises:
        InputError: ``output`` has another suffix, or the name of an attached file is reserved or
            not safe.
        HardpanError: the authority gave no timestamp; the file was written without one.
    """
    if not output.name.endswith(EVIDENCE_SUFFIX):
        raise InputError(f"{output}: expected a name that ends in {EVIDENCE_SUFFIX}")
    failure: HardpanError | None = None
    with events.run_stage(emit, "evidence") as note:
        signing = _Signing(
            scan=scan, signer=signer, pq_signer=pq_signer, nonce=nonce, options=options
        )
        try:
            files = signing.build_files(note)
        except _TimestampError as e:
            failure = e.error
            note(f"no timestamp: {failure}")
            files = replace(signing, options=replace(options, timestamper=None)).build_files(note)
        write_archive(output, files.items())
        key = public_key_path(output)
        write_atomic(key, signer.public.pem)
        if pq_signer is not None:
            write_atomic(pq_public_key_path(output), pq_signer.public.pem)
        note(f"wrote {output} and {key.name}")
    if failure is not None:
        failure.hint = f"{output} was written without a timestamp; scan again to get one"
        raise failure
    return output


class _TimestampError(Exception):
    """The authority gave no timestamp."""

    def __init__(self, error: HardpanError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signing:
    """What becomes one evidence file, and the keys that sign it."""

    scan: Scan
    signer: Signer
    pq_signer: Signer | None
    nonce: str
    options: SigningOptions

    def build_files(self, note: Callable[[str], None]) -> dict[str, bytes | CompressedBlob]:
        """Return the files of the evidence, signed.

        Raises:
            InputError: the name of an attached file is reserved or not safe.
            _TimestampError: the authority gave no timestamp.
        """
        report = build_report(
            self.scan, self.signer, pq_signer=self.pq_signer, options=self.options
        )
        files = build_attachments(self.scan, report)
        files[INDEX] = compress(render_index(report, files, self._signature_files))
        digests = {name: file.sha256 for name, file in files.items()}
        note(f"signing a statement over {len(digests)} files")
        signed = sign(build_statement(self._build_claim(report, files), digests), self.signer)
        results = build_statement_for(
            RESULTS_FILE, files[RESULTS_FILE].sha256
        )  # rendered in RFC 8785 form
        companions = {
            TEST_RESULT: _sign_test_result(report, digests, self.signer),
            OSCAL: extract_dsse(sign(results, self.signer)),
        }
        bundle = signed.bundle
        if self.pq_signer is not None:
            companions[PQ_ENVELOPE] = sign_dsse(signed.payload, self.pq_signer)
        if self.options.certificate is not None:
            companions[CMS] = sign_cms_detached(
                signed.payload, self.signer, self.options.certificate
            )
        if self.options.timestamper is not None:
            note("asking for a timestamp")
            companions[TIMESTAMP] = _request_timestamp(self.options.timestamper, signed.signature)
            bundle = embed_timestamp(bundle, companions[TIMESTAMP])
        signature_files = dict(
            zip(UNSIGNED_FILES, (bundle, signed.payload, signed.signature), strict=True)
        )
        return {**files, **companions, **signature_files}

    @property
    def _signature_files(self) -> tuple[str, ...]:
        """The files derived from the statement."""
        post_quantum = () if self.pq_signer is None else (PQ_ENVELOPE,)
        return (*UNSIGNED_FILES, *self.options.companion_files, *post_quantum)

    def _build_claim(self, report: Report, files: Mapping[str, CompressedBlob]) -> Predicate:
        return build_predicate(
            report.findings,
            report.smoke,
            arf=select_arf_names(files),
            invocation=tuple(map(replace_control_characters, self.scan.invocation)),
            nonce=self.nonce,
            version=version("hardpan"),
            signatures=list_expected_signatures(self.signer, self.pq_signer),
            companion_files=self.options.companion_files,
            chain=self.options.chain,
            runner=self.options.runner,
            has_host_signature=HOST_SIGNATURE in files,
        )


def _request_timestamp(timestamper: Callable[[bytes], bytes], signature: bytes) -> bytes:
    try:
        return timestamper(signature)
    except HardpanError as e:
        raise _TimestampError(e) from e


def list_expected_signatures(signer: Signer, pq_signer: Signer | None) -> tuple[str, ...]:
    """What the statement says about its signatures."""
    return (signer.public.alg, *(() if pq_signer is None else (pq_signer.public.alg,)))


def _sign_test_result(report: Report, digests: Mapping[str, str], signer: Signer) -> bytes:
    return sign(test_result.build_statement(report.findings, report.smoke, digests), signer).bundle


def select_arf_names(names: Iterable[str]) -> tuple[str, ...]:
    """The attached ARF documents."""
    return tuple(sorted(n for n in names if fnmatchcase(n.rpartition("/")[2], "arf*.xml")))


def build_report(
    scan: Scan,
    signer: Signer,
    *,
    pq_signer: Signer | None = None,
    options: SigningOptions = SigningOptions(),  # frozen
) -> Report:
    """Build the data that the reports are rendered from, with the expected signatures."""
    return Report(
        findings=build_findings(scan),
        smoke=None if scan.smoke is None else build_smoke_document(scan.smoke),
        signer_sha256=signer.public.sha256,
        predicate_type=PREDICATE_TYPE,
        expected_signatures=build_expected_signatures(
            list_expected_signatures(signer, pq_signer),
            options.companion_files,
            has_host_signature=HOST_SIGNATURE in scan.raw,
        ),
        changes=options.changes,
    )


def build_attachments(scan: Scan, report: Report) -> dict[str, CompressedBlob]:
    """Build the files that the statement will list, from ``scan`` and ``report``.

    Raises:
        InputError: the scan attaches a file under a name that is taken.
    """
    extra_files = {
        "VERIFY.md": render_verify_md(report).encode(),
        "verify.sh": render_verify_script(report.predicate_type).encode(),
        HOST: canonical_json(report.findings.host.to_json()),
        PACKAGES: "".join(f"{replace_control_characters(p)}\n" for p in scan.packages).encode(),
    }
    if scan.image is not None:
        extra_files[PROVENANCE] = scan.image.provenance
        extra_files[SBOM] = scan.image.sbom
    report_files = (f.filename for f in FORMATS.values())
    reserved = {*UNSIGNED_FILES, *COMPANION_FILES, PQ_ENVELOPE, PROVENANCE, SBOM, INDEX}
    conflicts = sorted({*extra_files, *reserved, *report_files} & set(scan.raw))
    if conflicts:
        raise InputError(f"{conflicts[0]}: this name in the evidence is taken")
    with compression_thread() as packer:  # compresses one file while the next is rendered
        futures = {name: packer.submit(compress, data) for name, data in render_attachments(report)}
        futures |= {n: packer.submit(compress, d) for n, d in {**extra_files, **scan.raw}.items()}
        return {name: future.result() for name, future in futures.items()}
