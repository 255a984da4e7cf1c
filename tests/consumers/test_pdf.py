"""The PDF, rendered by the real WeasyPrint."""

import re
import sys
import zlib
from importlib import import_module
from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.core.process import run
from hardpan.scanners.report.formats import pdf
from hardpan.scanners.report.registry import load_renderer
from tests.consumers.conftest import REPO
from tests.unit.report.test_reports import hostile_scan, report_of

pytestmark = pytest.mark.interop

_RENDER_SCRIPT = """
import sys
from pathlib import Path
from hardpan.scanners.report.registry import Report, load_renderer
from hardpan.scanners.report.model.documents import Findings
findings = Findings.model_validate_json(Path(sys.argv[1]).read_bytes())
report = Report(findings=findings, smoke=None, signer_sha256="ab" * 32, predicate_type="x")
Path(sys.argv[2]).write_bytes(load_renderer("pdf").render(report))
"""


def _render_in_subprocess(folder: Path, seed: str) -> bytes:
    findings_file, out = folder / "findings.json", folder / f"{seed}.pdf"
    findings_file.write_bytes(load_renderer("findings").render(report_of(hostile_scan())))
    env = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join([str(REPO), *sys.path])}
    run(
        [sys.executable, "-c", _RENDER_SCRIPT, findings_file, out], timeout_s=300, cwd=REPO, env=env
    )
    return out.read_bytes()


def _decompress_streams(pdf_bytes: bytes) -> bytes:
    """The file with its compressed streams opened: they contain most objects."""
    stream = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
    streams = stream.findall(pdf_bytes)
    decompressed = [zlib.decompressobj().decompress(x) for x in streams if x.startswith(b"x")]
    assert decompressed
    return b"\n".join([stream.sub(b"", pdf_bytes), *decompressed])


def test_pdf_is_deterministic_and_has_no_active_content(tmp_path: Path) -> None:
    first_pdf = _render_in_subprocess(tmp_path, "1")

    assert first_pdf == _render_in_subprocess(tmp_path, "2")
    assert first_pdf.startswith(b"%PDF-")
    content = _decompress_streams(first_pdf)
    assert b"/ModDate (D:20261121040500Z)" in content
    assert b"/Type /Page" in content
    for word in (b"/URI", b"/JavaScript", b"/JS", b"/Launch", b"/EmbeddedFile", b"/AcroForm"):
        assert word not in content


@pytest.mark.parametrize(
    "page",
    [
        '<img src="file:///etc/passwd">',
        '<link rel="stylesheet" href="https://evil.example/x.css">',
        '<style>body { background: url("https://evil.example/x.png") }</style>x',
        '<style>@import "file:///etc/x.css";</style>',
        '<object data="file:///etc/passwd"></object>',
    ],
)
def test_external_reference_aborts_pdf(monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    fatal = import_module("weasyprint.urls").FatalURLFetchingError
    monkeypatch.setattr(pdf, "render_html", lambda _: page)

    with pytest.raises(fatal) as caught:
        load_renderer("pdf").render(report_of(hostile_scan()))
    assert isinstance(caught.value.__cause__, InputError)
