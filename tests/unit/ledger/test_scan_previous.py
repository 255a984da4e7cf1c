"""``hardpan scan --previous --policy``: the attached page tells what changed."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardpan import cli
from hardpan.core.errors import Exit, TrustError
from hardpan.core.files import sha256_bytes
from hardpan.scanners import pipeline
from hardpan.scanners.evidence.sign import writer
from hardpan.scanners.evidence.statement.predicate_extensions import ChainLink
from hardpan.scanners.ledger.previous_evidence import changes_since_previous, load_previous
from hardpan.scanners.model.scan import Scan, Verdict
from hardpan.scanners.scan_request import ScanRequest
from tests.unit.cli.replaced_scan import replace_scan
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import EvidenceFixture
from tests.unit.ledger.samples import scan_of_verdict

V = Verdict
ScanRunner = Callable[..., int]


@pytest.fixture
def previous(lab: EvidenceFixture, tmp_path: Path) -> Path:
    """The host's last evidence: rule 7 passed."""
    (tmp_path / "old").mkdir()
    return samples.write_evidence(scan_of_verdict(V.PASS), lab.scan, tmp_path / "old")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "new.evidence.zip"


@pytest.fixture
def run_scan(
    lab: EvidenceFixture, tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> ScanRunner:
    """Runs ``hardpan scan`` on a host that is not there: rule 7 fails on it."""

    def scan(_request: ScanRequest, _emit: Any) -> Scan:
        return scan_of_verdict(V.FAIL)

    replace_scan(monkeypatch, scan)
    required_options = ["--profile", "lab-stig", "--key", str(lab.ring.scan), "-o", str(output)]
    more_options = ["--fail-on", "none", "-q"]
    return lambda *more: cli.run(
        ["scan", "root@lab", *required_options, *more_options, *map(str, more)]
    )


def _files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as z:
        return {n: z.read(n) for n in z.namelist()}


def test_attached_html_lists_changes_and_matches_export(
    lab: EvidenceFixture, run_scan: ScanRunner, previous: Path, output: Path, tmp_path: Path
) -> None:
    policy = lab.ring.policy

    assert run_scan("--previous", previous, "--policy", policy) == Exit.OK
    files = _files(output)
    page = files["report.html"].decode()
    assert '<span class="change">pass → fail</span>' in page
    assert f"sha256:{sha256_bytes(_files(previous)['statement.json'])}" in page
    for name, file in (("html", "report.html"), ("changes", "changes.json")):
        out = tmp_path / "out"
        argv = ["export", str(output), "--policy", str(policy), "--as", name, "-o", str(out)]
        assert cli.run(argv) == Exit.OK
        assert out.read_bytes() == files[file]


def test_previous_without_policy_only_chains(
    lab: EvidenceFixture,
    run_scan: ScanRunner,
    previous: Path,
    output: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_scan("--previous", previous) == Exit.OK
    files = _files(output)

    assert "changes.json" not in files
    assert b'id="changes"' not in files["report.html"]
    chain = lab.verify(output).statement.predicate.chain
    assert chain is not None
    assert chain.previous_statement_sha256 == sha256_bytes(_files(previous)["statement.json"])
    argv = ["export", str(output), "--policy", str(lab.ring.policy), "--as", "changes"]
    assert cli.run(argv) == Exit.INPUT
    error = capsys.readouterr().err
    assert "was not compared with an earlier scan, so there is no changes.json" in error
    assert "hint: 'hardpan diff OLDER NEWER' compares two" in error


def test_unverified_previous_evidence_aborts_before_scan(
    lab: EvidenceFixture, run_scan: ScanRunner, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = lab.sign_payload(lab.read_statement(), signer=lab.build)
    monkeypatch.setattr(pipeline, "scan", None)

    assert run_scan("--previous", forged, "--policy", lab.ring.policy) == Exit.TRUST
    assert not output.exists()


def test_policy_requires_previous(
    lab: EvidenceFixture, run_scan: ScanRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_scan("--policy", lab.ring.policy) == Exit.USAGE
    assert "--policy: is for the host's last evidence" in capsys.readouterr().err


def test_previous_evidence_changed_during_scan_is_rejected(
    lab: EvidenceFixture, previous: Path
) -> None:
    previous = load_previous(previous, lab.ring.policy)
    assert previous is not None
    report = writer.build_report(scan_of_verdict(V.FAIL), lab.scan)
    other = ChainLink(sequence=2, previous_statement_sha256="0" * 64)

    with pytest.raises(TrustError, match="was changed while the scan ran"):
        changes_since_previous(previous, other, report)


def test_export_since_overrides_recorded_changes(
    lab: EvidenceFixture, run_scan: ScanRunner, previous: Path, output: Path, tmp_path: Path
) -> None:
    (tmp_path / "older").mkdir()
    older = samples.write_evidence(scan_of_verdict(V.NOT_CHECKED), lab.scan, tmp_path / "older")
    assert run_scan("--previous", previous, "--policy", lab.ring.policy) == Exit.OK
    out = tmp_path / "out.html"
    argv = ["export", str(output), "--policy", str(lab.ring.policy), "--as", "html"]

    assert cli.run([*argv, "--since", str(older), "-o", str(out)]) == Exit.OK
    page = out.read_text("utf-8")
    assert '<span class="change">not checked → fail</span>' in page
    assert sha256_bytes(_files(older)["statement.json"]) in page
    assert sha256_bytes(_files(previous)["statement.json"]) not in page
