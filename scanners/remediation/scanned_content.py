"""The SCAP content of a scan, with its fixes, found again from the evidence.

The evidence has it whole, inside ``arf.xml``. Otherwise the data stream with the recorded digest is
taken from this machine or from a file, and the attached tailoring is applied to it again.
"""

from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import Sha256
from hardpan.core.limits import MAX_DATA_STREAM_BYTES
from hardpan.scanners.content import datastream
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.scap_xml import Element, find_benchmark, parse_data_stream
from hardpan.scanners.content.xccdf_tailoring import embed_tailoring
from hardpan.scanners.deviations.tailoring import bind_tailoring
from hardpan.scanners.deviations.tailoring_file import parse_tailoring
from hardpan.scanners.evidence.archive import EvidenceArchive
from hardpan.scanners.evidence.file_names import TAILORING_FILES
from hardpan.scanners.evidence.statement.model import Statement
from hardpan.scanners.evidence.verify.attached_files import read_subject
from hardpan.scanners.model.scan import ContentOrigin
from hardpan.scanners.openscap.merged_arf import MERGED_ARF, extract_data_stream
from hardpan.scanners.report.model.content_sections import ContentPart

_MAX_ARF_BYTES = MAX_DATA_STREAM_BYTES + (64 << 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedContent:
    """The benchmark of a scan, with the profiles of its tailoring."""

    bench: Element
    description: str
    """Where it was found."""


def load_scanned_content(
    archive: EvidenceArchive, statement: Statement, content: ContentPart, file: Path | None
) -> ScannedContent:
    """Find the content that was scanned: in ``file`` if there is one, else in the evidence.

    Raises:
        InputError: it is nowhere, or the file cannot be read.
        TrustError: the file has another digest, or the evidence changed while it was read.
    """
    if file is not None:
        return _load_source(_load_file(file, content), archive, statement, content)
    if MERGED_ARF in statement.list_digests():
        arf = read_subject(archive, statement, MERGED_ARF, max_bytes=_MAX_ARF_BYTES)
        data = extract_data_stream(arf, Sha256(content.derived_sha256))
        if data is not None:
            root = parse_data_stream(data, content.name)
            bench = find_benchmark(root, content.name, content.benchmark_id)
            return ScannedContent(bench=bench, description=f"{MERGED_ARF} of the evidence")
    source = _find_source(content)
    if source is None:
        raise InputError(
            f"{archive.path}: has no fixes: expected the scanned content in {MERGED_ARF}, or on "
            f"this machine with sha256 {content.source_sha256}",
            hint=f"give the {content.name} that was scanned with --content FILE",
        )
    return _load_source(source, archive, statement, content)


def _load_file(file: Path, content: ContentPart) -> ContentSource:
    source = datastream.from_file(file, content.benchmark_id)
    if source.sha256 != content.source_sha256:
        raise TrustError(
            f"{file}: expected the scanned content {content.name} {content.version} with sha256 "
            f"{content.source_sha256}, got {source.version} with {source.sha256}"
        )
    return source


def _find_source(content: ContentPart) -> ContentSource | None:
    """Return the shipped, updated or installed data stream with the recorded digest."""
    for origin in (ContentOrigin.SHIPPED, ContentOrigin.UPDATED):
        for product in datastream.list_products(origin):
            record = datastream.find_record(origin, product)
            if record is not None and record.sha256 == content.source_sha256:
                return datastream.find(product, origin, benchmark_id=content.benchmark_id)
    installed = datastream.INSTALLED / Path(content.name).name
    if installed.is_file():
        source = datastream.from_file(installed, content.benchmark_id)
        if source.sha256 == content.source_sha256:
            return source
    return None


def _load_source(
    source: ContentSource, archive: EvidenceArchive, statement: Statement, content: ContentPart
) -> ScannedContent:
    """Parse a data stream with the recorded digest, and apply the attached tailoring."""
    bench = find_benchmark(datastream.parse_source(source), source.name, content.benchmark_id)
    tailoring = content.tailoring
    if tailoring is not None:
        name = TAILORING_FILES[tailoring.format]
        data = read_subject(archive, statement, name, max_bytes=MAX_DATA_STREAM_BYTES)
        file = parse_tailoring(data, path=f"{archive.path}: {name}", name=name)
        requested = tailoring.profile_id if tailoring.format == "xccdf" else ""
        bound = bind_tailoring(file, source, requested, tailoring.base_profile_id)
        embed_tailoring(bench, bound.element, source.name)
    return ScannedContent(bench=bench, description=str(source))
