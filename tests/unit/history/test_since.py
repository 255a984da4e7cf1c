"""``hardpan export --as html --since``: the page tells what changed."""

from pathlib import Path
from typing import Any

import pytest

from hardpan import cli
from hardpan.errors import Exit
from hardpan.scanners.evidence.bindings import Chain
from hardpan.scanners.evidence.bundle import Terms
from hardpan.scanners.history.diff import Side, diff
from hardpan.scanners.history.wording import for_page
from hardpan.scanners.model import Verdict
from tests.unit.evidence import samples
from tests.unit.evidence.forge import Lab
from tests.unit.history.scans import of_rules, of_verdict, side

V = Verdict


NONCE, BEFORE = "n" * 16, "a" * 64
NEWEST = f"\nnonce: {NONCE}\nafter: {{sequence: 1, statement_sha256: {BEFORE}}}\n"


def _evidence(lab: Lab, folder: Path, verdict: V, **more: Any) -> Path:
    folder.mkdir()
    return samples.write(of_verdict(verdict), lab.scan, folder, **more)


def _export(lab: Lab, evidence: Path, since: Path, *more: str, policy: str = "") -> list[str]:
    path = lab.ring.policy.with_name("since.yaml")
    path.write_text(lab.ring.policy.read_text() + policy)
    return ["export", str(evidence), "--policy", str(path), "--since", str(since), *more]


def test_every_changed_rule_is_told_once() -> None:
    def scan(*verdicts: V | None) -> Side:
        numbered = enumerate(verdicts, start=1)
        return side(of_rules(*(samples.rule(n, v) for n, v in numbered if v is not None)))

    made = for_page(
        diff(
            scan(V.PASS, V.FAIL, V.NOT_CHECKED, None, V.PASS, V.FAIL),
            scan(V.FAIL, V.PASS, V.NOT_APPLICABLE, V.PASS, None, V.FAIL),
        ),
        statement_sha256=BEFORE,
    )
    told = {name: [c.title for c in getattr(made, name)] for name in ("opened", "closed", "others")}

    assert told == {
        "opened": ["Rule number 1"],
        "closed": ["Rule number 2"],
        "others": ["Rule number 3", "Rule number 4", "Rule number 5"],
    }


def test_the_page_of_the_newer_one_has_the_changes(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = _evidence(lab, tmp_path / "old", V.PASS)  # without a nonce, and nothing before it
    terms = Terms(chain=Chain(sequence=2, previous_statement_sha256=BEFORE))
    new = _evidence(lab, tmp_path / "new", V.FAIL, nonce=NONCE, terms=terms)

    argv = _export(lab, new, old, "--as", "html", policy=NEWEST)
    assert cli.run(argv) == Exit.DONE
    page = capsys.readouterr().out
    assert '<h2 id="changes-h">' in page
    assert '<span class="turn">pass → fail</span>' in page
    assert cli.run([x for x in argv if x not in ("--since", str(old))]) == Exit.DONE
    assert '<h2 id="changes-h">' not in capsys.readouterr().out


def test_older_evidence_must_verify_too(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = _evidence(lab, tmp_path / "new", V.FAIL)
    forged = lab.signed(lab.statement(), signer=lab.build)

    assert cli.run(_export(lab, new, forged, "--as", "html")) == Exit.TRUST
    assert capsys.readouterr().out == ""


def test_only_the_page_knows_since(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = _evidence(lab, tmp_path / "new", V.FAIL)

    assert cli.run(_export(lab, new, new, "--as", "csv")) == Exit.USAGE
    assert "--since: only the page tells what changed: give --as html" in capsys.readouterr().err
