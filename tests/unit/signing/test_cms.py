import base64
import hashlib
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from hardpan.core.errors import InputError, TrustError
from hardpan.core.limits import MAX_CMS_BYTES
from hardpan.signing import (
    PublicKey,
    check_detached_cms,
    create_signer,
    load_matching_certificate,
    sign_cms_detached,
)
from hardpan.signing.cms import read_signed_data
from hardpan.signing.der import read_der
from hardpan.signing.pem import PemSigner
from hardpan.signing.strict_json import MalformedError
from tests.tools.tsa import encode_der, encode_oid
from tests.unit.signing.cms_builder import (
    CONTENT_TYPE,
    ECDSA_SHA256,
    MESSAGE_DIGEST,
    SHA1,
    TST_INFO,
    SignedDataParts,
    build_algorithm,
    build_attribute,
    build_certificate,
)

PAYLOAD = b'{"a":1}'
DIGEST = encode_der(4, hashlib.sha256(PAYLOAD).digest())
OTHER = ec.generate_private_key(ec.SECP256R1())
SHA512 = "2.16.840.1.101.3.4.2.3"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> PemSigner:
    return create_signer(tmp_path_factory.mktemp("keys") / "scan.pem")


def _parts(signer: PemSigner, **changed: Any) -> SignedDataParts:
    secret = cast(ec.EllipticCurvePrivateKey, signer.secret)
    return SignedDataParts(**{"secret": secret, "payload": PAYLOAD, **changed})


def _check(data: bytes, public: PublicKey) -> None:
    check_detached_cms(data, PAYLOAD, public, label="statement.p7s")


def test_written_cms_signature_verifies(signer: PemSigner, tmp_path: Path) -> None:
    pem = tmp_path / "scan.crt"
    secret = cast(ec.EllipticCurvePrivateKey, signer.secret)
    signer_certificate = x509.load_der_x509_certificate(build_certificate(secret))
    pem.write_bytes(signer_certificate.public_bytes(Encoding.PEM))

    encoded = signer_certificate.public_bytes(Encoding.DER)
    for data in (
        sign_cms_detached(PAYLOAD, signer, pem),
        _parts(signer, certificates=(encoded,)).to_der(),
    ):
        read = read_signed_data(read_der(data, label="x", max_bytes=MAX_CMS_BYTES))
        _check(data, signer.public)
        assert read.signer == signer_certificate
        assert read.certificate_count == 1
        with pytest.raises(TrustError, match="x: signs other content"):
            read.check_signature(PAYLOAD + b" ")


