"""Create and load keys in PKCS#8 PEM files that only their owner can read."""

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

from hardpan.core.errors import InputError
from hardpan.core.files import write_atomic
from hardpan.core.secret_files import read_first_line, read_secret
from hardpan.signing.algorithms import ALGORITHMS, DEFAULT_ALGORITHM, is_ml_dsa, require_ml_dsa
from hardpan.signing.passphrase import PassphraseSource
from hardpan.signing.public_key import PublicKey, wrap_public_key

_PLAIN_HEADER = b"-----BEGIN PRIVATE KEY-----"
_ENCRYPTED_HEADER = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_SEED_ONLY_HINT = (
    "OpenSSL writes ML-DSA keys in a form that is not taken; make it the seed alone: "
    "openssl pkey -in OLD -out NEW -provparam ml-dsa.output_formats=seed-only"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PemSigner:
    """A private key in this process's memory; its repr hides the secret."""

    public: PublicKey
    secret: PrivateKeyTypes = field(repr=False, compare=False)
    label: str = field(default="the key", repr=False, compare=False)
    """Source of the key, for messages."""

    def sign(self, message: bytes) -> bytes:
        """The signature over ``message``. Differs from call to call for most algorithms."""
        signature = self.public.algorithm.sign(self.secret, message)
        return self.public.confirm_signature(signature, message, label=self.label)


def create_signer(
    path: Path, *, alg: str = DEFAULT_ALGORITHM, passphrase_file: Path | None = None
) -> PemSigner:
    """Create a key in ``path`` (PKCS#8, mode 0600) and its public key next to it (``*.pub``).

    Raises:
        InputError: one of the two files is there already, or the passphrase
            file cannot be used.
        ToolError: this machine cannot do ``alg``.
    """
    public_path = path.with_suffix(".pub")
    for file in (path, public_path):
        if file.exists() or file.is_symlink():
            raise InputError(f"{file}: is there already", hint="keys are never overwritten")
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase_file is not None:
        encryption = BestAvailableEncryption(read_first_line(passphrase_file))
    secret = ALGORITHMS[alg].generate_key()
    signer = _build_signer(secret, path)
    write_atomic(
        path, secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), mode=0o600
    )
    write_atomic(public_path, signer.public.pem)
    return signer


def load_pem_signer(path: Path, passphrase_source: PassphraseSource) -> PemSigner:
    """The signer of a PKCS#8 PEM file that only its owner can read.

    Raises:
        InputError: the file cannot be read, others can read it, it is not a
            key of ours in PKCS#8, or the passphrase is missing or wrong.
    """
    data = read_secret(path)
    is_encrypted = data.lstrip().startswith(_ENCRYPTED_HEADER)
    if not is_encrypted and not data.lstrip().startswith(_PLAIN_HEADER):
        raise InputError(
            f"{path}: expected a private key in PKCS#8 PEM",
            hint="'openssl pkcs8 -topk8 -in OLD -out NEW' converts other PEM forms",
        )
    if not is_encrypted and passphrase_source.is_configured:
        raise InputError(f"{path}: has no passphrase, but one was given")
    passphrase = passphrase_source.read(f"passphrase of {path}") if is_encrypted else None
    if is_encrypted and passphrase is None:
        raise InputError(
            f"{path}: needs a passphrase", hint="--passphrase-file FILE or --passphrase-env NAME"
        )
    has_ml_dsa_key = not is_encrypted and is_ml_dsa(_decode_pem(data))
    if has_ml_dsa_key:
        require_ml_dsa()
    try:
        secret = load_pem_private_key(data, passphrase)
    except (TypeError, ValueError, UnsupportedAlgorithm) as e:
        reason = (
            "wrong passphrase, or damaged" if is_encrypted else "damaged, or of an unknown kind"
        )
        raise InputError(f"{path}: {reason}", hint=_SEED_ONLY_HINT if has_ml_dsa_key else "") from e
    return _build_signer(secret, path)


def _decode_pem(pem: bytes) -> bytes:
    body = pem.partition(_PLAIN_HEADER)[2].partition(b"-----END")[0]
    try:
        return base64.b64decode(body)
    except ValueError:
        return b""


def _build_signer(secret: PrivateKeyTypes, path: Path) -> PemSigner:
    public = wrap_public_key(secret.public_key(), label=str(path))
    return PemSigner(public=public, secret=secret, label=str(path))
