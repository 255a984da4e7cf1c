"""Parse public keys strictly and verify signatures with them."""

import base64
import string
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import Sha256, sha256_bytes
from hardpan.signing.algorithms import (
    ALGORITHMS,
    KEY_KINDS,
    Algorithm,
    algorithm_for,
    is_ml_dsa,
    require_ml_dsa,
)
from hardpan.signing.passphrase import read_small_file

_PEM_HEADER, _PEM_FOOTER = b"-----BEGIN PUBLIC KEY-----", b"-----END PUBLIC KEY-----"
_PEM_BODY_CHARACTERS = (string.ascii_letters + string.digits + "+/=" + string.whitespace).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A public key and the one algorithm it is for."""

    spki: bytes
    """SubjectPublicKeyInfo, DER."""

    alg: str
    """A name of ``ALGORITHMS``; it follows from the key."""

    @property
    def algorithm(self) -> Algorithm:
        """What it signs with."""
        return ALGORITHMS[self.alg]

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

    def verify(self, signature: bytes, message: bytes) -> None:
        """Pass if ``signature`` is this key's over ``message``.

        Raises:
            TrustError: it is not.
        """
        try:
            self.algorithm.verify(load_der_public_key(self.spki), signature, message)
        except InvalidSignature as e:
            raise TrustError(f"the signature is not by key sha256:{self.sha256}") from e

    def confirm_signature(self, signature: bytes, message: bytes, *, label: str) -> bytes:
        """Return a new ``signature`` over ``message`` if this key verifies it.

        Raises:
            TrustError: it does not: the halves are no pair, or the device errs.
        """
        try:
            self.verify(signature, message)
        except TrustError as e:
            raise TrustError(
                f"{label}: produced a signature that its own public key (sha256:{self.sha256}) "
                "does not confirm",
                hint="the public and the private key may not be a pair; nothing was written",
            ) from e
        return signature


def load_public_key(path: Path) -> PublicKey:
    """The public key of a ``*.pub`` file (SPKI PEM).

    Raises:
        InputError: the file cannot be read or contains no supported key.
    """
    return parse_public_key(read_small_file(path), label=str(path))


def parse_public_key(pem: bytes, *, label: str) -> PublicKey:
    """The public key in ``pem``; ``what`` says where it came from.

    Raises:
        InputError: no SPKI PEM, or a key of a kind or size that is not taken.
        ToolError: an ML-DSA key, and this machine cannot do ML-DSA.
    """
    text = pem.strip()
    body = text.removeprefix(_PEM_HEADER).removesuffix(_PEM_FOOTER)
    has_markers = len(body) == len(text) - len(_PEM_HEADER) - len(_PEM_FOOTER)
    if not has_markers or not body[:1].isspace() or body.translate(None, _PEM_BODY_CHARACTERS):
        raise InputError(f"{label}: expected one public key in PEM ({_PEM_HEADER.decode()})")
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
    except ValueError as e:
        raise InputError(f"{label}: the public key is damaged or of an unknown kind") from e
    return parse_spki(der, label=label)


def parse_spki(der: bytes, *, label: str) -> PublicKey:
    """The public key in ``der``, as ``parse_public``."""
    if is_ml_dsa(der):
        require_ml_dsa()
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as e:
        raise InputError(f"{label}: the public key is damaged or of an unknown kind") from e
    return wrap_public_key(key, label=label)


def wrap_public_key(key: PublicKeyTypes, *, label: str) -> PublicKey:
    """``key`` with the algorithm that it is for.

    Raises:
        InputError: it is for no supported algorithm.
    """
    algorithm = algorithm_for(key)
    if algorithm is None:
        raise InputError(f"{label}: expected a key of {KEY_KINDS}; got {_describe_key(key)}")
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(spki=spki, alg=algorithm.name)


def _describe_key(key: PublicKeyTypes) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA with {key.key_size} bits, exponent {key.public_numbers().e}"
    return type(key).__name__.lstrip("_").removesuffix("PublicKey")
