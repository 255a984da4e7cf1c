"""CMS SignedData, read strictly: its form, and its signature by the certificate inside it.

Whether the certificate is to be trusted is not decided here: ``openssl cms`` does that under
the roots of a policy, and ``rfc3161_client`` for timestamps. This reader is for a policy that names
none. Without it such a file in verified evidence could contain anything. ``openssl cms
-noverify`` was tried in its place: it takes bytes after the end, further certificates and
attributes that nobody signed.

Source: RFC 5652, sections 5.1 to 5.6.
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hardpan.core.errors import TrustError
from hardpan.core.limits import MAX_CMS_BYTES
from hardpan.signing.der import NULL, OCTET_STRING, SEQUENCE, SET, DerElement, context_tag, read_der
from hardpan.signing.public_key import PublicKey
from hardpan.signing.strict_json import MalformedError

if TYPE_CHECKING:
    from cryptography import x509

MAX_CERTIFICATES = 8
_DATA, _SIGNED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"
_CONTENT_TYPE, _MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
SHA256 = "2.16.840.1.101.3.4.2.1"
_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    SHA256: hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}
_ECDSA_SHA256 = "1.2.840.10045.4.3.2"
_ECDSA: dict[str, hashes.HashAlgorithm] = {
    _ECDSA_SHA256: hashes.SHA256(),
    "1.2.840.10045.4.3.3": hashes.SHA384(),
    "1.2.840.10045.4.3.4": hashes.SHA512(),
}
_RSA_WITH_DIGEST = "1.2.840.113549.1.1.1"
"""PKCS#1 v1.5 with the digest that the signer names apart."""

_RSA: dict[str, hashes.HashAlgorithm] = {
    "1.2.840.113549.1.1.11": hashes.SHA256(),
    "1.2.840.113549.1.1.12": hashes.SHA384(),
    "1.2.840.113549.1.1.13": hashes.SHA512(),
}
_ED25519 = "1.3.101.112"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedData:
    """A well-formed SignedData with one signer; its signature is not verified yet."""

    label: str
    content_type: str
    content: bytes | None
    """The signed bytes; None where the signature is detached."""

    certificate_count: int
    """How many there are inside."""

    signer: "x509.Certificate"
    """The one of them that the signer names."""

    digest_algorithm: str
    signature_algorithm: str
    signed_attributes: bytes
    """As they are signed: a SET, DER."""

    message_digest: bytes
    signature: bytes

    def check_signature(self, content: bytes) -> None:
        """Pass if the certificate inside signed ``content``.

        Raises:
            MalformedError: by an algorithm that is not taken.
            TrustError: it did not.
        """
        digest = hashes.Hash(_DIGESTS[self.digest_algorithm])
        digest.update(content)
        if digest.finalize() != self.message_digest:
            raise TrustError(f"{self.label}: signs other content")
        key = self.signer.public_key()
        algorithm = self.signature_algorithm
        signed = self.signed_attributes
        try:
            if isinstance(key, ec.EllipticCurvePublicKey) and algorithm in _ECDSA:
                key.verify(self.signature, signed, ec.ECDSA(_ECDSA[algorithm]))
            elif isinstance(key, rsa.RSAPublicKey) and algorithm in _RSA:
                key.verify(self.signature, signed, padding.PKCS1v15(), _RSA[algorithm])
            elif isinstance(key, rsa.RSAPublicKey) and algorithm == _RSA_WITH_DIGEST:
                hash_algorithm = _DIGESTS[self.digest_algorithm]
                key.verify(self.signature, signed, padding.PKCS1v15(), hash_algorithm)
            elif isinstance(key, ed25519.Ed25519PublicKey) and algorithm == _ED25519:
                key.verify(self.signature, signed)
            else:
                raise MalformedError(f"{self.label}: signature algorithm {algorithm} is not taken")
        except InvalidSignature as e:
            raise TrustError(f"{self.label}: not signed by the embedded certificate") from e
        except (ValueError, UnsupportedAlgorithm) as e:
            raise MalformedError(f"{self.label}: the embedded key cannot be used") from e


