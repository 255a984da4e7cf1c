"""The ARF as evidence carries it: oscap validates it, openscap-report renders it."""

import zipfile
from pathlib import Path

import pytest
from lxml import html

from hardpan.core.process import run
from tests.consumers.conftest import EVIDENCE, Consumers, require_evidence
from tests.consumers.tiny_arf import create_arf
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import EvidenceFixture
from tests.unit.evidence.evidence_fixture import create_fixture as make_evidence

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module", params=["tiny", EVIDENCE])
def arfs(
    request: pytest.FixtureRequest,
    named_evidence: Path | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Path]:
    """The ARF files out of an evidence file."""
    folder = tmp_path_factory.mktemp("arf")
    evidence = named_evidence
    if request.param == "tiny":
        lab: EvidenceFixture = make_evidence(tmp_path_factory.mktemp("lab"))
        scan = samples.scan(raw={"arf-0.xml": create_arf(folder).read_bytes()})
        evidence = samples.write_evidence(scan, lab.scan, folder)
    with zipfile.ZipFile(require_evidence(evidence)) as archive:
        names = [n for n in archive.namelist() if n.startswith("arf") and n.endswith(".xml")]
        return [Path(archive.extract(n, folder / "out")) for n in names]


def test_oscap_validates_the_arf(arfs: list[Path], tmp_path: Path) -> None:
    assert arfs
    for file in arfs:
        run(["oscap", "ds", "rds-validate", file], timeout_s=120, cwd=tmp_path)


def test_oscap_rejects_truncated_arf(arfs: list[Path], tmp_path: Path) -> None:
    truncated = tmp_path / "cut.xml"
    truncated.write_bytes(arfs[0].read_bytes()[:-200])

    completed = run(
        ["oscap", "ds", "rds-validate", truncated], timeout_s=120, cwd=tmp_path, ok=(0, 1, 2)
    )

    assert completed.returncode == 1
    assert "Premature end of data" in completed.stderr


@pytest.mark.parametrize("arfs", ["tiny"], indirect=True)  # of evidence: test_evidence_numbers
def test_openscap_report_renders_the_arf(
    programs: Consumers, arfs: list[Path], tmp_path: Path
) -> None:
    assert arfs
    for file in arfs:
        out = tmp_path / f"{file.stem}.html"
        programs.run("oscap-report", "-o", out, file, cwd=tmp_path)
        text = " ".join(html.fromstring(out.read_bytes()).itertext())

        assert "Evaluation Characteristics" in text
