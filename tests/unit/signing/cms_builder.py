"""CMS SignedData written part by part, so that each part can be another one."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.tools.tsa import encode_der, encode_oid

DATA, TST_INFO = "1.2.840.113549.1.7.1", "1.2.840.113549.1.9.16.1.4"
SHA256, SHA1 = "2.16.840.1.101.3.4.2.1", "1.3.14.3.2.26"
ECDSA_SHA256 = "1.2.840.10045.4.3.2"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
Secret = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def build_certificate(secret: Secret, *, serial: int = 9, text: str = "station 7") -> bytes:
    """A certificate of ``secret``, by itself, DER."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    digest = None if isinstance(secret, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(serial)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        .sign(secret, digest)
    )
    return certificate.public_bytes(Encoding.DER)


def build_algorithm(dotted: str, *parameters: bytes) -> bytes:
    """An AlgorithmIdentifier."""
    return encode_der(0x30, encode_oid(dotted), *parameters)


def build_attribute(dotted: str, *values: bytes) -> bytes:
    """A CMS attribute."""
    return encode_der(0x30, encode_oid(dotted), encode_der(0x31, *values))


@dataclass(kw_only=True)
class SignedDataParts:
    """The parts of a SignedData, each as DER."""

    secret: Secret
    payload: bytes
    content_type: str = DATA
    is_detached: bool = True
    digest: str = SHA256
    signature_algorithm: bytes = field(default_factory=lambda: build_algorithm(ECDSA_SHA256))
    info_type: str = "1.2.840.113549.1.7.2"
    version: bytes = b"\x02\x01\x01"
    signer_version: bytes = b"\x02\x01\x01"
    serial: bytes = b"\x02\x01\x09"
    certificates: tuple[bytes, ...] | None = None
    has_certificates: bool = True
    digests: tuple[bytes, ...] | None = None
    content_info: bytes | None = None
    extra_content: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    unsigned: tuple[bytes, ...] = ()
    extra_signer_count: int = 0
    attributes: tuple[bytes, ...] | None = None
    extra_attributes: tuple[bytes, ...] = ()
    sign: Callable[[bytes], bytes] | None = None

    def _attributes(self) -> tuple[bytes, ...]:
        if self.attributes is not None:
            return self.attributes
        return (
            build_attribute(CONTENT_TYPE, encode_oid(self.content_type)),
            build_attribute(MESSAGE_DIGEST, encode_der(4, hashlib.sha256(self.payload).digest())),
            *self.extra_attributes,
        )

    def _signature(self, message: bytes) -> bytes:
        if self.sign is not None:
            return self.sign(message)
        if isinstance(self.secret, ec.EllipticCurvePrivateKey):
            return self.secret.sign(message, ec.ECDSA(hashes.SHA256()))
        if isinstance(self.secret, rsa.RSAPrivateKey):
            return self.secret.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return self.secret.sign(message)

    def to_der(self) -> bytes:
        """The ContentInfo."""
        signer_certificate = build_certificate(self.secret)
        attributes = b"".join(sorted(self._attributes()))
        name = x509.load_der_x509_certificate(signer_certificate).issuer.public_bytes()
        signer = encode_der(
            0x30,
            self.signer_version,
            encode_der(0x30, name, self.serial),
            build_algorithm(self.digest),
            encode_der(0xA0, attributes),
            self.signature_algorithm,
            encode_der(4, self._signature(encode_der(0x31, attributes))),
            *self.unsigned,
        )
        content = () if self.is_detached else (encode_der(0xA0, encode_der(4, self.payload)),)
        certificates = (signer_certificate,) if self.certificates is None else self.certificates
        digests = (build_algorithm(self.digest),) if self.digests is None else self.digests
        signed = encode_der(
            0x30,
            self.version,
            encode_der(0x31, *digests),
            self.content_info
            or encode_der(0x30, encode_oid(self.content_type), *content, *self.extra_content),
            *([encode_der(0xA0, *certificates)] if self.has_certificates else []),
            *self.crls,
            encode_der(0x31, *([signer] * (1 + self.extra_signer_count))),
        )
        return encode_der(0x30, encode_oid(self.info_type), encode_der(0xA0, signed))
