"""The PDF, drawn by the real WeasyPrint."""

import re
import sys
import zlib
from importlib import import_module
from pathlib import Path

import pytest

from hardpan.errors import InputError
from hardpan.process import run
from hardpan.scanners.report import pdf
from hardpan.scanners.report.base import renderer
from tests.interop.conftest import REPO
from tests.unit.report.test_reports import evil, report_of

pytestmark = pytest.mark.interop

_DRAW = """
import sys
from pathlib import Path
from hardpan.scanners.report.base import Report, renderer
from hardpan.scanners.report.documents import Findings
found = Findings.model_validate_json(Path(sys.argv[1]).read_bytes())
report = Report(findings=found, smoke=None, signer_sha256="ab" * 32, predicate_type="x")
Path(sys.argv[2]).write_bytes(renderer("pdf").render(report))
"""


def _drawn(folder: Path, seed: str) -> bytes:
    found, out = folder / "findings.json", folder / f"{seed}.pdf"
    found.write_bytes(renderer("findings").render(report_of(evil())))
    env = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join([str(REPO), *sys.path])}
    run([sys.executable, "-c", _DRAW, found, out], timeout_s=300, cwd=REPO, env=env)
    return out.read_bytes()


def _opened(made: bytes) -> bytes:
    """The file with its compressed streams opened: most objects lie in them."""
    stream = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
    streams = stream.findall(made)
    opened = [zlib.decompressobj().decompress(x) for x in streams if x.startswith(b"x")]
    assert opened
    return b"\n".join([stream.sub(b"", made), *opened])


def test_two_processes_draw_the_same_bytes_and_nothing_in_them_acts(tmp_path: Path) -> None:
    made = _drawn(tmp_path, "1")

    assert made == _drawn(tmp_path, "2")
    assert made.startswith(b"%PDF-")
    inside = _opened(made)
    assert b"/ModDate (D:20261121040500Z)" in inside
    assert b"/Type /Page" in inside
    for word in (b"/URI", b"/JavaScript", b"/JS", b"/Launch", b"/EmbeddedFile", b"/AcroForm"):
        assert word not in inside


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
def test_a_page_that_refers_to_anything_ends_the_drawing(
    monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    fatal = import_module("weasyprint.urls").FatalURLFetchingError
    monkeypatch.setattr(pdf, "html", lambda _: page)

    with pytest.raises(fatal) as caught:
        renderer("pdf").render(report_of(evil()))
    assert isinstance(caught.value.__cause__, InputError)
