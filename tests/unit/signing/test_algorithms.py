import hashlib
from contextlib import nullcontext
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hardpan.core.errors import Exit, InputError, ToolError, TrustError
from hardpan.signing import (
    ALGORITHMS,
    DEFAULT_ALGORITHM,
    PublicKey,
    algorithms,
    create_signer,
    load_pq_signer,
    load_public_key,
    load_signer,
    pae,
    read_bundle,
    read_dsse,
    sign,
    sign_dsse,
)
from hardpan.signing.pem import PemSigner
from hardpan.signing.public_key import wrap_public_key

_RSA, _PQ = "rsa-pkcs1v15-sha256", "ml-dsa-65"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key of each algorithm, as ``NAME.pem`` and ``NAME.pub``."""
    key_folder = tmp_path_factory.mktemp("keys")
    for name in ALGORITHMS:
        create_signer(key_folder / f"{name}.pem", alg=name)
    return key_folder


def _signer(folder: Path, name: str) -> PemSigner:
    path = folder / f"{name}.pem"
    signer = load_pq_signer(path) if ALGORITHMS[name].is_post_quantum else load_signer(path)
    assert isinstance(signer, PemSigner)
    return signer


def _secret(folder: Path, name: str) -> object:
    return load_pem_private_key((folder / f"{name}.pem").read_bytes(), None)


def test_default_algorithm_is_ecdsa_p256() -> None:
    assert DEFAULT_ALGORITHM == "ecdsa-p256-sha256"
    assert [a.cli_name for a in ALGORITHMS.values()] == [
        "ecdsa-p256",
        "rsa-3072",
        "ml-dsa-65",
        "ml-dsa-87",
    ]


@pytest.mark.parametrize(
    ("name", "size"), [(DEFAULT_ALGORITHM, 72), (_RSA, 384), (_PQ, 3309), ("ml-dsa-87", 4627)]
)
def test_key_of_each_algorithm_signs_and_verifies(folder: Path, name: str, size: int) -> None:
    signer = _signer(folder, name)
    public = load_public_key(folder / f"{name}.pub")
    signature = signer.sign(b"x")

    public.verify(signature, b"x")

    assert (public.alg, public.pem) == (name, (folder / f"{name}.pub").read_text())
    assert len(signature) <= size
    assert name == DEFAULT_ALGORITHM or len(signature) == size
    with pytest.raises(TrustError, match="not by key sha256:" + public.sha256):
        public.verify(signature, b"y")


@pytest.mark.parametrize("name", ALGORITHMS)
def test_key_of_each_algorithm_supports_passphrase(folder: Path, tmp_path: Path, name: str) -> None:
    phrase = tmp_path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("correct horse\n")
    signer = create_signer(tmp_path / "k.pem", alg=name, passphrase_file=phrase)
    is_pq = ALGORITHMS[name].is_post_quantum

    assert b"ENCRYPTED" in (tmp_path / "k.pem").read_bytes()
    with pytest.raises(InputError, match="needs a passphrase"):
        (load_pq_signer if is_pq else load_signer)(tmp_path / "k.pem")
    signer.public.verify(signer.sign(b"x"), b"x")


@pytest.mark.parametrize("signed_by", ALGORITHMS)
@pytest.mark.parametrize("checked_by", ALGORITHMS)
def test_signature_of_other_algorithm_is_rejected(
    folder: Path, signed_by: str, checked_by: str
) -> None:
    signature = _signer(folder, signed_by).sign(b"x")
    public = load_public_key(folder / f"{checked_by}.pub")
    if signed_by == checked_by:
        public.verify(signature, b"x")
        return
    with pytest.raises(TrustError, match="not by key"):
        public.verify(signature, b"x")


def _confused(folder: Path) -> list[tuple[str, str, bytes]]:
    """The right keys' signatures by the wrong rules: signing.md's case 13."""
    p256, big = _secret(folder, DEFAULT_ALGORITHM), _secret(folder, _RSA)
    pq = _secret(folder, _PQ)
    assert isinstance(p256, ec.EllipticCurvePrivateKey)
    assert isinstance(big, rsa.RSAPrivateKey)
    assert isinstance(pq, mldsa.MLDSA65PrivateKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    digest = hashlib.sha512(b"x").digest()
    return [
        ("SHA-384 with P-256", DEFAULT_ALGORITHM, p256.sign(b"x", ec.ECDSA(hashes.SHA384()))),
        ("PSS for PKCS#1 v1.5", _RSA, big.sign(b"x", pss, hashes.SHA256())),
        ("RSA with SHA-512", _RSA, big.sign(b"x", padding.PKCS1v15(), hashes.SHA512())),
        ("RSA with SHA-1", _RSA, big.sign(b"x", padding.PKCS1v15(), hashes.SHA1())),  # noqa: S303
        ("ML-DSA with a context", _PQ, pq.sign(b"x", b"tuf")),
        ("ML-DSA over a digest, as TUF signs", _PQ, pq.sign(b"tuf\x01" + digest)),
        ("ML-DSA, one byte short", _PQ, pq.sign(b"x")[:-1]),
        ("ML-DSA, one byte long", _PQ, pq.sign(b"x") + b"\0"),
        ("RSA, a leading zero", _RSA, b"\0" + big.sign(b"x", padding.PKCS1v15(), hashes.SHA256())),
        (
            "DER with a byte behind it",
            DEFAULT_ALGORITHM,
            p256.sign(b"x", ec.ECDSA(hashes.SHA256())) + b"\0",
        ),
    ]


def test_oversized_rsa_key_is_rejected() -> None:
    for bits, message in ((8192, ""), (8193, "got RSA with 8193 bits")):
        # No one's modulus, odd and of that size: nothing is signed with it.
        key = rsa.RSAPublicNumbers(65537, 2 ** (bits - 1) + 1).public_key()
        with pytest.raises(InputError, match=message) if message else nullcontext():
            assert wrap_public_key(key, label="k").alg == _RSA


def test_signature_with_other_padding_or_digest_is_rejected(folder: Path) -> None:
    for label, name, signature in _confused(folder):
        with pytest.raises(TrustError, match="not by key"):
            pytest.fail(
                f"{label}: {load_public_key(folder / f'{name}.pub').verify(signature, b'x')}"
            )


def test_each_envelope_requires_its_key_kind(folder: Path) -> None:
    ec_key, pq = _signer(folder, DEFAULT_ALGORITHM), _signer(folder, _PQ)

    with pytest.raises(InputError, match="a Sigstore bundle is not signed with ml-dsa-65"):
        sign(b"x", pq)
    with pytest.raises(InputError, match="the second envelope is not signed with ecdsa-p256"):
        sign_dsse(b"x", ec_key)
    with pytest.raises(InputError, match=r"ml-dsa-65 signs the second envelope only") as caught:
        load_signer(folder / f"{_PQ}.pem")
    assert "--pq-key" in caught.value.hint
    with pytest.raises(InputError, match=r"expected an ML-DSA-65 or ML-DSA-87 key, got rsa"):
        load_pq_signer(folder / f"{_RSA}.pem")


def test_both_envelopes_sign_the_same_encoding(folder: Path) -> None:
    payload = '{"a":"ü"}'.encode()
    ec_key, pq = _signer(folder, DEFAULT_ALGORITHM), _signer(folder, _PQ)
    classical = read_bundle(sign(payload, ec_key).bundle, label="one")
    post_quantum = read_dsse(sign_dsse(payload, pq), label="two")

    assert classical.unverified_payload == post_quantum.unverified_payload == payload
    assert post_quantum.verify(pq.public) == (payload, pq.public)
    pq.public.verify(post_quantum.signature, pae(payload))


def test_signer_rejects_signature_its_public_key_does_not_verify(
    folder: Path,
) -> None:
    mine, other = _signer(folder, DEFAULT_ALGORITHM), new_other(folder)
    halves = PemSigner(public=other, secret=mine.secret, label="hsm")

    with pytest.raises(TrustError, match="hsm: produced a signature that its own public key"):
        halves.sign(b"x")


def new_other(folder: Path) -> PublicKey:
    """The public half of yet another P-256 key."""
    path = folder / "other.pem"
    return (_signer(folder, "other") if path.is_file() else create_signer(path)).public


def _unsupported() -> None:
    raise UnsupportedAlgorithm("ML-DSA")


class _Refusing:
    """A module that is there on an OpenSSL that cannot do it."""

    @staticmethod
    def generate() -> None:
        raise UnsupportedAlgorithm("no")


@pytest.mark.parametrize("how", ["no module", "module, but OpenSSL refuses"])
def test_missing_ml_dsa_support_reports_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    algorithms._probe_ml_dsa.cache_clear()
    if how == "no module":
        monkeypatch.setattr(algorithms, "_HAS_ML_DSA_MODULE", False)
    else:
        monkeypatch.setattr(algorithms, "_probe_ml_dsa", algorithms._probe_ml_dsa.__wrapped__)
        monkeypatch.setattr(mldsa, "MLDSA65PrivateKey", _Refusing)
    message = r"^cryptography \d+[.\d]* with OpenSSL .* has no ML-DSA$"

    for use in (
        lambda: load_public_key(folder / "ml-dsa-65.pub"),
        lambda: load_pq_signer(folder / "ml-dsa-87.pem"),
        lambda: create_signer(tmp_path / "k.pem", alg="ml-dsa-65"),
    ):
        with pytest.raises(ToolError, match=message) as caught:
            use()
        assert "needs cryptography 48 or newer" in caught.value.hint
        assert caught.value.exit_code == Exit.TOOL
    assert list(tmp_path.iterdir()) == []
    for name in (DEFAULT_ALGORITHM, _RSA):
        load_public_key(folder / f"{name}.pub").verify(_signer(folder, name).sign(b"x"), b"x")
    with pytest.raises(InputError, match="got Ed25519"):
        wrap_public_key(ed25519.Ed25519PrivateKey.generate().public_key(), label="k")


def test_openssl_ml_dsa_key_format_error_has_conversion_hint(folder: Path, tmp_path: Path) -> None:
    lines = (folder / "ml-dsa-65.pem").read_text().splitlines()
    broken = tmp_path / "k.pem"
    broken.touch(mode=0o600)
    # The algorithm stays readable, the key itself does not: as with seed and expanded key.
    broken.write_text("\n".join([lines[0], lines[1][:44], lines[-1]]) + "\n")

    with pytest.raises(InputError, match="damaged, or of an unknown kind") as caught:
        load_pq_signer(broken)
    assert "ml-dsa.output_formats=seed-only" in caught.value.hint
