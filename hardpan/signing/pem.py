"""Keys in PKCS#8 PEM files: made, loaded, and never readable by others."""

import base64
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hardpan.errors import InputError
from hardpan.files import write_atomic
from hardpan.secret_files import read_first_line, read_secret
from hardpan.signing.algorithms import ALG, ALGORITHMS, is_ml_dsa, need_ml_dsa
from hardpan.signing.public import PublicKey, public_of
from hardpan.signing.unlock import Unlock

_PLAIN = b"-----BEGIN PRIVATE KEY-----"
_LOCKED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_SEED = (
    "OpenSSL writes ML-DSA keys in a form that is not taken; make it the seed alone: "
    "openssl pkey -in OLD -out NEW -provparam ml-dsa.output_formats=seed-only"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PemSigner:
    """A private key in this process's memory; its secret part is never shown."""

    public: PublicKey
    secret: PrivateKeyTypes = field(repr=False, compare=False)
    what: str = field(default="the key", repr=False, compare=False)
    """Where it came from, for messages."""

    def sign(self, message: bytes) -> bytes:
        """The signature over ``message``. Differs from call to call for most algorithms."""
        made = self.public.algorithm.sign(self.secret, message)
        return self.public.own(made, message, by=self.what)


def new_signer(path: Path, *, alg: str = ALG, passphrase_file: Path | None = None) -> PemSigner:
    """A new key, written to ``path`` (PKCS#8, mode 0600), its public half to ``*.pub`` beside it.

    Raises:
        InputError: one of the two files is there already, or the passphrase
            file cannot be used.
        ToolError: this machine cannot do ``alg``.
    """
    beside = path.with_suffix(".pub")
    for file in (path, beside):
        if file.exists() or file.is_symlink():
            raise InputError(f"{file}: is there already", hint="keys are never overwritten")
    lock: KeySerializationEncryption = NoEncryption()
    if passphrase_file is not None:
        lock = BestAvailableEncryption(read_first_line(passphrase_file))
    secret = ALGORITHMS[alg].new()
    signer = _signer(secret, path)
    write_atomic(path, secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock), mode=0o600)
    write_atomic(beside, signer.public.pem)
    return signer


def load_pem(path: Path, unlock: Unlock) -> PemSigner:
    """The signer of a PKCS#8 PEM file that only its owner can read.

    Raises:
        InputError: the file cannot be read, others can read it, it is not a
            key of ours in PKCS#8, or the passphrase is missing or wrong.
    """
    data = read_secret(path)
    locked = data.lstrip().startswith(_LOCKED)
    if not locked and not data.lstrip().startswith(_PLAIN):
        raise InputError(
            f"{path}: expected a private key in PKCS#8 PEM",
            hint="'openssl pkcs8 -topk8 -in OLD -out NEW' converts other PEM forms",
        )
    if not locked and unlock.given:
        raise InputError(f"{path}: has no passphrase, but one was given")
    passphrase = unlock.secret(f"passphrase of {path}") if locked else None
    if locked and passphrase is None:
        raise InputError(
            f"{path}: needs a passphrase", hint="--passphrase-file FILE or --passphrase-env NAME"
        )
    ml_dsa = not locked and is_ml_dsa(_der(data))
    if ml_dsa:
        need_ml_dsa()
    try:
        secret = load_pem_private_key(data, passphrase)
    except (TypeError, ValueError, UnsupportedAlgorithm) as e:
        why = "wrong passphrase, or damaged" if locked else "damaged, or of an unknown kind"
        raise InputError(f"{path}: {why}", hint=_SEED if ml_dsa else "") from e
    return _signer(secret, path)


def _der(pem: bytes) -> bytes:
    body = pem.partition(_PLAIN)[2].partition(b"-----END")[0]
    try:
        return base64.b64decode(body)
    except ValueError:
        return b""


def _signer(secret: PrivateKeyTypes, path: Path) -> PemSigner:
    public = public_of(secret.public_key(), what=str(path))
    return PemSigner(public=public, secret=secret, what=str(path))
