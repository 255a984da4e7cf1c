"""The keys of a run are checked against their policy before anything is built."""

import re
from pathlib import Path

import pytest

from hardpan.core.errors import InputError, UsageError
from hardpan.core.process import CompletedProcess
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.signing import PassphraseSource, create_signer
from hardpan.workflow import keyring
from hardpan.workflow.key_set import create_keys
from hardpan.workflow.keyring import (
    KeyRefs,
    ensure_signing_keys,
    find_operator_key,
    find_signing_keys,
)
from tests.unit.evidence.evidence_fixture import KEYS_CREATED_AT


def test_keys_of_folder_sign_and_policy_is_copied(tmp_path: Path) -> None:
    key_files = create_keys(tmp_path / "k", now=KEYS_CREATED_AT, pq_alg="ml-dsa-65")
    (tmp_path / "out").mkdir()
    ring = ensure_signing_keys(tmp_path / "k", tmp_path / "cache", tmp_path / "out")

    assert ring.pq is not None
    assert (ring.scan.public.alg, ring.pq.public.alg) == ("ecdsa-p256-sha256", "ml-dsa-65")
    assert load_trust_policy(ring.policy).keys == load_trust_policy(key_files.policy).keys
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "build.pub",
        "scan-pq.pub",
        "scan.pub",
        "trust.yaml",
    ]


def test_trial_keys_are_generated_once(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    first_ring = ensure_signing_keys(None, tmp_path / "cache", tmp_path / "out")
    second_ring = ensure_signing_keys(None, tmp_path / "cache", tmp_path / "out")

    assert first_ring.scan.public == second_ring.scan.public
    assert first_ring.pq is None


@pytest.mark.parametrize(
    ("role_option", "role"),
    [("scan", "scan"), ("build", "build"), ("pq", "scan-pq")],
)
def test_untrusted_key_is_rejected_before_the_build(
    tmp_path: Path, role_option: str, role: str
) -> None:
    create_keys(tmp_path / "k", now=KEYS_CREATED_AT)
    alg = "ml-dsa-65" if role_option == "pq" else "ecdsa-p256-sha256"
    untrusted = create_signer(tmp_path / "other.pem", alg=alg)
    refs = KeyRefs(**{role_option: str(tmp_path / "other.pem")})  # type: ignore[arg-type]

    with pytest.raises(
        InputError, match=f"no key of role {role} matches the signing key"
    ) as caught:
        ensure_signing_keys(tmp_path / "k", tmp_path / "cache", tmp_path / "out", refs)
    assert untrusted.public.sha256 in str(caught.value)
    assert "keys show --pem" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_build_key_as_scan_key_is_rejected(tmp_path: Path) -> None:
    key_files = create_keys(tmp_path / "k", now=KEYS_CREATED_AT)

    with pytest.raises(InputError, match="no key of role scan matches the signing key"):
        ensure_signing_keys(
            tmp_path / "k", tmp_path / "cache", tmp_path, KeyRefs(scan=str(key_files.build))
        )


def test_passphrase_decrypts_all_keys_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passphrase_file = tmp_path / "phrase"
    passphrase_file.touch(mode=0o600)
    passphrase_file.write_text("correct horse")
    create_keys(tmp_path / "k", now=KEYS_CREATED_AT, passphrase=passphrase_file, pq_alg="ml-dsa-87")
    monkeypatch.setenv("SITE", "correct horse")
    refs = KeyRefs(passphrase_source=PassphraseSource(env_name="SITE"))

    assert (
        ensure_signing_keys(tmp_path / "k", tmp_path / "cache", tmp_path / "out", refs).pq
        is not None
    )
    with pytest.raises(InputError, match=re.escape("scan.pem: needs a passphrase")):
        ensure_signing_keys(tmp_path / "k", tmp_path / "cache", tmp_path / "out")
    with pytest.raises(UsageError, match="expected a persistent handle"):
        ensure_signing_keys(
            tmp_path / "k", tmp_path / "cache", tmp_path / "out", KeyRefs(scan="tpm:x")
        )


def test_find_functions_create_nothing(tmp_path: Path) -> None:
    assert find_signing_keys(None, tmp_path / "cache", tmp_path / "out") is None
    assert find_operator_key("steward", None, tmp_path / "cache") is None
    assert list(tmp_path.iterdir()) == []


def test_unreadable_ssh_key_reports_ssh_keygen_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "id"
    key.write_text("locked")
    key.chmod(0o600)
    message = 'Load key "id": incorrect passphrase supplied to decrypt private key'
    process = CompletedProcess(
        argv=(), returncode=255, stdout="", stderr=f"{message}\n", duration_s=0.0
    )
    monkeypatch.setattr(keyring, "run", lambda *_, **__: process)

    with pytest.raises(InputError) as caught:
        find_operator_key("steward", key, tmp_path)

    assert str(caught.value) == (
        f"{key}: expected an SSH private key without a passphrase, that only you can read;"
        f" ssh-keygen reports: {message}"
    )
