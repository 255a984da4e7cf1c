"""``hardpan scan --previous --policy``: the attached page tells what changed."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardpan import cli
from hardpan.errors import Exit, TrustError
from hardpan.files import sha256_bytes
from hardpan.scanners import pipeline
from hardpan.scanners.commands.since import last, since_last
from hardpan.scanners.evidence import bundle
from hardpan.scanners.evidence.bindings import Chain
from hardpan.scanners.model import Scan, Verdict
from tests.unit.content.tiny import TINY
from tests.unit.evidence import samples
from tests.unit.evidence.forge import Lab
from tests.unit.history.scans import of_verdict

V = Verdict
Scans = Callable[..., int]


@pytest.fixture
def old(lab: Lab, tmp_path: Path) -> Path:
    """The host's last evidence: rule 7 passed."""
    (tmp_path / "old").mkdir()
    return samples.write(of_verdict(V.PASS), lab.scan, tmp_path / "old")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return tmp_path / "new.evidence.zip"


@pytest.fixture
def scans(lab: Lab, tmp_path: Path, new: Path, monkeypatch: pytest.MonkeyPatch) -> Scans:
    """Runs ``hardpan scan`` on a host that is not there: rule 7 fails on it."""
    (tmp_path / "ds.xml").write_bytes(TINY)

    def scan(_request: pipeline.Request, _emit: Any) -> Scan:
        return of_verdict(V.FAIL)

    monkeypatch.setattr(pipeline, "scan", scan)
    given = ["--profile", "lab-stig", "--key", str(lab.ring.scan), "-o", str(new)]
    content = ["--content", str(tmp_path / "ds.xml"), "--fail-on", "none", "-q"]
    return lambda *more: cli.run(["scan", "root@lab", *given, *content, *map(str, more)])


def _files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as z:
        return {n: z.read(n) for n in z.namelist()}


def test_the_attached_page_has_the_changes_and_export_draws_the_same(
    lab: Lab, scans: Scans, old: Path, new: Path, tmp_path: Path
) -> None:
    policy = lab.ring.policy

    assert scans("--previous", old, "--policy", policy) == Exit.DONE
    files = _files(new)
    page = files["report.html"].decode()
    assert '<span class="turn">pass → fail</span>' in page
    assert f"sha256:{sha256_bytes(_files(old)['statement.json'])}" in page
    for name, file in (("html", "report.html"), ("changes", "changes.json")):
        out = tmp_path / "out"
        argv = ["export", str(new), "--policy", str(policy), "--as", name, "-o", str(out)]
        assert cli.run(argv) == Exit.DONE
        assert out.read_bytes() == files[file]


def test_without_a_policy_it_only_comes_after(
    lab: Lab, scans: Scans, old: Path, new: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scans("--previous", old) == Exit.DONE
    files = _files(new)

    assert "changes.json" not in files
    assert b'id="changes"' not in files["report.html"]
    chain = lab.verify(new).statement.predicate.chain
    assert chain is not None
    assert chain.previous_statement_sha256 == sha256_bytes(_files(old)["statement.json"])
    argv = ["export", str(new), "--policy", str(lab.ring.policy), "--as", "changes"]
    assert cli.run(argv) == Exit.INPUT
    assert "was compared with no older scan, so there is no changes.json" in capsys.readouterr().err


def test_last_evidence_that_does_not_verify_ends_it_before_the_scan(
    lab: Lab, scans: Scans, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = lab.signed(lab.statement(), signer=lab.build)
    monkeypatch.setattr(pipeline, "scan", None)

    assert scans("--previous", forged, "--policy", lab.ring.policy) == Exit.TRUST
    assert not new.exists()


def test_a_policy_alone_has_nothing_to_judge(
    lab: Lab, scans: Scans, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scans("--policy", lab.ring.policy) == Exit.USAGE
    assert "--policy: is for the host's last evidence" in capsys.readouterr().err


def test_evidence_that_was_changed_meanwhile_is_not_compared(lab: Lab, old: Path) -> None:
    before = last(old, lab.ring.policy)
    assert before is not None
    report = bundle.report_of(of_verdict(V.FAIL), lab.scan)
    other = Chain(sequence=2, previous_statement_sha256="0" * 64)

    with pytest.raises(TrustError, match="was changed while the scan ran"):
        since_last(before, other, report)


def test_since_another_one_wins_over_the_last(
    lab: Lab, scans: Scans, old: Path, new: Path, tmp_path: Path
) -> None:
    (tmp_path / "older").mkdir()
    older = samples.write(of_verdict(V.NOT_CHECKED), lab.scan, tmp_path / "older")
    assert scans("--previous", old, "--policy", lab.ring.policy) == Exit.DONE
    out = tmp_path / "out.html"
    argv = ["export", str(new), "--policy", str(lab.ring.policy), "--as", "html"]

    assert cli.run([*argv, "--since", str(older), "-o", str(out)]) == Exit.DONE
    page = out.read_text("utf-8")
    assert '<span class="turn">not checked → fail</span>' in page
    assert sha256_bytes(_files(older)["statement.json"]) in page
    assert sha256_bytes(_files(old)["statement.json"]) not in page
