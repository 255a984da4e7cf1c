"""``hardpan diff`` as a person types it."""

import json
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.errors import Exit
from hardpan.scanners.model import Verdict
from tests.unit.evidence import samples
from tests.unit.evidence.forge import Lab
from tests.unit.history.scans import of_verdict

V = Verdict


def _evidence(lab: Lab, folder: Path, name: str, verdict: V) -> Path:
    (folder / name).mkdir()
    return samples.write(of_verdict(verdict), lab.scan, folder / name)


@pytest.fixture
def policy(lab: Lab) -> str:
    return str(lab.ring.policy)


def test_a_regression_ends_with_1_and_the_way_back_with_0(
    lab: Lab, tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = str(_evidence(lab, tmp_path, "good", V.PASS))
    bad = str(_evidence(lab, tmp_path, "bad", V.FAIL))

    assert cli.run(["diff", good, bad, "--policy", policy]) == Exit.FINDINGS
    out = capsys.readouterr().out
    assert "     verified: signed by key 'scan'\n" in out
    assert "regressions\n  rule r007 (medium): pass -> fail\n" in out
    assert "newly failing\n  medium r007: pass -> fail: Rule number 7\n" in out
    assert out.endswith("verdict: regressions: 1\n")
    assert cli.run(["diff", bad, good, "--policy", policy]) == Exit.DONE
    assert capsys.readouterr().out.endswith("verdict: no regression\n")


def test_without_a_policy_nobody_vouches(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = str(_evidence(lab, tmp_path, "good", V.PASS))

    assert cli.run(["diff", good, good]) == Exit.DONE
    assert capsys.readouterr().out.count("NOT VERIFIED: anyone could have written this") == 2
    assert cli.run(["diff", good, good, "--json"]) == Exit.DONE
    answer = json.loads(capsys.readouterr().out)
    assert (answer["verified"], answer["regression"]) == (False, False)


def test_nothing_is_compared_that_does_not_verify(
    lab: Lab, tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = str(_evidence(lab, tmp_path, "good", V.PASS))
    forged = str(lab.signed(lab.statement(), signer=lab.build))

    for pair in ([good, forged], [forged, good]):
        assert cli.run(["diff", *pair, "--policy", policy]) == Exit.TRUST
        assert capsys.readouterr().out == ""


def test_greatest_age_and_nonce_are_asked_of_the_newer_one_alone(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = str(_evidence(lab, tmp_path, "old", V.PASS))  # without a nonce
    base = lab.ring.policy.read_text().partition("# More than this")[0]
    policy = lab.ring.policy.with_name("nonce.yaml")
    policy.write_text(base + f"nonce: {'n' * 16}\nmax_age_hours: 24\n")

    assert cli.run(["diff", old, str(lab.good), "--policy", str(policy)]) == Exit.FINDINGS
    assert "rules no longer selected\n  medium r007" in capsys.readouterr().out
    assert cli.run(["diff", str(lab.good), old, "--policy", str(policy)]) == Exit.TRUST


@pytest.mark.parametrize("points", ["x", "-1", "101", "1e3", "", "٣", ".5", "nan"])
def test_points_that_are_none_are_refused(points: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.run(["diff", "a.zip", "b.zip", "--max-score-drop", points])
    told = capsys.readouterr().err

    assert code == Exit.USAGE
    assert f"--max-score-drop: expected points from 0 to 100, found {points!r}" in told


def test_a_target_cannot_write_to_the_terminal(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = _evidence(lab, tmp_path, "good", V.PASS)
    evil = lab.with_files({"packages.txt": b"evil\x1b[2J-0:1-1.noarch\n\xff\n"})

    assert cli.run(["diff", str(good), str(evil)]) == Exit.FINDINGS
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "  evil\\x1b[2J.noarch 0:1-1\n" in out