def test_unreadable_certificate_is_rejected_before_scan(signer: PemSigner, tmp_path: Path) -> None:
    secret = cast(ec.EllipticCurvePrivateKey, signer.secret)
    invalid = build_certificate(secret).replace(b"270101000000Z", b"271301000000Z")
    pem = tmp_path / "odd.crt"
    text = base64.encodebytes(invalid).decode()
    pem.write_text(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n")

    with pytest.raises(InputError, match=r"odd\.crt: expected a certificate in PEM"):
        load_matching_certificate(pem, signer)


def _changed(**changed: Any) -> Callable[[PemSigner], bytes]:
    return lambda s: _parts(s, **changed).to_der()


def _certificates(make: Callable[[bytes], tuple[bytes, ...]]) -> Callable[[PemSigner], bytes]:
    def build(signer: PemSigner) -> bytes:
        signer_certificate = build_certificate(cast(ec.EllipticCurvePrivateKey, signer.secret))
        return _parts(signer, certificates=make(signer_certificate)).to_der()

    return build


REFUSED: dict[str, tuple[Callable[[PemSigner], bytes], str]] = {
    "empty": (lambda _: b"", "not DER: cut short"),
    "text": (lambda _: b"hello", "not DER"),
    "a byte after its end": (lambda s: _parts(s).to_der() + b"\0", "1 bytes after its end"),
    "too long": (lambda _: bytes(MAX_CMS_BYTES + 1), "expected at most 65536 bytes"),
    "no SignedData": (_changed(info_type="1.2.840.113549.1.7.3"), "expected CMS SignedData, got"),
    "another version": (_changed(version=b"\x02\x01\x07"), "version: expected 1 or 3, got 7"),
    "the payload inside": (_changed(is_detached=False), "expected a detached signature"),
    "two contents": (
        _changed(extra_content=(encode_der(0xA0, encode_der(4)), encode_der(0xA0, encode_der(4)))),
        "expected a content type and at most one content",
    ),
    "another content type": (_changed(content_type=TST_INFO), "expected a detached signature"),
    "revocation lists": (_changed(crls=(encode_der(0xA1, encode_der(0x30)),)), "and nothing else"),
    "unsigned attributes": (
        _changed(unsigned=(encode_der(0xA1, build_attribute("1.2.3", encode_der(4, b"hidden"))),)),
        "expected 6 fields, got 7",
    ),
    "two signers": (_changed(extra_signer_count=1), "expected one DER value, got 2"),
    "no certificates": (_changed(has_certificates=False), "and nothing else"),
    "revocation lists and no certificates": (
        _changed(has_certificates=False, crls=(encode_der(0xA1, encode_der(0x30)),)),
        "and nothing else",
    ),
    "no certificate in the list": (
        _certificates(lambda _: ()),
        "expected 1 to 8 certificates, got 0",
    ),
    "no content at all": (
        _changed(content_info=encode_der(0x30)),
        "expected a content type and at most",
    ),
    "a second certificate": (
        _certificates(lambda signer_certificate: (signer_certificate, build_certificate(OTHER))),
        "expected one certificate, got 2",
    ),
    "a certificate twice": (
        _certificates(lambda signer_certificate: (signer_certificate, signer_certificate)),
        "appears twice",
    ),
    "nine certificates": (
        _certificates(
            lambda signer_certificate: (
                signer_certificate,
                *(build_certificate(OTHER, serial=n) for n in range(1, 9)),
            )
        ),
        "expected 1 to 8 certificates, got 9",
    ),
    "something for a certificate": (
        _certificates(lambda signer_certificate: (encode_der(0x30, b"\x02\x01\x01"),)),
        "an embedded certificate cannot be read",
    ),
    "text for a certificate": (
        _certificates(lambda signer_certificate: (encode_der(4, signer_certificate),)),
        "expected DER tag 0x30",
    ),
    "a certificate of a day that there is not": (
        _certificates(
            lambda signer_certificate: (
                signer_certificate.replace(b"260101000000Z", b"261301000000Z"),
            )
        ),
        "an embedded certificate cannot be read",
    ),
    "another serial number": (_changed(serial=b"\x02\x01\x08"), "certificate is not embedded"),
    "a certificate of another name": (
        _certificates(lambda signer_certificate: (build_certificate(OTHER, text="other"),)),
        "certificate is not embedded",
    ),
    "another key's certificate": (
        _certificates(lambda signer_certificate: (build_certificate(OTHER),)),
        "is by another key than the statement's signature",
    ),
    "a signer named by its key": (
        _changed(signer_version=b"\x02\x01\x03"),
        "expected a signer named by issuer and serial number",
    ),
    "SHA-1": (_changed(digest=SHA1), "expected one digest algorithm of SHA-2"),
    "SHA-512": (_changed(digest=SHA512), "expected ECDSA with SHA-256"),
    "another digest in the list": (
        _changed(digests=(build_algorithm(SHA512),)),
        "expected one digest algorithm of SHA-2",
    ),
    "an algorithm with parameters": (
        _changed(signature_algorithm=build_algorithm(ECDSA_SHA256, encode_der(4, b"hidden"))),
        "an algorithm with parameters",
    ),
    "an algorithm with two parameters": (
        _changed(signature_algorithm=build_algorithm(ECDSA_SHA256, encode_der(5), encode_der(5))),
        "a damaged algorithm",
    ),
    "an algorithm that is none": (
        _changed(signature_algorithm=encode_der(0x30)),
        "a damaged algorithm",
    ),
    "RSA by an EC key": (
        _changed(signature_algorithm=build_algorithm("1.2.840.113549.1.1.11")),
        "expected ECDSA with SHA-256",
    ),
    "no attributes": (_changed(attributes=()), "expected DER tag 0x06"),
    "no message digest": (
        _changed(attributes=(build_attribute(CONTENT_TYPE, encode_oid("1.2.840.113549.1.7.1")),)),
        "no signed message digest",
    ),
    "another signed content type": (
        _changed(
            attributes=(
                build_attribute(CONTENT_TYPE, encode_oid(TST_INFO)),
                build_attribute(MESSAGE_DIGEST, DIGEST),
            )
        ),
        "the signed content type is another one",
    ),
    "an attribute twice": (
        _changed(
            extra_attributes=(
                build_attribute("1.2.3", encode_der(5)),
                build_attribute("1.2.3", encode_der(4)),
            )
        ),
        "a signed attribute appears twice",
    ),
    "an attribute with two values": (
        _changed(extra_attributes=(build_attribute("1.2.3", encode_der(5), encode_der(5)),)),
        "expected one DER value, got 2",
    ),
    "another payload's digest": (_changed(payload=b"other"), "signs other content"),
    "another key's signature": (
        _changed(sign=lambda m: OTHER.sign(m, ec.ECDSA(hashes.SHA256()))),
        "not signed by the embedded certificate",
    ),
    "random bytes for a signature": (
        _changed(sign=lambda _: bytes(70)),
        "not signed by the embedded",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_cms_with_unsigned_content_is_rejected(signer: PemSigner, name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(TrustError) as caught:
        _check(make(signer), signer.public)

    assert str(caught.value).startswith("statement.p7s: ")
    assert message in str(caught.value)


def _build_signed_data(**changed: Any) -> bytes:
    return SignedDataParts(**{"payload": PAYLOAD, **changed}).to_der()


def _zeros(_message: bytes) -> bytes:
    """As long as a signature by RSA with 2048 bits."""
    return bytes(256)


def _holds(data: bytes) -> None:
    read_signed_data(read_der(data, label="x", max_bytes=MAX_CMS_BYTES)).check_signature(PAYLOAD)


def test_cms_verifies_with_embedded_certificate_of_other_key_types() -> None:
    by_rsa = rsa.generate_private_key(65_537, 2048)
    rsa_512 = build_algorithm("1.2.840.113549.1.1.13", encode_der(5))
    edwards = ed25519.Ed25519PrivateKey.generate()
    every = (
        _build_signed_data(
            secret=by_rsa,
            signature_algorithm=build_algorithm("1.2.840.113549.1.1.1", encode_der(5)),
        ),
        _build_signed_data(
            secret=by_rsa,
            signature_algorithm=build_algorithm("1.2.840.113549.1.1.11", encode_der(5)),
        ),
        _build_signed_data(
            secret=by_rsa,
            signature_algorithm=rsa_512,
            sign=lambda m: by_rsa.sign(m, padding.PKCS1v15(), hashes.SHA512()),
        ),
        _build_signed_data(secret=edwards, signature_algorithm=build_algorithm("1.3.101.112")),
    )
    for data in every:
        _holds(data)
    for secret, named in (
        (edwards, ECDSA_SHA256),
        (by_rsa, "1.3.101.112"),
        (by_rsa, "1.2.840.113549.1.1.10"),
    ):
        with pytest.raises(MalformedError, match=r"signature algorithm [0-9.]+ is not taken"):
            _holds(_build_signed_data(secret=secret, signature_algorithm=build_algorithm(named)))
    for secret, named in (
        (edwards, "1.3.101.112"),
        (by_rsa, "1.2.840.113549.1.1.1"),
        (by_rsa, "1.2.840.113549.1.1.11"),
    ):
        with pytest.raises(TrustError, match="not signed by the embedded"):
            _holds(
                _build_signed_data(
                    secret=secret, signature_algorithm=build_algorithm(named), sign=_zeros
                )
            )
    assert len(every) == 4


def test_cms_certificate_with_parser_warning_is_rejected(signer: PemSigner) -> None:
    signer_certificate = build_certificate(cast(ec.EllipticCurvePrivateKey, signer.secret))
    zero = signer_certificate.replace(b"\x02\x01\x09", b"\x02\x01\x00", 1)
    data = _parts(signer, certificates=(zero,), serial=b"\x02\x01\x00").to_der()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert x509.load_der_x509_certificate(zero).serial_number == 0
        with pytest.raises(MalformedError, match="an embedded certificate cannot be read"):
            _check(data, signer.public)


def test_cms_with_unusable_key_is_rejected(signer: PemSigner) -> None:
    read = read_signed_data(read_der(_parts(signer).to_der(), label="x", max_bytes=MAX_CMS_BYTES))
    key = Mock(spec=ec.EllipticCurvePublicKey)
    key.verify.side_effect = ValueError("odd")
    invalid = replace(read, signer=Mock(public_key=lambda: key))

    with pytest.raises(MalformedError, match="x: the embedded key cannot be used"):
        invalid.check_signature(PAYLOAD)


def test_damaged_cms_never_verifies(signer: PemSigner) -> None:
    signer_certificate = build_certificate(cast(ec.EllipticCurvePrivateKey, signer.secret))
    data = _parts(signer, certificates=(signer_certificate,)).to_der()
    accepted = []
    for at in range(len(data)):
        try:
            _check(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], signer.public)
        except TrustError:
            continue
        accepted.append(at)

    # The certificate is the one part that the key does not sign.
    begin = data.index(signer_certificate)
    assert len(accepted) > 50
    assert all(begin <= at < begin + len(signer_certificate) for at in accepted)
