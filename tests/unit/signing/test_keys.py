import inspect
from collections.abc import Callable
from pathlib import Path

import cryptography.exceptions
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from hardpan.core.errors import InputError, TrustError
from hardpan.signing import create_signer, load_public_key, load_signer, parse_public_key

_KINDS = r"expected a key of EC P-256, RSA \(3072 to 8192 bits\), ML-DSA-65, ML-DSA-87; "


def test_new_key_signs_and_verifies(tmp_path: Path) -> None:
    create_signer(tmp_path / "scan.pem")
    signer = load_signer(tmp_path / "scan.pem")
    public = load_public_key(tmp_path / "scan.pub")

    public.verify(signer.sign(b"x"), b"x")

    assert public == signer.public
    assert (tmp_path / "scan.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "scan.pub").read_text() == public.pem


def test_signature_over_other_message_or_key_is_rejected(tmp_path: Path) -> None:
    first, second = create_signer(tmp_path / "1.pem"), create_signer(tmp_path / "2.pem")

    for signature, message in ((first.sign(b"x"), b"y"), (second.sign(b"x"), b"x"), (b"", b"x")):
        with pytest.raises(TrustError, match="not by key sha256:" + first.public.sha256):
            first.public.verify(signature, message)


@pytest.mark.parametrize("existing", ["k.pem", "k.pub"])
def test_create_signer_never_overwrites_files(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("mine")

    with pytest.raises(InputError, match="is there already"):
        create_signer(tmp_path / "k.pem")
    assert [p.name for p in tmp_path.iterdir()] == [existing]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_readable_key_file_is_rejected(tmp_path: Path, mode: int) -> None:
    create_signer(tmp_path / "k.pem")
    (tmp_path / "k.pem").chmod(mode)

    with pytest.raises(InputError, match=f"expected mode 0600, got {mode:04o}") as caught:
        load_signer(tmp_path / "k.pem")
    assert "chmod 600" in caught.value.hint


def test_passphrase_encrypts_key(tmp_path: Path) -> None:
    phrase = tmp_path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("correct horse\n")
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("battery staple\n")
    signer = create_signer(tmp_path / "k.pem", passphrase_file=phrase)

    assert load_signer(tmp_path / "k.pem", passphrase_file=phrase).public == signer.public
    assert b"ENCRYPTED" in (tmp_path / "k.pem").read_bytes()
    with pytest.raises(InputError, match="needs a passphrase"):
        load_signer(tmp_path / "k.pem")
    with pytest.raises(InputError, match="wrong passphrase"):
        load_signer(tmp_path / "k.pem", passphrase_file=wrong)
    phrase.chmod(0o644)
    with pytest.raises(InputError, match="expected mode 0600"):
        load_signer(tmp_path / "k.pem", passphrase_file=phrase)


def test_passphrase_for_unencrypted_key_is_rejected(tmp_path: Path) -> None:
    create_signer(tmp_path / "k.pem")
    phrase = tmp_path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("x")

    with pytest.raises(InputError, match="has no passphrase, but one was given"):
        load_signer(tmp_path / "k.pem", passphrase_file=phrase)
    create_signer(tmp_path / "locked.pem", passphrase_file=phrase)
    phrase.write_text("\nx")
    with pytest.raises(InputError, match="a passphrase on the first line"):
        load_signer(tmp_path / "locked.pem", passphrase_file=phrase)


@pytest.mark.parametrize(
    ("generate_key", "message"),
    [
        (lambda: ec.generate_private_key(ec.SECP384R1()), "got EC secp384r1"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "got EC secp256k1"),
        (ed25519.Ed25519PrivateKey.generate, "got Ed25519"),
        (lambda: rsa.generate_private_key(65537, 2048), "got RSA with 2048 bits, exponent 65537"),
        (lambda: rsa.generate_private_key(3, 3072), "got RSA with 3072 bits, exponent 3"),
        (mldsa.MLDSA44PrivateKey.generate, "got MLDSA44"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_unsupported_key_types_are_rejected(
    tmp_path: Path, generate_key: Callable[[], PrivateKeyTypes], message: str
) -> None:
    key = generate_key()
    private = tmp_path / "k.pem"
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    with pytest.raises(InputError, match=_KINDS + message):
        load_signer(private)
    with pytest.raises(InputError, match=_KINDS + message):
        parse_public_key(public, label="x.pub")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a private key in PKCS#8 PEM"),
        ("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAA==\n", "in PKCS#8 PEM"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "damaged"),
        ("-----BEGIN PRIVATE KEY-----\n" + "A" * 20_000, "too large for a secret"),
    ],
)
def test_non_key_file_is_rejected(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "k.pem"
    file.touch(mode=0o600)
    file.write_text(text)

    with pytest.raises(InputError, match=message):
        load_signer(file)


def test_missing_key_error_names_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.pem: cannot be read: No such file"):
        load_signer(tmp_path / "no.pem")


def test_file_with_two_public_keys_is_rejected(tmp_path: Path) -> None:
    pem = create_signer(tmp_path / "k.pem").public.pem.encode()

    with pytest.raises(InputError, match="expected one public key"):
        parse_public_key(pem + pem, label="x.pub")


_PEM = "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        (_PEM.format("AAA"), "the public key is damaged or of an unknown kind"),
        (_PEM.format("AA=A"), "the public key is damaged or of an unknown kind"),
        (_PEM.format("AAAA"), "the public key is damaged or of an unknown kind"),
        (_PEM.format("MAsGCWCGSAFlAwQDEg=="), "the public key is damaged or of an unknown kind"),
        (_PEM.format("!"), "expected one public key"),
        (_PEM.format("AAAA") + "more", "expected one public key"),
        (_PEM.replace("PUBLIC", "RSA PUBLIC").format("AAAA"), "expected one public key"),
        ("", "expected one public key"),
    ],
)
def test_non_public_key_is_rejected(pem: str, message: str) -> None:
    with pytest.raises(InputError, match=f"x.pub: {message}"):
        parse_public_key(pem.encode(), label="x.pub")


def test_signer_repr_hides_secret(tmp_path: Path) -> None:
    signer = create_signer(tmp_path / "k.pem")

    assert "secret" not in repr(signer)


def test_adapter_covers_every_cryptography_exception() -> None:
    exceptions = {
        name
        for name, x in vars(cryptography.exceptions).items()
        if inspect.isclass(x) and issubclass(x, Exception)
    }

    # The first two are mapped in public.py and pem.py; the others belong to AEAD, HOTP and HKDF.
    assert exceptions == {
        "InvalidSignature",
        "UnsupportedAlgorithm",
        "AlreadyFinalized",
        "AlreadyUpdated",
        "InternalError",
        "InvalidKey",
        "InvalidTag",
        "NotYetFinalized",
    }
