"""The keys of a run are held against their policy before anything is built."""

import re
from pathlib import Path

import pytest

from hardpan.errors import InputError, UsageError
from hardpan.process import Completed
from hardpan.prove import keyring
from hardpan.prove.keyring import References, operator_there, signing, signing_there
from hardpan.scanners.commands.keys import new_keys
from hardpan.scanners.evidence.trust import load_policy
from hardpan.signing import Unlock, new_signer
from tests.unit.evidence.forge import KEYS_MADE


def test_the_folder_s_keys_sign_and_their_policy_is_copied_with_them(tmp_path: Path) -> None:
    made = new_keys(tmp_path / "k", now=KEYS_MADE, pq_alg="ml-dsa-65")
    (tmp_path / "out").mkdir()
    ring = signing(tmp_path / "k", tmp_path / "cache", tmp_path / "out")

    assert ring.pq is not None
    assert (ring.scan.public.alg, ring.pq.public.alg) == ("ecdsa-p256-sha256", "ml-dsa-65")
    assert load_policy(ring.policy).keys == load_policy(made.policy).keys
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "build.pub",
        "scan-pq.pub",
        "scan.pub",
        "trust.yaml",
    ]


def test_without_a_folder_keys_for_trials_are_made_once(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    one = signing(None, tmp_path / "cache", tmp_path / "out")
    two = signing(None, tmp_path / "cache", tmp_path / "out")

    assert one.scan.public == two.scan.public
    assert one.pq is None


@pytest.mark.parametrize(
    ("given", "role"),
    [("scan", "scan"), ("build", "build"), ("pq", "scan-pq")],
)
def test_a_key_that_the_policy_does_not_trust_is_refused_before_the_build(
    tmp_path: Path, given: str, role: str
) -> None:
    new_keys(tmp_path / "k", now=KEYS_MADE)
    alg = "ml-dsa-65" if given == "pq" else "ecdsa-p256-sha256"
    other = new_signer(tmp_path / "other.pem", alg=alg)
    refs = References(**{given: str(tmp_path / "other.pem")})  # type: ignore[arg-type]

    with pytest.raises(InputError, match=f"no key of role {role} is the one") as caught:
        signing(tmp_path / "k", tmp_path / "cache", tmp_path / "out", refs)
    assert other.public.sha256 in str(caught.value)
    assert "keys show --pem" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_a_build_key_in_the_place_of_the_scan_key_is_refused(tmp_path: Path) -> None:
    made = new_keys(tmp_path / "k", now=KEYS_MADE)

    with pytest.raises(InputError, match="no key of role scan is the one"):
        signing(tmp_path / "k", tmp_path / "cache", tmp_path, References(scan=str(made.build)))


def test_one_passphrase_opens_all_keys_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phrase = tmp_path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("correct horse")
    new_keys(tmp_path / "k", now=KEYS_MADE, passphrase=phrase, pq_alg="ml-dsa-87")
    monkeypatch.setenv("SITE", "correct horse")
    refs = References(unlock=Unlock(env="SITE"))

    assert signing(tmp_path / "k", tmp_path / "cache", tmp_path / "out", refs).pq is not None
    with pytest.raises(InputError, match=re.escape("scan.pem: needs a passphrase")):
        signing(tmp_path / "k", tmp_path / "cache", tmp_path / "out")
    with pytest.raises(UsageError, match="expected a persistent handle"):
        signing(tmp_path / "k", tmp_path / "cache", tmp_path / "out", References(scan="tpm:x"))


def test_nothing_is_made_where_it_is_only_looked_for(tmp_path: Path) -> None:
    assert signing_there(None, tmp_path / "cache", tmp_path / "out") is None
    assert operator_there("steward", None, tmp_path / "cache") is None
    assert list(tmp_path.iterdir()) == []


def test_an_ssh_key_that_cannot_be_read_is_told_in_ssh_keygen_s_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "id"
    key.write_text("locked")
    key.chmod(0o600)
    said = 'Load key "id": incorrect passphrase supplied to decrypt private key'
    answer = Completed(argv=(), returncode=255, stdout="", stderr=f"{said}\n", took_s=0.0)
    monkeypatch.setattr(keyring, "run", lambda *_, **__: answer)

    with pytest.raises(InputError) as caught:
        operator_there("steward", key, tmp_path)

    assert str(caught.value) == (
        f"{key}: expected an SSH private key without a passphrase, which you alone can read;"
        f" ssh-keygen says: {said}"
    )
