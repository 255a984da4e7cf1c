"""Parse an RFC 3161 token strictly, for policies that name no authority.

Only what the authority signed is in a token, and what the protocol puts around it. A file
that anybody could have written is refused; that the authority is a stranger is not seen
here, so its time is never trusted time.

Source: RFC 3161, sections 2.4.1 and 2.4.2.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from hardpan.core.errors import TrustError
from hardpan.core.limits import MAX_TIMESTAMP_TOKEN_BYTES
from hardpan.signing.cms import SHA256, SignedData, read_algorithm, read_signed_data
from hardpan.signing.der import (
    BOOLEAN,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    UTF8_STRING,
    DerElement,
    context_tag,
    read_der,
)
from hardpan.signing.strict_json import MalformedError

_LABEL = "the timestamp"
_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_MAX_STATUS_BYTES = 512
_GENERALIZED_TIME_PATTERN = re.compile(rb"([0-9]{14})(?:\.[0-9]{0,8}[1-9])?Z")
_OPTIONAL_TAGS = (SEQUENCE, BOOLEAN, INTEGER, context_tag(0), context_tag(1))
"""Accuracy, ordering, nonce, the authority's name, extensions: in this order, each at most once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampToken:
    """A well-formed token over the expected signature; its authority is not verified."""

    gen_time: datetime
    """When its authority says that it saw the signature."""

    signed: SignedData
    info: bytes

    def check_embedded_signature(self) -> None:
        """Pass if the certificate in the token signed it.

        Raises:
            TrustError: it did not, or by an algorithm that is not taken.
        """
        self.signed.check_signature(self.info)


def read_timestamp_token(token: bytes, signature: bytes) -> TimestampToken:
    """The token, if it is one over ``signature``.

    Raises:
        MalformedError: too large, not a granted answer in DER, or with more in it than an
            authority writes: revocation lists, unsigned attributes, long texts.
        TrustError: over another signature.
    """
    response = (
        read_der(token, label=_LABEL, max_bytes=MAX_TIMESTAMP_TOKEN_BYTES)
        .expect(SEQUENCE)
        .read_children()
    )
    if len(response) != 2:
        raise MalformedError(f"{_LABEL}: expected a status and a token")
    _check_status(response[0])
    signed = read_signed_data(response[1])
    if signed.content_type != _TST_INFO or signed.content is None:
        raise MalformedError(f"{_LABEL}: expected a signed TSTInfo, got {signed.content_type}")
    info = read_der(signed.content, label=_LABEL, max_bytes=MAX_TIMESTAMP_TOKEN_BYTES)
    fields = info.expect(SEQUENCE).read_children()
    if len(fields) < 5:
        raise MalformedError(f"{_LABEL}: expected at least 5 fields, got {len(fields)}")
    version, policy, imprint, serial, gen_time, *optional_fields = fields
    if version.read_integer() != 1:
        raise MalformedError(f"{_LABEL}: version: expected 1, got {version.read_integer()}")
    policy.read_oid()
    serial.read_integer()
    _check_imprint(imprint, signature)
    _check_optional(optional_fields)
    return TimestampToken(gen_time=_parse_gen_time(gen_time), signed=signed, info=signed.content)


def _check_status(element: DerElement) -> None:
    parts = element.expect(SEQUENCE).read_children()
    if not 1 <= len(parts) <= 2 or len(element.body) > _MAX_STATUS_BYTES:
        raise MalformedError(f"{_LABEL}: expected a status, and a short text at most")
    if parts[0].read_integer() != 0:
        raise MalformedError(f"{_LABEL}: was not granted: status {parts[0].read_integer()}")
    for text in parts[1:]:
        for line in text.expect(SEQUENCE).read_children():
            try:
                line.expect(UTF8_STRING).body.decode("utf-8")
            except UnicodeDecodeError as e:
                raise MalformedError(f"{_LABEL}: the status has a text that is not UTF-8") from e


def _check_imprint(element: DerElement, signature: bytes) -> None:
    parts = element.expect(SEQUENCE).read_children()
    if len(parts) != 2:
        raise MalformedError(f"{_LABEL}: expected an algorithm and a digest")
    if read_algorithm(parts[0]) != SHA256:
        raise MalformedError(f"{_LABEL}: expected SHA-256")
    if parts[1].expect(OCTET_STRING).body != hashlib.sha256(signature).digest():
        raise TrustError(f"{_LABEL}: covers another signature")


def _check_optional(elements: list[DerElement]) -> None:
    tags = [x.tag for x in elements]
    if tags != [t for t in _OPTIONAL_TAGS if t in tags]:
        raise MalformedError(f"{_LABEL}: unknown, duplicate or misordered fields")


def _parse_gen_time(element: DerElement) -> datetime:
    match = _GENERALIZED_TIME_PATTERN.fullmatch(element.expect(GENERALIZED_TIME).body)
    try:
        if match is None:
            raise ValueError("not in the form of RFC 3161")
        return datetime.strptime(match[1].decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as e:
        raise MalformedError(f"{_LABEL}: invalid time") from e