def check_detached_cms(data: bytes, payload: bytes, public: PublicKey, *, label: str) -> None:
    """Pass if ``data`` is what ``detached`` writes: ``public``'s CMS signature over ``payload``.

    It holds one certificate, of ``public``. What else that certificate says is not judged.

    Raises:
        MalformedError: another form: further certificates, unsigned attributes, other algorithms.
        TrustError: over another payload, or by another key.
    """
    signed = read_signed_data(read_der(data, label=label, max_bytes=MAX_CMS_BYTES))
    if signed.content is not None or signed.content_type != _DATA:
        raise MalformedError(f"{label}: expected a detached signature over data")
    if signed.certificate_count != 1:
        raise MalformedError(f"{label}: expected one certificate, got {signed.certificate_count}")
    if (signed.digest_algorithm, signed.signature_algorithm) != (SHA256, _ECDSA_SHA256):
        raise MalformedError(f"{label}: expected ECDSA with SHA-256")
    key = signed.signer.public_key()
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != public.spki:
        raise TrustError(f"{label}: is by another key than the statement's signature")
    signed.check_signature(payload)


def read_signed_data(info: DerElement) -> SignedData:
    """The SignedData in the ContentInfo ``info``: one signer, whose certificate is inside.

    Raises:
        MalformedError: anything else, revocation lists and unsigned attributes included.
    """
    label = info.label
    info_type, outer = _require_fields(info.expect(SEQUENCE), 2)
    if info_type.read_oid() != _SIGNED_DATA:
        raise MalformedError(f"{label}: expected CMS SignedData, got {info_type.read_oid()}")
    parts = list(outer.expect(context_tag(0)).read_only_child().expect(SEQUENCE).read_children())
    if len(parts) != 5 or parts[3].tag != context_tag(0):
        raise MalformedError(f"{label}: expected certificates, one signer and nothing else")
    version, digests, encapsulated, certificates, signers = parts
    if version.read_integer() not in (1, 3):
        raise MalformedError(f"{label}: version: expected 1 or 3, got {version.read_integer()}")
    content_type, content = _read_content(encapsulated)
    parsed_certificates = _read_certificates(certificates)
    signer = _require_fields(signers.expect(SET).read_only_child().expect(SEQUENCE), 6)
    digest_algorithm = read_algorithm(signer[2])
    declared_digests = {read_algorithm(x) for x in digests.expect(SET).read_children()}
    if digest_algorithm not in _DIGESTS or declared_digests != {digest_algorithm}:
        raise MalformedError(f"{label}: expected one digest algorithm of SHA-2")
    attributes = _read_attributes(signer[3])
    if attributes.get(_CONTENT_TYPE, DerElement(0, b"", b"", label)).read_oid() != content_type:
        raise MalformedError(f"{label}: the signed content type is another one")
    if _MESSAGE_DIGEST not in attributes:
        raise MalformedError(f"{label}: no signed message digest")
    return SignedData(
        label=label,
        content_type=content_type,
        content=content,
        certificate_count=len(parsed_certificates),
        signer=_find_signer_certificate(signer[0], signer[1], parsed_certificates),
        digest_algorithm=digest_algorithm,
        signature_algorithm=read_algorithm(signer[4]),
        # RFC 5652, section 5.4: signed with the tag of a SET in the place of [0].
        signed_attributes=bytes([SET]) + signer[3].encoded[1:],
        message_digest=attributes[_MESSAGE_DIGEST].expect(OCTET_STRING).body,
        signature=signer[5].expect(OCTET_STRING).body,
    )


