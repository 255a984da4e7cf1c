"""The signature algorithms. A key has exactly one; nothing is negotiated.

Each row of ``ALGORITHMS`` is fixed whole: curve or size, padding, digest. What is
not in it (P-384, RSA-PSS, Ed25519, SHA-1, RSA below 3072 bits) is no key of ours:
cosign refuses the first two, EL9's FIPS provider the third.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import cast

import cryptography
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

from hardpan.core.errors import ToolError

try:
    from cryptography.hazmat.primitives.asymmetric import mldsa
except ImportError:  # cryptography before 47
    _HAS_ML_DSA_MODULE = False
else:
    _HAS_ML_DSA_MODULE = True

_ECDSA_SHA256 = ec.ECDSA(hashes.SHA256())
_MIN_BITS, _MAX_BITS = 3072, 8192
_MIN_PUBLIC_EXPONENT = 65_537
"""FIPS 186-5, A.1.1: the public exponent is larger than 2**16."""

_ML_DSA_OID_PREFIX = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03"
"""id-ml-dsa-*, DER, without its last octet: 17 (44), 18 (65) or 19 (87)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm(ABC):
    """One way of signing."""

    name: str
    """As policies and statements write it."""

    cli_name: str
    """The value of ``hardpan keys new --alg``."""

    key_kind: str
    """The kind of key, for error messages."""

    is_post_quantum: bool = False
    """True: it signs the second envelope and nothing else."""

    @abstractmethod
    def generate_key(self) -> PrivateKeyTypes:
        """A new private key."""

    @abstractmethod
    def matches(self, key: PublicKeyTypes) -> bool:
        """True when ``key`` is one of this algorithm's."""

    @abstractmethod
    def sign(self, secret: PrivateKeyTypes, message: bytes) -> bytes:
        """The signature over ``message``."""

    @abstractmethod
    def verify(self, key: PublicKeyTypes, signature: bytes, message: bytes) -> None:
        """Pass if the signature holds; else ``cryptography``'s InvalidSignature."""


class Ecdsa(Algorithm):
    """ECDSA on P-256 with SHA-256, DER."""

    __slots__ = ()

    def generate_key(self) -> PrivateKeyTypes:
        """A new P-256 key."""
        return ec.generate_private_key(ec.SECP256R1())

    def matches(self, key: PublicKeyTypes) -> bool:
        """True for P-256."""
        return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)

    def sign(self, secret: PrivateKeyTypes, message: bytes) -> bytes:
        """DER; differs from call to call."""
        return cast(ec.EllipticCurvePrivateKey, secret).sign(message, _ECDSA_SHA256)

    def verify(self, key: PublicKeyTypes, signature: bytes, message: bytes) -> None:
        """Pass if the signature holds."""
        cast(ec.EllipticCurvePublicKey, key).verify(signature, message, _ECDSA_SHA256)


class Rsa(Algorithm):
    """RSA, PKCS#1 v1.5 with SHA-256: what old HSMs have."""

    __slots__ = ()

    def generate_key(self) -> PrivateKeyTypes:
        """Generate a key of the smallest supported size."""
        return rsa.generate_private_key(_MIN_PUBLIC_EXPONENT, _MIN_BITS)

    def matches(self, key: PublicKeyTypes) -> bool:
        """True for 3072 to 8192 bits and an exponent that FIPS 186-5 allows."""
        if not isinstance(key, rsa.RSAPublicKey):
            return False
        return (
            _MIN_BITS <= key.key_size <= _MAX_BITS
            and key.public_numbers().e >= _MIN_PUBLIC_EXPONENT
        )

    def sign(self, secret: PrivateKeyTypes, message: bytes) -> bytes:
        """As many bytes as the modulus has."""
        key = cast(rsa.RSAPrivateKey, secret)
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def verify(self, key: PublicKeyTypes, signature: bytes, message: bytes) -> None:
        """Pass if the signature holds."""
        public = cast(rsa.RSAPublicKey, key)
        public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())


