import hashlib
from contextlib import nullcontext
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hardpan.errors import Exit, InputError, ToolError, TrustError
from hardpan.signing import (
    ALG,
    ALGORITHMS,
    PublicKey,
    algorithms,
    load_pq_signer,
    load_public,
    load_signer,
    new_signer,
    pae,
    read_bundle,
    read_dsse,
    sign,
    sign_dsse,
)
from hardpan.signing.pem import PemSigner
from hardpan.signing.public import public_of

_RSA, _PQ = "rsa-pkcs1v15-sha256", "ml-dsa-65"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key of each algorithm, as ``NAME.pem`` and ``NAME.pub``."""
    made = tmp_path_factory.mktemp("keys")
    for name in ALGORITHMS:
        new_signer(made / f"{name}.pem", alg=name)
    return made


def _signer(folder: Path, name: str) -> PemSigner:
    path = folder / f"{name}.pem"
    signer = load_pq_signer(path) if ALGORITHMS[name].post_quantum else load_signer(path)
    assert isinstance(signer, PemSigner)
    return signer


def _secret(folder: Path, name: str) -> object:
    return load_pem_private_key((folder / f"{name}.pem").read_bytes(), None)


def test_the_default_is_the_one_that_every_tool_takes() -> None:
    assert ALG == "ecdsa-p256-sha256"
    assert [a.short for a in ALGORITHMS.values()] == [
        "ecdsa-p256",
        "rsa-3072",
        "ml-dsa-65",
        "ml-dsa-87",
    ]


@pytest.mark.parametrize(
    ("name", "size"), [(ALG, 72), (_RSA, 384), (_PQ, 3309), ("ml-dsa-87", 4627)]
)
def test_a_key_of_each_algorithm_signs_and_its_public_half_confirms(
    folder: Path, name: str, size: int
) -> None:
    signer = _signer(folder, name)
    public = load_public(folder / f"{name}.pub")
    signature = signer.sign(b"x")

    public.check(signature, b"x")

    assert (public.alg, public.pem) == (name, (folder / f"{name}.pub").read_text())
    assert len(signature) <= size
    assert name == ALG or len(signature) == size
    with pytest.raises(TrustError, match="not by key sha256:" + public.sha256):
        public.check(signature, b"y")


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_key_of_each_algorithm_can_be_locked(folder: Path, tmp_path: Path, name: str) -> None:
    phrase = tmp_path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("correct horse\n")
    made = new_signer(tmp_path / "k.pem", alg=name, passphrase_file=phrase)
    is_pq = ALGORITHMS[name].post_quantum

    assert b"ENCRYPTED" in (tmp_path / "k.pem").read_bytes()
    with pytest.raises(InputError, match="needs a passphrase"):
        (load_pq_signer if is_pq else load_signer)(tmp_path / "k.pem")
    made.public.check(made.sign(b"x"), b"x")


@pytest.mark.parametrize("signed_by", ALGORITHMS)
@pytest.mark.parametrize("checked_by", ALGORITHMS)
def test_no_key_confirms_a_signature_of_another_algorithm(
    folder: Path, signed_by: str, checked_by: str
) -> None:
    signature = _signer(folder, signed_by).sign(b"x")
    public = load_public(folder / f"{checked_by}.pub")
    if signed_by == checked_by:
        public.check(signature, b"x")
        return
    with pytest.raises(TrustError, match="not by key"):
        public.check(signature, b"x")


def _confused(folder: Path) -> list[tuple[str, str, bytes]]:
    """The right keys' signatures by the wrong rules: signing.md's case 13."""
    p256, big = _secret(folder, ALG), _secret(folder, _RSA)
    pq = _secret(folder, _PQ)
    assert isinstance(p256, ec.EllipticCurvePrivateKey)
    assert isinstance(big, rsa.RSAPrivateKey)
    assert isinstance(pq, mldsa.MLDSA65PrivateKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    digest = hashlib.sha512(b"x").digest()
    return [
        ("SHA-384 with P-256", ALG, p256.sign(b"x", ec.ECDSA(hashes.SHA384()))),
        ("PSS for PKCS#1 v1.5", _RSA, big.sign(b"x", pss, hashes.SHA256())),
        ("RSA with SHA-512", _RSA, big.sign(b"x", padding.PKCS1v15(), hashes.SHA512())),
        ("RSA with SHA-1", _RSA, big.sign(b"x", padding.PKCS1v15(), hashes.SHA1())),  # noqa: S303
        ("ML-DSA with a context", _PQ, pq.sign(b"x", b"tuf")),
        ("ML-DSA over a digest, as TUF signs", _PQ, pq.sign(b"tuf\x01" + digest)),
        ("ML-DSA, one byte short", _PQ, pq.sign(b"x")[:-1]),
        ("ML-DSA, one byte long", _PQ, pq.sign(b"x") + b"\0"),
        ("RSA, a leading zero", _RSA, b"\0" + big.sign(b"x", padding.PKCS1v15(), hashes.SHA256())),
        ("DER with a byte behind it", ALG, p256.sign(b"x", ec.ECDSA(hashes.SHA256())) + b"\0"),
    ]


def test_a_key_too_large_to_check_in_good_time_is_refused() -> None:
    for bits, said in ((8192, ""), (8193, "found RSA with 8193 bits")):
        # No one's modulus, odd and of that size: nothing is signed with it.
        key = rsa.RSAPublicNumbers(65537, 2 ** (bits - 1) + 1).public_key()
        with pytest.raises(InputError, match=said) if said else nullcontext():
            assert public_of(key, what="k").alg == _RSA


def test_a_signature_by_other_rules_with_the_right_key_is_refused(folder: Path) -> None:
    for what, name, signature in _confused(folder):
        with pytest.raises(TrustError, match="not by key"):
            pytest.fail(f"{what}: {load_public(folder / f'{name}.pub').check(signature, b'x')}")


def test_the_two_envelopes_take_each_its_own_kind_of_key(folder: Path) -> None:
    ec_key, pq = _signer(folder, ALG), _signer(folder, _PQ)

    with pytest.raises(InputError, match="a Sigstore bundle is not signed with ml-dsa-65"):
        sign(b"x", pq)
    with pytest.raises(InputError, match="the second envelope is not signed with ecdsa-p256"):
        sign_dsse(b"x", ec_key)
    with pytest.raises(InputError, match=r"ml-dsa-65 signs the second envelope only") as caught:
        load_signer(folder / f"{_PQ}.pem")
    assert "--pq-key" in caught.value.hint
    with pytest.raises(InputError, match=r"expected an ML-DSA-65 or ML-DSA-87 key, found rsa"):
        load_pq_signer(folder / f"{_RSA}.pem")


def test_both_envelopes_hold_the_same_bytes_and_sign_the_same_encoding(folder: Path) -> None:
    payload = '{"a":"ü"}'.encode()
    ec_key, pq = _signer(folder, ALG), _signer(folder, _PQ)
    one = read_bundle(sign(payload, ec_key).bundle, what="one")
    two = read_dsse(sign_dsse(payload, pq), what="two")

    assert one.unverified == two.unverified == payload
    assert two.opened(pq.public) == (payload, pq.public)
    pq.public.check(two.signature, pae(payload))


def test_a_signature_that_the_public_key_does_not_confirm_is_never_handed_out(
    folder: Path,
) -> None:
    mine, other = _signer(folder, ALG), new_other(folder)
    halves = PemSigner(public=other, secret=mine.secret, what="hsm")

    with pytest.raises(TrustError, match="hsm: made a signature that its own public key"):
        halves.sign(b"x")


def new_other(folder: Path) -> PublicKey:
    """The public half of yet another P-256 key."""
    path = folder / "other.pem"
    return (_signer(folder, "other") if path.is_file() else new_signer(path)).public


def _unsupported() -> None:
    raise UnsupportedAlgorithm("ML-DSA")


class _Refusing:
    """A module that is there on an OpenSSL that cannot do it."""

    @staticmethod
    def generate() -> None:
        raise UnsupportedAlgorithm("no")


@pytest.mark.parametrize("how", ["no module", "module, but OpenSSL refuses"])
def test_without_ml_dsa_there_is_one_clear_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    algorithms._refused.cache_clear()
    if how == "no module":
        monkeypatch.setattr(algorithms, "_HAS_MODULE", False)
    else:
        monkeypatch.setattr(algorithms, "_refused", algorithms._refused.__wrapped__)
        monkeypatch.setattr(mldsa, "MLDSA65PrivateKey", _Refusing)
    said = r"^cryptography \d+[.\d]* with OpenSSL .* has no ML-DSA$"

    for use in (
        lambda: load_public(folder / "ml-dsa-65.pub"),
        lambda: load_pq_signer(folder / "ml-dsa-87.pem"),
        lambda: new_signer(tmp_path / "k.pem", alg="ml-dsa-65"),
    ):
        with pytest.raises(ToolError, match=said) as caught:
            use()
        assert "needs cryptography 48 or newer" in caught.value.hint
        assert caught.value.exit_code == Exit.TOOL
    assert list(tmp_path.iterdir()) == []
    for name in (ALG, _RSA):
        load_public(folder / f"{name}.pub").check(_signer(folder, name).sign(b"x"), b"x")
    with pytest.raises(InputError, match="found Ed25519"):
        public_of(ed25519.Ed25519PrivateKey.generate().public_key(), what="k")


def test_an_ml_dsa_key_in_openssl_s_own_form_says_how_to_convert_it(
    folder: Path, tmp_path: Path
) -> None:
    lines = (folder / "ml-dsa-65.pem").read_text().splitlines()
    broken = tmp_path / "k.pem"
    broken.touch(mode=0o600)
    # The algorithm stays readable, the key itself does not: as with seed and expanded key.
    broken.write_text("\n".join([lines[0], lines[1][:44], lines[-1]]) + "\n")

    with pytest.raises(InputError, match="damaged, or of an unknown kind") as caught:
        load_pq_signer(broken)
    assert "ml-dsa.output_formats=seed-only" in caught.value.hint
