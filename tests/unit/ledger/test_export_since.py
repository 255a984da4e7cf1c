"""``hardpan export --as html --since``: the page tells what changed."""

from pathlib import Path
from typing import Any

import pytest

from hardpan import cli
from hardpan.core.errors import Exit
from hardpan.scanners.comparison.formatting import summarize_for_report
from hardpan.scanners.comparison.scan_diff import ScanSnapshot, compare_scans
from hardpan.scanners.evidence.sign.writer import SigningOptions
from hardpan.scanners.evidence.statement.predicate_extensions import ChainLink
from hardpan.scanners.model.scan import Verdict
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import EvidenceFixture
from tests.unit.ledger.samples import scan_of_rules, scan_of_verdict, snapshot

V = Verdict


NONCE, BASELINE_SHA256 = "n" * 16, "a" * 64
CHAIN_POLICY = (
    f"\nnonce: {NONCE}\nprevious_statement: {{sequence: 1, statement_sha256: {BASELINE_SHA256}}}\n"
)


def _write_evidence(lab: EvidenceFixture, folder: Path, verdict: V, **options: Any) -> Path:
    folder.mkdir()
    return samples.write_evidence(scan_of_verdict(verdict), lab.scan, folder, **options)


def _export_argv(
    lab: EvidenceFixture, evidence: Path, since: Path, *options: str, policy: str = ""
) -> list[str]:
    path = lab.ring.policy.with_name("since.yaml")
    path.write_text(lab.ring.policy.read_text() + policy)
    return ["export", str(evidence), "--policy", str(path), "--since", str(since), *options]


def test_every_changed_rule_is_listed_once() -> None:
    def scan(*verdicts: V | None) -> ScanSnapshot:
        numbered = enumerate(verdicts, start=1)
        return snapshot(scan_of_rules(*(samples.rule(n, v) for n, v in numbered if v is not None)))

    changes = summarize_for_report(
        compare_scans(
            scan(V.PASS, V.FAIL, V.NOT_CHECKED, None, V.PASS, V.FAIL),
            scan(V.FAIL, V.PASS, V.NOT_APPLICABLE, V.PASS, None, V.FAIL),
        ),
        statement_sha256=BASELINE_SHA256,
    )
    titles = {
        name: [c.title for c in getattr(changes, name)]
        for name in ("newly_failing", "fixed", "other")
    }

    assert titles == {
        "newly_failing": ["Rule number 1"],
        "fixed": ["Rule number 2"],
        "other": ["Rule number 3", "Rule number 4", "Rule number 5"],
    }


def test_export_html_since_lists_changes(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline = _write_evidence(
        lab, tmp_path / "old", V.PASS
    )  # without a nonce, and nothing before it
    signing_options = SigningOptions(
        chain=ChainLink(sequence=2, previous_statement_sha256=BASELINE_SHA256)
    )
    current = _write_evidence(lab, tmp_path / "new", V.FAIL, nonce=NONCE, options=signing_options)

    argv = _export_argv(lab, current, baseline, "--as", "html", policy=CHAIN_POLICY)
    assert cli.run(argv) == Exit.OK
    page = capsys.readouterr().out
    assert '<h2 id="changes-h">' in page
    assert '<span class="change">pass → fail</span>' in page
    assert cli.run([x for x in argv if x not in ("--since", str(baseline))]) == Exit.OK
    assert '<h2 id="changes-h">' not in capsys.readouterr().out


def test_export_since_requires_verified_baseline(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    current = _write_evidence(lab, tmp_path / "new", V.FAIL)
    forged = lab.sign_payload(lab.read_statement(), signer=lab.build)

    assert cli.run(_export_argv(lab, current, forged, "--as", "html")) == Exit.TRUST
    assert capsys.readouterr().out == ""


def test_since_requires_html(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    current = _write_evidence(lab, tmp_path / "new", V.FAIL)

    assert cli.run(_export_argv(lab, current, current, "--as", "csv")) == Exit.USAGE
    assert "--since: expected --as html, got --as csv" in capsys.readouterr().err
