"""``hardpan diff`` as a person types it."""

import json
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.core.errors import Exit
from hardpan.scanners.model.scan import Verdict
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import EvidenceFixture
from tests.unit.ledger.samples import scan_of_verdict

V = Verdict


def _write_evidence(lab: EvidenceFixture, folder: Path, name: str, verdict: V) -> Path:
    (folder / name).mkdir()
    return samples.write_evidence(scan_of_verdict(verdict), lab.scan, folder / name)


@pytest.fixture
def policy(lab: EvidenceFixture) -> str:
    return str(lab.ring.policy)


def test_diff_exits_1_on_regression_and_0_otherwise(
    lab: EvidenceFixture, tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = str(_write_evidence(lab, tmp_path, "good", V.PASS))
    regressed = str(_write_evidence(lab, tmp_path, "bad", V.FAIL))

    assert cli.run(["diff", good, regressed, "--policy", policy]) == Exit.FINDINGS
    out = capsys.readouterr().out
    assert "          verified: signed by key 'scan'\n" in out
    assert "regressions\n  rule r007 (medium): pass -> fail\n" in out
    assert "newly failing\n  medium r007: pass -> fail: Rule number 7\n" in out
    assert out.endswith(
        "rules: 0 fixed, 0 still failing, 1 newly failing\nverdict: regressions: 1\n"
    )
    assert cli.run(["diff", regressed, good, "--policy", policy]) == Exit.OK
    assert capsys.readouterr().out.endswith("verdict: no regression\n")


def test_diff_without_policy_reports_not_verified(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = str(_write_evidence(lab, tmp_path, "good", V.PASS))

    assert cli.run(["diff", good, good]) == Exit.OK
    assert capsys.readouterr().out.count("NOT VERIFIED: give --policy to verify") == 2
    assert cli.run(["diff", good, good, "--json"]) == Exit.OK
    answer = json.loads(capsys.readouterr().out)
    assert (answer["verified"], answer["regression"]) == (False, False)
    assert answer["rules"] == {
        "fixed": 0,
        "stillFailing": 0,
        "stillFailingWaived": 0,
        "newlyFailing": 0,
    }


def test_diff_rejects_unverified_evidence(
    lab: EvidenceFixture, tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = str(_write_evidence(lab, tmp_path, "good", V.PASS))
    forged = str(lab.sign_payload(lab.read_statement(), signer=lab.build))

    for pair in ([good, forged], [forged, good]):
        assert cli.run(["diff", *pair, "--policy", policy]) == Exit.TRUST
        assert capsys.readouterr().out == ""


def test_max_age_and_nonce_apply_to_current_only(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline = str(_write_evidence(lab, tmp_path, "old", V.PASS))  # without a nonce
    base = lab.ring.policy.read_text().partition("# More than this")[0]
    policy = lab.ring.policy.with_name("nonce.yaml")
    policy.write_text(base + f"nonce: {'n' * 16}\nmax_age_hours: 24\n")

    assert (
        cli.run(["diff", baseline, str(lab.valid_path), "--policy", str(policy)]) == Exit.FINDINGS
    )
    assert "rules no longer selected\n  medium r007" in capsys.readouterr().out
    assert cli.run(["diff", str(lab.valid_path), baseline, "--policy", str(policy)]) == Exit.TRUST


@pytest.mark.parametrize("points", ["x", "-1", "101", "1e3", "", "٣", ".5", "nan"])
def test_invalid_score_drop_is_usage_error(points: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.run(["diff", "a.zip", "b.zip", "--max-score-drop", points])
    stderr = capsys.readouterr().err

    assert code == Exit.USAGE
    assert f"--max-score-drop: expected points from 0 to 100, got {points!r}" in stderr


def test_control_characters_are_escaped_in_output(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = _write_evidence(lab, tmp_path, "good", V.PASS)
    hostile = lab.resign_with_files({"packages.txt": b"evil\x1b[2J-0:1-1.noarch\n\xff\n"})

    assert cli.run(["diff", str(good), str(hostile)]) == Exit.FINDINGS
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "  evil\\x1b[2J.noarch 0:1-1\n" in out
