from pathlib import Path

import pytest

from hardpan.errors import InputError
from hardpan.scanners.commands.keys import new_keys
from hardpan.scanners.evidence.trust import load_policy
from hardpan.signing import new_signer
from tests.unit.evidence.forge import KEYS_MADE

GOOD = """\
version: 1
keys:
  - id: lab-scan
    role: scan
    alg: ecdsa-p256-sha256
    spki: scan.pub
    not_before: 2026-01-01T00:00:00Z
    not_after: 2027-01-01T00:00:00Z
max_counts:
  fail: 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    new_signer(tmp_path / "scan.pem")
    return tmp_path


def _load(folder: Path, text: str) -> str:
    policy = folder / "trust.yaml"
    policy.write_text(text)
    with pytest.raises(InputError) as caught:
        load_policy(policy)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_good_policy_is_read_with_its_keys(folder: Path) -> None:
    (folder / "trust.yaml").write_text(GOOD)
    trust = load_policy(folder / "trust.yaml")

    assert [k.id for k, _ in trust.role("scan")] == ["lab-scan"]
    assert trust.role("build") == ()
    assert trust.policy.max_counts == {"fail": 3}
    assert trust.policy.clock_skew_s == 300


def test_a_key_may_stand_in_the_policy_itself(folder: Path) -> None:
    pem = (folder / "scan.pub").read_text().replace("\n", "\n      ")
    (folder / "trust.yaml").write_text(GOOD.replace("scan.pub", f"|\n      {pem}"))

    assert load_policy(folder / "trust.yaml").keys[0][1].pem == (folder / "scan.pub").read_text()


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("version: 1", "version: 2", "trust.yaml:1:10: version: Input should be 1, found 2"),
        ("role: scan", "role: root", "trust.yaml:4:11: keys[0].role: Input should be 'scan'"),
        ("ecdsa-p256-sha256", "ed25519", "trust.yaml:5:10: keys[0].alg: Input should be"),
        ("    spki: scan.pub\n", "", "trust.yaml:3:5: keys[0].spki: is missing"),
        ("scan.pub", "no.pub", "trust.yaml:6:11: keys[0].spki: no.pub: cannot be read: No such"),
        ("scan.pub", "scan.pem", "keys[0].spki: scan.pem: expected one public key"),
        ("2027-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "keys[0].not_after: is before not_before"),
        ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00", "keys[0].not_after: expected a time zone"),
        ("2027-01-01T00:00:00Z", "soon", "trust.yaml:8:16: keys[0].not_after: Input should be"),
        ("max_counts", "max_count", "trust.yaml:10:3: max_count: unknown setting"),
        ("fail: 3", "fails: 3", "max_counts.fails"),
        ("fail: 3", "fail: -1", "trust.yaml:10:9: max_counts.fail: Input should be greater"),
        ("fail: 3", "fail: 3\n  fail: 9", "trust.yaml:11:3: fail: appears twice"),
        ("role: scan", "role: scan\n    role: build", "trust.yaml:5:5: role: appears twice"),
        ("id: lab-scan", 'id: "a b"', "keys[0].id: String should match"),
        ("version: 1", "[", "not YAML"),
        ("version: 1", "- 1", "not YAML"),
    ],
)
def test_a_wrong_policy_is_named_with_its_place(
    folder: Path, was: str, now: str, said: str
) -> None:
    assert said in _load(folder, GOOD.replace(was, now))


def test_all_problems_are_told_at_once(folder: Path) -> None:
    said = _load(
        folder, GOOD.replace("version: 1", "version: 2\nmore: 1").replace("fail: 3", "x: 3")
    )

    assert len(said.splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "trust.yaml: expected settings, e.g. 'version: 1'"),
        ("hello", "trust.yaml: expected settings"),
        ("[1]", "trust.yaml: expected settings"),
        ("a: !!python/object:os.system x", "trust.yaml: could not determine a constructor"),
        ("x: *y", "trust.yaml: not YAML: found undefined alias"),
        ("#" * 2_000_000, "trust.yaml: expected at most 1048576 bytes"),
    ],
)
def test_what_is_no_policy_is_said_so(folder: Path, text: str, said: str) -> None:
    assert said in _load(folder, text)


def test_a_policy_that_trusts_no_key_is_refused(folder: Path) -> None:
    assert "keys: Tuple should have at least 1 item" in _load(folder, "version: 1\nkeys: []\n")


def test_one_key_may_not_have_two_roles_nor_two_keys_one_id(folder: Path) -> None:
    second = GOOD[GOOD.index("  - id") : GOOD.index("max_counts")]
    text = GOOD.replace("max_counts", second.replace("role: scan", "role: build") + "max_counts")
    said = _load(folder, text)

    assert "the same key may not have two roles" in said
    assert "keys[1].id: 'lab-scan' appears twice" in said


def test_new_keys_make_a_policy_that_loads(tmp_path: Path) -> None:
    ring = new_keys(tmp_path / "k", now=KEYS_MADE, host_keys=("SHA256:" + "A" * 43,))
    trust = load_policy(ring.policy)

    assert {k.role for k, _ in trust.keys} == {"scan", "build"}
    assert trust.policy.target.host_keys == ("SHA256:" + "A" * 43,)
    with pytest.raises(InputError, match="is there already"):
        new_keys(tmp_path / "k", now=KEYS_MADE)
