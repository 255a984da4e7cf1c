"""A host that evaluates itself remediates only what fails."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hardpan.builder.ansible.paths import PLAYBOOKS

FILES = PLAYBOOKS / "roles" / "stig" / "files"
RESULTS = """<?xml version="1.0"?>
<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.2"><TestResult>
<rule-result idref="rule_a"><result>fail</result></rule-result>
<rule-result idref="rule_b"><result>pass</result></rule-result>
<rule-result idref="rule_c"><result>error</result></rule-result>
<rule-result idref="rule_d"><result>notselected</result></rule-result>
<rule-result idref="rule_e"><result>notapplicable</result></rule-result>
</TestResult></Benchmark>
"""


def load_program(name: str) -> dict[str, Any]:
    """Return the globals of a program that runs on the host, without running it."""
    scope: dict[str, Any] = {"__name__": name}
    exec(compile((FILES / f"{name}.py").read_text("utf-8"), f"{name}.py", "exec"), scope)  # noqa: S102
    return scope


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    program = load_program("evaluate")
    host = SimpleNamespace(status=2, results=RESULTS, argv=[], main=program["main"])

    def fake_run(argv: list[str], **_options: object) -> SimpleNamespace:
        host.argv.append(argv)
        Path(argv[argv.index("--results") + 1]).write_text(host.results)
        return SimpleNamespace(returncode=host.status)

    monkeypatch.setattr(program["subprocess"], "run", fake_run)
    monkeypatch.setattr(sys, "argv", ["evaluate.py", str(tmp_path), "/x/content.xml", "stig_id"])
    return host


def test_failing_rules_are_listed(
    evaluate: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate.main()

    assert json.loads((tmp_path / "failed.json").read_text()) == ["rule_a", "rule_c"]
    assert capsys.readouterr().out == "note: 2 of 4 rules fail\n"
    (argv,) = evaluate.argv
    assert argv[:3] == ["oscap", "xccdf", "eval"]
    assert argv[argv.index("--profile") + 1] == "stig_id"
    assert argv[-1] == "/x/content.xml"


def test_complete_evaluation_is_not_repeated(evaluate: SimpleNamespace) -> None:
    evaluate.main()
    evaluate.main()

    assert len(evaluate.argv) == 1


def test_evaluation_that_did_not_end_lists_nothing(
    evaluate: SimpleNamespace, tmp_path: Path
) -> None:
    evaluate.status = 1

    with pytest.raises(SystemExit, match="expected exit status 0 or 2, got 1"):
        evaluate.main()
    assert not (tmp_path / "failed.json").exists()


def test_content_without_verdicts_is_an_error(evaluate: SimpleNamespace, tmp_path: Path) -> None:
    evaluate.results = RESULTS.replace(">fail<", ">notapplicable<").replace(">pass<", ">unknown<")
    evaluate.results = evaluate.results.replace(">error<", ">notchecked<")

    with pytest.raises(SystemExit, match="expected verdicts about this host, got none"):
        evaluate.main()
    assert not (tmp_path / "failed.json").exists()


@pytest.fixture
def remediate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    program = load_program("remediate")
    host = SimpleNamespace(scripts=[], main=program["main"])
    manifest = {"rules": ["rule_a", "rule_b"], "install": [], "remove": [], "files": {}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))

    def fake_run(argv: list[str], _workdir: Path, _timeout_s: float) -> Any:
        host.scripts.append(Path(argv[-1]).name)
        return program["CommandResult"](0, "ran", 1.0)

    monkeypatch.setitem(host.main.__globals__, "run", fake_run)
    monkeypatch.setitem(host.main.__globals__, "change_packages", lambda *_: [])
    monkeypatch.setattr(sys, "argv", ["remediate.py", str(tmp_path), "60"])
    return host


def test_fixes_of_other_rules_are_not_run(remediate: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "failed.json").write_text('["rule_b"]')

    assert remediate.main() == 0

    outcomes = json.loads((tmp_path / "outcomes.json").read_text())["rules"]
    assert remediate.scripts == ["001.sh"]
    assert [(x["rule"], x["output"]) for x in outcomes] == [
        ("rule_a", "did not fail in the evaluation: not changed"),
        ("rule_b", "ran"),
    ]


def test_all_fixes_run_without_an_evaluation(remediate: SimpleNamespace) -> None:
    assert remediate.main() == 0
    assert remediate.scripts == ["000.sh", "001.sh"]
