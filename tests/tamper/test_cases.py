"""Verify the cases with hardpan; the integration tests run the other verifiers."""

import pytest

from tests.tamper import verdicts
from tests.tamper.kit import TamperKit, create_kit
from tests.tamper.verdicts import Variant

VARIANTS = verdicts.variants()


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> TamperKit:
    return create_kit(tmp_path_factory.mktemp("kit"))


@pytest.mark.parametrize("v", VARIANTS, ids=[f"{v.case[:2]}: {v.name}" for v in VARIANTS])
def test_forgery_fails_at_expected_check_and_control_passes(kit: TamperKit, v: Variant) -> None:
    in_ledger: set[str] = set()
    forged = v.forge_all(kit)

    assert forged
    for evidence in forged:
        actual = verdicts.verify_with_hardpan(kit, evidence)
        matches = [x for x in v.ledger if _fits(actual.ledger, x)]
        in_ledger.update(matches)

        assert _fits(actual.file, v.hardpan), actual.file
        assert set(v.passed) <= actual.passed
        assert matches, actual.ledger
    assert in_ledger == set(v.ledger)


def _fits(verdict: str, expected: str) -> bool:
    check, colon, text = expected.partition(": ")
    return verdict.startswith(check + colon) and text in verdict if colon else verdict == expected


def test_each_case_has_readme_control_and_verdicts() -> None:
    folders = verdicts.folders()

    assert [int(f.name[:2]) for f in folders] == list(range(1, 28))
    for folder in folders:
        variants = [v for v in VARIANTS if v.case == folder.name]
        text = (folder / "README.md").read_text()
        assert text.startswith(f"# {folder.name[:2]}: ")
        assert variants[0].name == "control"
        assert (variants[0].hardpan, variants[0].script, variants[0].cosign) == (
            "verified",
            "accepts",
            "accepts",
        )
        assert any(v.hardpan != "verified" for v in variants)
        for v in variants:
            assert {v.script, v.cosign} <= {"accepts", "refuses", "-"}, v.name


def test_accepted_unusual_variants_are_listed() -> None:
    accepted = {(v.case[:2], v.name) for v in VARIANTS if v.hardpan == "verified"}

    assert {(c, n) for c, n in accepted if "control" not in n} == {
        ("14", "url-safe is taken"),
        ("14", "no padding is taken"),
        ("15", "an unknown field in the statement is taken"),
        ("19", "exactly at the maximum age"),
        ("19", "the same nonce again"),
        ("20", "no host signature, none required"),
        ("22", "the ARF says something else"),
        ("23", "in the future, at the limit"),
        ("23", "key becomes valid when it signs"),
        ("23", "key expires when it signs"),
        ("23", "the TSA's certificate ended since"),
        ("23", "from before the scan, at the limit"),
        ("23", "long after the scan, at the limit"),
        ("24", "the policy ends later"),
        ("25", "no timestamp, none required"),
        ("26", "content: skipped"),
        ("26", "content: not run"),
        ("26", "content: not checked"),
        ("26", "content: fail"),
        ("26", "a profile's title"),
        ("26", "a host's name"),
        ("26", "an image's name"),
        ("26", "a rule's name, over no limit"),
    }
