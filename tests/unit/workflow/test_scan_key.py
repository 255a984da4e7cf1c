from pathlib import Path

import pytest

from hardpan.core import clock
from hardpan.core.errors import InputError
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.scanners.evidence.verify.verifier import verify
from hardpan.signing import create_signer, load_signer
from hardpan.workflow.key_set import create_keys
from hardpan.workflow.scan_key import ensure_scan_key, find_policy
from tests.unit.evidence import samples


def test_scan_key_is_created_once_for_its_owner_only(tmp_path: Path) -> None:
    first = ensure_scan_key(tmp_path)
    second = ensure_scan_key(tmp_path)

    assert (first.is_new, second.is_new) == (True, False)
    assert first.private_key == second.private_key == tmp_path / "keys" / "scan.pem"
    assert first.private_key.stat().st_mode & 0o777 == 0o600
    assert first.private_key.parent.stat().st_mode & 0o777 == 0o700
    assert first.public_key.is_file()


def test_policy_of_the_scan_key_accepts_evidence_with_findings(tmp_path: Path) -> None:
    key = ensure_scan_key(tmp_path)
    now = clock.format_rfc3339(clock.now())
    scan = samples.scan(started=now, finished=now)
    evidence = samples.write_evidence(scan, load_signer(key.private_key), tmp_path)

    verified = verify(evidence, load_trust_policy(key.policy), now=clock.now())

    assert verified.findings.count_open_by_severity()["high"] > 0
    assert verified.is_within_thresholds


def test_keys_of_an_earlier_build_get_the_scan_policy(tmp_path: Path) -> None:
    created = create_keys(tmp_path / "keys", now=clock.now())
    public = created.scan.read_bytes()

    key = ensure_scan_key(tmp_path)

    assert (key.is_new, key.private_key.read_bytes()) == (False, public)
    assert [k.role for k, _ in load_trust_policy(key.policy).keys] == ["scan"]


def test_policy_of_another_key_is_rejected(tmp_path: Path) -> None:
    key = ensure_scan_key(tmp_path)
    create_signer(key.policy.with_name("other.pem"))
    key.policy.write_text(key.policy.read_text().replace("scan.pub", "other.pub"))

    with pytest.raises(InputError, match="expected a policy that trusts"):
        ensure_scan_key(tmp_path)


def test_policy_next_to_a_key_file_is_used(tmp_path: Path) -> None:
    created = create_keys(tmp_path, now=clock.now())

    assert find_policy(str(created.scan)) == created.policy
    assert find_policy("pkcs11:token=x") is None
    assert find_policy(str(tmp_path / "missing.pem")) is None
