"""Evidence that says what changed since the host's last."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardpan.scanners.evidence.bundle import Terms
from hardpan.scanners.evidence.checks import RefusedError
from tests.unit.evidence import samples
from tests.unit.evidence.forge import Lab

Change = Callable[[Any], object]


@pytest.fixture(scope="module")
def compared(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab whose good evidence was compared with an older scan."""
    folder = tmp_path_factory.mktemp("compared")
    terms = Terms(chain=samples.BEFORE, changes=samples.CHANGES)
    good = samples.write(samples.slim_scan(), lab.scan, folder, terms=terms)
    return replace(lab, folder=folder, good=good)


def _with(made: Lab, change: Change) -> Path:
    """Its changes changed, and signed again with the right key."""
    told = json.loads(made.files()["changes.json"])
    change(told)
    return made.with_files({"changes.json": json.dumps(told).encode()})


def test_what_changed_is_verified_with_the_rest(compared: Lab, lab: Lab) -> None:
    assert compared.verify(compared.good).changes == samples.CHANGES
    assert lab.verify(lab.good).changes is None
    assert "changes.json" not in lab.files()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["opened"][0].update({"new": "pass"}), "disagrees with the findings"),
        (lambda c: c["opened"][0].update({"waived": True}), "disagrees with the findings"),
        (lambda c: c["opened"][0].update({"new": None}), "disagrees with the findings"),
        (lambda c: c["others"][0].update({"new": "pass"}), "disagrees with the findings"),
        (lambda c: c["others"][0].update({"waived": True}), "disagrees with the findings"),
        (lambda c: c["others"].append(c["opened"][0]), "disagrees with the findings"),
        (lambda c: c["closed"].append(c["others"][0]), "disagrees with the findings"),
        (lambda c: c.update({"statementSha256": "0" * 64}), "is not about the statement before"),
        (lambda c: c.pop("statementSha256"), "statementSha256: Field required"),
        (lambda c: c.update({"since": "yesterday"}), "since"),
        (lambda c: c["opened"][0].update({"new": "better"}), "opened.0.new"),
    ],
)
def test_changes_that_do_not_hold_are_refused(compared: Lab, change: Change, said: str) -> None:
    with pytest.raises(RefusedError, match=rf"findings: .*changes\.json: .*{said}"):
        compared.verify(_with(compared, change))


@pytest.mark.parametrize(
    "chain", [None, {"sequence": 1, "previousStatementSha256": None}], ids=["none", "first"]
)
def test_changes_without_a_statement_before_are_refused(
    compared: Lab, chain: dict[str, object] | None
) -> None:
    forged = compared.changed(lambda s: s["predicate"].update({"chain": chain}))

    with pytest.raises(RefusedError, match="is not about the statement before this one"):
        compared.verify(forged)


def test_changes_left_out_are_missed(compared: Lab) -> None:
    files = compared.files()
    del files["changes.json"]

    with pytest.raises(RefusedError, match=r"changes\.json: is listed but missing"):
        compared.verify(compared.put(files))
