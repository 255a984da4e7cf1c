"""A timestamp authority without a process: RFC 3161 answers written byte by byte.

Real ones (``openssl ts``) serve the integration tests; this one can forge
every field and any time, which real ones do not.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

POLICY = "1.3.6.1.4.1.13762.3"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_VALID_FROM, _VALID_UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def encode_der(tag: int, *parts: bytes) -> bytes:
    """One DER value."""
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def _seq(*parts: bytes) -> bytes:
    return encode_der(0x30, *parts)


def _set(*parts: bytes) -> bytes:
    return encode_der(0x31, *sorted(parts))


def _int(number: int) -> bytes:
    return encode_der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def encode_oid(dotted: str) -> bytes:
    """A DER object identifier."""
    first, second, *other_arcs = map(int, dotted.split("."))
    body = b""
    for arc in (40 * first + second, *other_arcs):
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(0x80 | (arc & 0x7F))
        body += bytes(reversed(digits))
    return encode_der(6, body)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class FakeTsa:
    """An authority with a root of its own."""

    not_before: datetime = _VALID_FROM
    not_after: datetime = _VALID_UNTIL
    has_eku: bool = True
    root: x509.Certificate = field(init=False)
    leaf: x509.Certificate = field(init=False)
    key: ec.EllipticCurvePrivateKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        root_key = ec.generate_private_key(ec.SECP256R1())
        self.key = ec.generate_private_key(ec.SECP256R1())
        margin = timedelta(days=3650)
        ca = x509.BasicConstraints(ca=True, path_length=0)
        base = (
            x509.CertificateBuilder()
            .issuer_name(_name("root"))
            .not_valid_before(_VALID_FROM - margin)
        )
        self.root = (
            base.subject_name(_name("root"))
            .public_key(root_key.public_key())
            .serial_number(1)
            .not_valid_after(_VALID_UNTIL + margin)
            .add_extension(ca, critical=True)
            .sign(root_key, hashes.SHA256())
        )
        leaf = (
            x509.CertificateBuilder()
            .issuer_name(_name("root"))
            .subject_name(_name("tsa"))
            .public_key(self.key.public_key())
            .serial_number(2)
            .not_valid_before(self.not_before)
            .not_valid_after(self.not_after)
        )
        if self.has_eku:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
            leaf = leaf.add_extension(usage, critical=True)
        self.leaf = leaf.sign(root_key, hashes.SHA256())

    @property
    def pem(self) -> str:
        """The root, as a policy names it."""
        return self.root.public_bytes(Encoding.PEM).decode()

    def make_token(
        self,
        message: bytes,
        gen_time: datetime,
        *,
        policy: str = POLICY,
        nonce: int | None = None,
        status: int = 0,
        algorithm: str = _SHA256,
    ) -> bytes:
        """A TimeStampResp over ``message`` that says ``at``."""
        imprint = _seq(
            _seq(encode_oid(algorithm), encode_der(5)),
            encode_der(4, hashlib.new("sha256", message).digest()),
        )
        info = _seq(
            _int(1),
            encode_oid(policy),
            imprint,
            _int(7),
            encode_der(0x18, gen_time.strftime("%Y%m%d%H%M%SZ").encode()),
            *([] if nonce is None else [_int(nonce)]),
        )
        return _seq(_seq(_int(status)), *([] if status > 1 else [self._signed(info)]))

    def _signed(self, info: bytes) -> bytes:
        sha256 = _seq(encode_oid(_SHA256))
        kind = "1.2.840.113549.1.9.16.1.4"
        certificate = self.leaf.public_bytes(Encoding.DER)
        ess = _seq(_seq(_seq(encode_der(4, hashlib.sha256(certificate).digest()))))
        attributes = [
            _seq(encode_oid("1.2.840.113549.1.9.3"), _set(encode_oid(kind))),
            _seq(
                encode_oid("1.2.840.113549.1.9.4"),
                _set(encode_der(4, hashlib.sha256(info).digest())),
            ),
            _seq(encode_oid("1.2.840.113549.1.9.16.2.47"), _set(ess)),
        ]
        signature = self.key.sign(_set(*attributes), ec.ECDSA(hashes.SHA256()))
        signer = _seq(
            _int(1),
            _seq(self.leaf.issuer.public_bytes(), _int(self.leaf.serial_number)),
            sha256,
            encode_der(0xA0, *sorted(attributes)),
            _seq(encode_oid("1.2.840.10045.4.3.2")),
            encode_der(4, signature),
        )
        data = _seq(
            _int(3),
            _set(sha256),
            _seq(encode_oid(kind), encode_der(0xA0, encode_der(4, info))),
            encode_der(0xA0, certificate),
            _set(signer),
        )
        return _seq(encode_oid("1.2.840.113549.1.7.2"), encode_der(0xA0, data))
