import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hardpan.core.errors import TrustError
from hardpan.core.limits import MAX_TIMESTAMP_TOKEN_BYTES
from hardpan.signing import read_timestamp_token
from tests.tools.tsa import POLICY, FakeTsa, encode_der, encode_oid
from tests.unit.signing.cms_builder import (
    SHA1,
    SHA256,
    TST_INFO,
    SignedDataParts,
    build_algorithm,
    build_attribute,
    build_certificate,
)

AT = datetime(2026, 11, 21, 4, 6, tzinfo=UTC)
SECRET = ec.generate_private_key(ec.SECP256R1())
GRANTED = encode_der(0x30, b"\x02\x01\x00")
INTEGER_1 = b"\x02\x01\x01"
IMPRINT = encode_der(0x30, build_algorithm(SHA256), encode_der(4, hashlib.sha256(b"sig").digest()))
MOMENT = encode_der(0x18, b"20261121040600Z")


def _info(**changed: bytes) -> bytes:
    parts = {
        "version": INTEGER_1,
        "policy": encode_oid(POLICY),
        "imprint": IMPRINT,
        "serial": b"\x02\x01\x07",
    }
    return encode_der(0x30, *{**parts, "moment": MOMENT, "more": b"", **changed}.values())


def _token(
    info: bytes = b"", *, status: bytes = GRANTED, more: tuple[bytes, ...] = (), **changed: Any
) -> bytes:
    parts = SignedDataParts(
        **{
            "secret": SECRET,
            "payload": info or _info(),
            "content_type": TST_INFO,
            "is_detached": False,
            "version": b"\x02\x01\x03",
            **changed,
        }
    )
    return encode_der(0x30, status, parts.to_der(), *more)


def _status(*lines: bytes) -> bytes:
    return encode_der(0x30, b"\x02\x01\x00", encode_der(0x30, *lines))


def test_token_of_unknown_tsa_verifies_with_embedded_certificate() -> None:
    accuracy, nonce = encode_der(0x30, INTEGER_1), b"\x02\x01\x2a"
    full_info = _info(
        more=accuracy
        + encode_der(1, b"\xff")
        + nonce
        + encode_der(0xA0, b"")
        + encode_der(0xA1, b"")
    )
    for data in (
        FakeTsa().make_token(b"sig", AT),
        FakeTsa().make_token(b"sig", AT, nonce=42),
        _token(),
        _token(full_info),
        _token(_info(moment=encode_der(0x18, b"20261121040600.25Z"))),
        _token(status=_status(encode_der(0x0C, b"granted"))),
        _token(certificates=(build_certificate(SECRET), build_certificate(SECRET, serial=1))),
    ):
        token = read_timestamp_token(data, b"sig")
        token.check_embedded_signature()
        assert token.gen_time == AT


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not DER: cut short"),
    "a page": (b"<html>", "not DER"),
    "too long": (bytes(MAX_TIMESTAMP_TOKEN_BYTES + 1), "expected at most 65536 bytes"),
    "a byte after its end": (_token() + b"\0", "1 bytes after its end"),
    "a third part": (_token(more=(encode_der(4, b"hidden"),)), "expected a status and a token"),
    "not granted": (_token(status=encode_der(0x30, INTEGER_1)), "was not granted: status 1"),
    "no status": (_token(status=encode_der(0x30)), "expected a status, and a short text"),
    "why it was refused": (
        _token(status=encode_der(0x30, b"\x02\x01\x00", encode_der(0x30), encode_der(3, b"\0\0"))),
        "expected a status, and a short text",
    ),
    "a status with a book in it": (
        _token(status=_status(encode_der(0x0C, bytes(600)))),
        "expected a status, and a short text",
    ),
    "a status that is not UTF-8": (
        _token(status=_status(encode_der(0x0C, b"\xff"))),
        "is not UTF-8",
    ),
    "a status with bytes": (_token(status=_status(encode_der(4, b"x"))), "expected DER tag 0x0c"),
    "no TSTInfo": (_token(content_type="1.2.840.113549.1.7.1"), "expected a signed TSTInfo"),
    "detached": (_token(is_detached=True), "expected a signed TSTInfo"),
    "revocation lists": (_token(crls=(encode_der(0xA1, encode_der(0x30)),)), "and nothing else"),
    "unsigned attributes": (
        _token(unsigned=(encode_der(0xA1, build_attribute("1.2.3", encode_der(4, b"hidden"))),)),
        "expected 6 fields, got 7",
    ),
    "few fields": (
        _token(encode_der(0x30, INTEGER_1, encode_oid(POLICY))),
        "expected at least 5 fields, got 2",
    ),
    "another version": (_token(_info(version=b"\x02\x01\x02")), "version: expected 1, got 2"),
    "no policy": (_token(_info(policy=encode_der(5))), "expected DER tag 0x06"),
    "no serial number": (_token(_info(serial=encode_der(5))), "expected DER tag 0x02"),
    "another imprint": (
        _token(_info(imprint=IMPRINT.replace(hashlib.sha256(b"sig").digest(), bytes(32)))),
        "covers another signature",
    ),
    "SHA-1": (
        _token(_info(imprint=encode_der(0x30, build_algorithm(SHA1), encode_der(4, bytes(20))))),
        "expected SHA-256",
    ),
    "no imprint": (
        _token(_info(imprint=encode_der(0x30, build_algorithm(SHA256)))),
        "expected an algorithm",
    ),
    "no such moment": (
        _token(_info(moment=encode_der(0x18, b"20261321040600Z"))),
        "invalid time",
    ),
    "a moment in another form": (
        _token(_info(moment=encode_der(0x18, b"20261121040600+0100"))),
        "invalid time",
    ),
    "a moment that ends in zeros": (
        _token(_info(moment=encode_der(0x18, b"20261121040600.10Z"))),
        "invalid time",
    ),
    "an unknown field": (_token(_info(more=encode_der(4, b"hidden"))), "unknown, duplicate"),
    "a field twice": (_token(_info(more=INTEGER_1 + INTEGER_1)), "unknown, duplicate"),
    "fields out of order": (
        _token(_info(more=INTEGER_1 + encode_der(1, b"\xff"))),
        "or misordered",
    ),
    "something after the info": (_token(_info() + b"\0"), "1 bytes after its end"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_token_with_unexpected_content_is_rejected(name: str) -> None:
    token, message = REFUSED[name]
    with pytest.raises(TrustError) as caught:
        read_timestamp_token(token, b"sig")

    assert str(caught.value).startswith("the timestamp: ")
    assert message in str(caught.value)


def test_modified_token_is_rejected() -> None:
    good = _token()
    token = read_timestamp_token(good.replace(b"20261121040600Z", b"20261121040500Z"), b"sig")

    with pytest.raises(TrustError, match="the timestamp: signs other content"):
        token.check_embedded_signature()
    with pytest.raises(TrustError, match="not signed by the embedded certificate"):
        read_timestamp_token(_token(sign=lambda _: bytes(70)), b"sig").check_embedded_signature()
