"""Third-party programs, and the documents that they read.

These tests run on request only, so a missing program fails them. Those with the marker
``evidence`` read a file that a scan wrote: ``HARDPAN_EVIDENCE`` names it.
"""

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan.core.process import CompletedProcess, run
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.scanners.report.registry import FORMATS, Report, load_renderer
from tests.unit.evidence import samples
from tests.unit.report.test_reports import hostile_scan, report_of

REPO = Path(__file__).parents[2]
EVIDENCE = pytest.param("given", marks=pytest.mark.evidence)
"""The parameter of tests that also read the named evidence."""

SCANS = ("good", "evil", "bare", "clean", EVIDENCE)
RENDERED_FORMATS = tuple(
    name
    for name, spec in FORMATS.items()
    if name != "pdf" and not (spec.requires_smoke or spec.requires_stig or spec.requires_changes)
)


class Consumers:
    """Runs what ``make setup-readers`` and ``make setup-interop`` installed."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._bin = REPO / ".interop" / "bin"

    def run(
        self, name: str, *args: str | Path, cwd: Path, ok: tuple[int, ...] = (0,)
    ) -> CompletedProcess:
        """Run one; ``ok`` are the exit codes that are expected."""
        program = self._bin / name
        if not program.exists():
            pytest.fail(f"{name} is missing: make setup-readers")
        # The SAF CLI would ask for a newer version of itself.
        env = {
            "HOME": str(self._home),
            "PATH": f"{self._bin}:{os.defpath}",
            "SAF_SKIP_AUTOUPDATE": "1",
        }
        return run([program, *args], timeout_s=300, cwd=cwd, env=env, ok=ok)

    def installed_folder(self, folder: Path, *, setup: str = "setup-readers") -> Path:
        """The folder of a program from npm, once ``make`` has filled it."""
        if not (folder / "node_modules" / ".done").is_file():
            pytest.fail(f"{folder.name} is not installed: make {setup}")
        return folder


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Consumers:
    return Consumers(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def named_evidence() -> Path | None:
    """The evidence that the caller named, if any."""
    value = os.environ.get("HARDPAN_EVIDENCE", "")
    return Path(value) if value else None


@pytest.fixture(scope="session")
def evidence_file(named_evidence: Path | None) -> Path:
    """The evidence that the caller named."""
    return require_evidence(named_evidence)


@pytest.fixture(scope="session", params=SCANS)
def rendered_folder(
    request: pytest.FixtureRequest,
    named_evidence: Path | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with every format of one scan; of the named evidence, as it is attached there."""
    folder = tmp_path_factory.mktemp(str(request.param))
    report = (
        _evidence_report(named_evidence)
        if request.param == "given"
        else _sample_report(str(request.param))
    )
    attached = read_archive(named_evidence) if named_evidence and request.param == "given" else {}
    for name in RENDERED_FORMATS:
        file = FORMATS[name].filename
        (folder / file).write_bytes(attached.get(file) or load_renderer(name).render(report))
    return folder


def require_evidence(evidence: Path | None) -> Path:
    """The named evidence; ends the test if there is none."""
    if evidence is None:
        pytest.skip("no EVIDENCE=file was named")
    return evidence


def read_archive(evidence: Path) -> dict[str, bytes]:
    """The files in evidence."""
    with zipfile.ZipFile(evidence) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _sample_report(name: str) -> Report:
    if name == "evil":
        return report_of(hostile_scan())
    if name == "bare":
        return report_of(samples.scan(smoke=None, checks=(), baseline_counts=None, fips=None))
    if name == "clean":
        evaluation = replace(samples.scan().evaluation, results=samples.RULES[:1])
        return report_of(samples.scan(evaluation=evaluation))
    return report_of(samples.scan(compatibility=samples.COMPATIBILITY))


def _evidence_report(evidence: Path | None) -> Report:
    files = read_archive(require_evidence(evidence))
    smoke = files.get("smoke.json")
    return replace(
        report_of(samples.scan()),
        findings=Findings.model_validate_json(files["findings.json"]),
        smoke=None if smoke is None else SmokeDocument.model_validate_json(smoke),
    )
