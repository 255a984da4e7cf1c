"""ECDSA P-256 keys: made, loaded, and never readable by others."""

import base64
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from hardpan.errors import InputError, TrustError
from hardpan.files import Sha256, sha256_bytes, write_atomic

ALG = "ecdsa-p256-sha256"
"""The one algorithm: NIST P-256, SHA-256, signatures in DER."""

_MAX_KEY_BYTES = 16_384
_PRIVATE = (b"-----BEGIN PRIVATE KEY-----", b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
_ECDSA = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A P-256 public key."""

    spki: bytes
    """SubjectPublicKeyInfo, DER."""

    @property
    def sha256(self) -> Sha256:
        """Digest of the SPKI: the key's fingerprint, as people compare it."""
        return sha256_bytes(self.spki)

    @property
    def hint(self) -> str:
        """What a Sigstore bundle names the key by. A help for lookup, never trusted."""
        return base64.b64encode(bytes.fromhex(self.sha256)).decode()

    @property
    def pem(self) -> str:
        """SPKI as PEM: the content of a ``*.pub`` file."""
        body = base64.encodebytes(self.spki).decode().replace("\n", "")
        lines = [body[i : i + 64] for i in range(0, len(body), 64)]
        return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])

    def check(self, signature: bytes, message: bytes) -> None:
        """Pass if ``signature`` (DER) is this key's over ``message``.

        Raises:
            TrustError: it is not.
        """
        # parse_public and Signer let no other kind in.
        key = cast(ec.EllipticCurvePublicKey, load_pem_public_key(self.pem.encode()))
        try:
            key.verify(signature, message, _ECDSA)
        except InvalidSignature as e:
            raise TrustError(f"the signature is not by key sha256:{self.sha256}") from e


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A private key that can sign; its secret part is never shown."""

    public: PublicKey
    secret: ec.EllipticCurvePrivateKey = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """An ECDSA/SHA-256 signature over ``message``, DER. Differs from call to call."""
        return self.secret.sign(message, _ECDSA)


def new_signer(path: Path, *, passphrase_file: Path | None = None) -> Signer:
    """A new key, written to ``path`` (PKCS#8, mode 0600), its public half to ``*.pub`` beside it.

    Raises:
        InputError: one of the two files is there already, or the passphrase
            file cannot be used.
    """
    beside = path.with_suffix(".pub")
    for file in (path, beside):
        if file.exists() or file.is_symlink():
            raise InputError(f"{file}: is there already", hint="keys are never overwritten")
    lock: KeySerializationEncryption = NoEncryption()
    if passphrase_file is not None:
        lock = BestAvailableEncryption(_passphrase(passphrase_file))
    secret = ec.generate_private_key(ec.SECP256R1())
    signer = _signer(secret)
    write_atomic(path, secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock), mode=0o600)
    write_atomic(beside, signer.public.pem)
    return signer


def load_signer(path: Path, *, passphrase_file: Path | None = None) -> Signer:
    """The signer of a PKCS#8 PEM file that only its owner can read.

    Raises:
        InputError: the file cannot be read, others can read it, it is not a
            P-256 key in PKCS#8, or the passphrase is missing or wrong.
    """
    data = _private_bytes(path)
    if not data.lstrip().startswith(_PRIVATE):
        raise InputError(
            f"{path}: expected a private key in PKCS#8 PEM",
            hint="'openssl pkcs8 -topk8 -in OLD -out NEW' converts other PEM forms",
        )
    passphrase = _passphrase(passphrase_file) if passphrase_file is not None else None
    try:
        secret = load_pem_private_key(data, passphrase)
    except TypeError as e:
        wants = "has no passphrase, but one was given" if passphrase else "needs a passphrase"
        raise InputError(f"{path}: {wants}") from e
    except (ValueError, UnsupportedAlgorithm) as e:
        why = "wrong passphrase, or damaged" if passphrase else "damaged, or of an unknown kind"
        raise InputError(f"{path}: {why}") from e
    if not isinstance(secret, ec.EllipticCurvePrivateKey) or not _is_p256(secret.curve):
        raise InputError(f"{path}: expected an EC P-256 key, found {_kind(secret)}")
    return _signer(secret)


def load_public(path: Path) -> PublicKey:
    """The public key of a ``*.pub`` file (SPKI PEM).

    Raises:
        InputError: the file cannot be read or holds no P-256 public key.
    """
    return parse_public(_bounded(path), what=str(path))


def parse_public(pem: bytes, *, what: str) -> PublicKey:
    """The public key in ``pem``; ``what`` says where it came from.

    Raises:
        InputError: no SPKI PEM, or a key that is not P-256.
    """
    if not pem.strip().startswith(b"-----BEGIN PUBLIC KEY-----") or pem.count(b"-----BEGIN") != 1:
        raise InputError(f"{what}: expected one public key in PEM (-----BEGIN PUBLIC KEY-----)")
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as e:
        raise InputError(f"{what}: the public key is damaged or of an unknown kind") from e
    if not isinstance(key, ec.EllipticCurvePublicKey) or not _is_p256(key.curve):
        raise InputError(f"{what}: expected an EC P-256 key, found {_kind(key)}")
    return _public(key)


def _signer(secret: ec.EllipticCurvePrivateKey) -> Signer:
    return Signer(public=_public(secret.public_key()), secret=secret)


def _public(key: ec.EllipticCurvePublicKey) -> PublicKey:
    return PublicKey(spki=key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _is_p256(curve: ec.EllipticCurve) -> bool:
    return isinstance(curve, ec.SECP256R1)


def _kind(key: object) -> str:
    curve = getattr(key, "curve", None)
    if isinstance(curve, ec.EllipticCurve):
        return f"EC {curve.name}"
    return type(key).__name__.lstrip("_").removesuffix("Key")


def _passphrase(path: Path) -> bytes:
    phrase = _private_bytes(path).split(b"\n", 1)[0].rstrip(b"\r")
    if not phrase:
        raise InputError(f"{path}: expected a passphrase on the first line, found none")
    return phrase


def _private_bytes(path: Path) -> bytes:
    return _bounded(path, private=True)


def _bounded(path: Path, *, private: bool = False) -> bytes:
    try:
        # NOTE: the mode is read from the open file, so that it cannot be swapped in between.
        with path.open("rb") as f:
            state = os.fstat(f.fileno())
            data = f.read(_MAX_KEY_BYTES + 1)
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
    if private and stat.S_IMODE(state.st_mode) & 0o077:
        mode = stat.S_IMODE(state.st_mode)
        raise InputError(
            f"{path}: expected mode 0600, found {mode:04o}: others could read the secret",
            hint=f"chmod 600 {path}; if others had access, make a new key",
        )
    if len(data) > _MAX_KEY_BYTES:
        raise InputError(f"{path}: expected at most {_MAX_KEY_BYTES} bytes; this is no key")
    return data