class MlDsa(Algorithm):
    """Pure ML-DSA (FIPS 204) with an empty context string, hedged."""

    __slots__ = ()

    def _key_classes(self) -> tuple[type, type]:
        require_ml_dsa()
        if self.name == "ml-dsa-65":
            return mldsa.MLDSA65PrivateKey, mldsa.MLDSA65PublicKey
        return mldsa.MLDSA87PrivateKey, mldsa.MLDSA87PublicKey

    def generate_key(self) -> PrivateKeyTypes:
        """A new key; as PKCS#8 it is its seed."""
        return cast("mldsa.MLDSA65PrivateKey", self._key_classes()[0].generate())  # type: ignore[attr-defined]

    def matches(self, key: PublicKeyTypes) -> bool:
        """True for this parameter set alone."""
        return not ml_dsa_unavailable_reason() and isinstance(key, self._key_classes()[1])

    def sign(self, secret: PrivateKeyTypes, message: bytes) -> bytes:
        """3309 or 4627 bytes; differs from call to call."""
        return cast("mldsa.MLDSA65PrivateKey", secret).sign(message)

    def verify(self, key: PublicKeyTypes, signature: bytes, message: bytes) -> None:
        """Pass if the signature holds."""
        cast("mldsa.MLDSA65PublicKey", key).verify(signature, message)


ALGORITHMS: dict[str, Algorithm] = {
    x.name: x
    for x in (
        Ecdsa(name="ecdsa-p256-sha256", cli_name="ecdsa-p256", key_kind="EC P-256"),
        Rsa(name="rsa-pkcs1v15-sha256", cli_name="rsa-3072", key_kind="RSA (3072 to 8192 bits)"),
        MlDsa(name="ml-dsa-65", cli_name="ml-dsa-65", key_kind="ML-DSA-65", is_post_quantum=True),
        MlDsa(name="ml-dsa-87", cli_name="ml-dsa-87", key_kind="ML-DSA-87", is_post_quantum=True),
    )
}
"""Name -> algorithm. The first is the default."""

DEFAULT_ALGORITHM = next(iter(ALGORITHMS))
"""The default: NIST P-256, SHA-256, signatures in DER."""

KEY_KINDS = ", ".join(x.key_kind for x in ALGORITHMS.values())
"""What a key may be, for error messages."""


def algorithm_for(key: PublicKeyTypes) -> Algorithm | None:
    """Return the algorithm of ``key``; None if it is not supported."""
    return next((x for x in ALGORITHMS.values() if x.matches(key)), None)


def is_ml_dsa(der: bytes) -> bool:
    """True when ``der`` (an SPKI or a PKCS#8) names ML-DSA as its algorithm."""
    # The identifier is the first OID of both structures, within their first bytes.
    offset = der.find(b"\x06\x09", 0, 24)
    return der.startswith(
        _ML_DSA_OID_PREFIX, offset
    )  # not there is -1: the last byte, too short to be it


def require_ml_dsa() -> None:
    """Pass if this machine's ``cryptography`` can do ML-DSA.

    Raises:
        ToolError: it cannot; says which one is here.
    """
    reason = ml_dsa_unavailable_reason()
    if reason:
        raise ToolError(
            ("cryptography",),
            f"{cryptography.__version__} with {backend.openssl_version_text()} {reason}",
            hint="ML-DSA (FIPS 204) needs cryptography 48 or newer, as the lock file has it, "
            "or 47 built on OpenSSL 3.5",
        )


def ml_dsa_unavailable_reason() -> str:
    """Why there is no ML-DSA here; empty where there is."""
    return _probe_ml_dsa() if _HAS_ML_DSA_MODULE else "has no ML-DSA"


@cache
def _probe_ml_dsa() -> str:
    try:
        mldsa.MLDSA65PrivateKey.generate()
    except UnsupportedAlgorithm:
        return "has no ML-DSA"
    return ""