def read_algorithm(element: DerElement) -> str:
    """The object identifier of an AlgorithmIdentifier without parameters.

    Raises:
        MalformedError: it has parameters other than NULL.
    """
    parts = element.expect(SEQUENCE).read_children()
    if not 1 <= len(parts) <= 2:
        raise MalformedError(f"{element.label}: a damaged algorithm")
    if len(parts) == 2 and parts[1].encoded != bytes((NULL, 0)):
        raise MalformedError(f"{element.label}: an algorithm with parameters")
    return parts[0].read_oid()


def _require_fields(element: DerElement, count: int) -> tuple[DerElement, ...]:
    fields = element.read_children()
    if len(fields) != count:
        raise MalformedError(f"{element.label}: expected {count} fields, got {len(fields)}")
    return fields


def _read_content(element: DerElement) -> tuple[str, bytes | None]:
    parts = element.expect(SEQUENCE).read_children()
    if not 1 <= len(parts) <= 2:
        raise MalformedError(f"{element.label}: expected a content type and at most one content")
    if len(parts) == 1:
        return parts[0].read_oid(), None
    return parts[0].read_oid(), parts[1].expect(context_tag(0)).read_only_child().expect(
        OCTET_STRING
    ).body


def _read_attributes(element: DerElement) -> dict[str, DerElement]:
    """The signed attributes, each with its one value."""
    attributes: dict[str, DerElement] = {}
    for attribute in element.expect(context_tag(0)).read_children():
        name, values = _require_fields(attribute.expect(SEQUENCE), 2)
        if name.read_oid() in attributes:
            raise MalformedError(f"{element.label}: a signed attribute appears twice")
        attributes[name.read_oid()] = values.expect(SET).read_only_child()
    return attributes


def _read_certificates(element: DerElement) -> tuple[tuple[DerElement, "x509.Certificate"], ...]:
    elements = element.read_children()
    if not 1 <= len(elements) <= MAX_CERTIFICATES:
        raise MalformedError(
            f"{element.label}: expected 1 to {MAX_CERTIFICATES} certificates, got {len(elements)}"
        )
    if len({x.encoded for x in elements}) != len(elements):
        raise MalformedError(f"{element.label}: a certificate appears twice")
    return tuple((x, read_certificate(x.expect(SEQUENCE))) for x in elements)


def read_certificate(element: DerElement) -> "x509.Certificate":
    """The X.509 certificate that ``element`` is.

    Raises:
        MalformedError: it cannot be read whole, or only with a warning.
    """
    from cryptography import x509  # see ``certificate``: takes long to load

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # certificates accepted with a warning
            certificate = x509.load_der_x509_certificate(element.encoded)
            # The library reads these on demand, and fails as late.
            _ = (
                certificate.public_key(),
                certificate.extensions,
                certificate.subject,
                certificate.issuer,
            )
            _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        UnsupportedAlgorithm,
        Warning,
        x509.InvalidVersion,
        x509.DuplicateExtension,
    ) as e:
        raise MalformedError(f"{element.label}: an embedded certificate cannot be read") from e
    return certificate


def _find_signer_certificate(
    version: DerElement,
    signer_id: DerElement,
    certificates: tuple[tuple[DerElement, "x509.Certificate"], ...],
) -> "x509.Certificate":
    """The certificate that the signer names by issuer and serial number."""
    if version.read_integer() != 1:
        raise MalformedError(
            f"{version.label}: expected a signer named by issuer and serial number"
        )
    issuer, serial = _require_fields(signer_id.expect(SEQUENCE), 2)
    for encoded, certificate in certificates:
        # RFC 5280, section 4.1: [0] version, serial number, signature, issuer. Compared as they
        # are encoded: the library would write a name in its own way.
        fields = encoded.read_children()[0].read_children()
        serial_index = 1 if fields[0].tag == context_tag(0) else 0
        if (fields[serial_index + 2].encoded, fields[serial_index].encoded) == (
            issuer.encoded,
            serial.encoded,
        ):
            return certificate
    raise MalformedError(f"{signer_id.label}: the signer's certificate is not embedded")
