"""Validators for SSH public keys and X.509 certificates in profiles.

The text is validated itself instead of being parsed by a library: it is written to a kickstart
unchanged, so unexpected characters matter even if a parser would ignore them.
"""

import base64
import binascii
import re
import struct
from dataclasses import dataclass
from typing import Annotated

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from hardpan.profiles.schema.types import validation_error

_KEY_TYPES = (
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-ed25519",
    "ssh-rsa",
)
_KEY_LINE = re.compile(
    r"([a-z0-9-]+) ([A-Za-z0-9+/]+={0,2})(?: ([A-Za-z0-9@._:+=/ -]+))?", re.ASCII
)
_MIN_RSA_BITS = 2048
_PEM = re.compile(
    r"-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]{1,20000}?)\n-----END CERTIFICATE-----(?:\n|$)"
)


def validate_ssh_key(line: str) -> str:
    """Return ``line`` if it is one public key ``type base64 [comment]`` without options.

    Raises:
        PydanticCustomError: it is not, its base64 contains another type, or the RSA key is short.
    """
    match = _KEY_LINE.fullmatch(line)
    if match is None:
        raise validation_error("expected one public key: type, base64 and perhaps a plain comment")
    kind, body = match[1], match[2]
    if kind not in _KEY_TYPES:
        raise validation_error(f"expected a key of type {', '.join(_KEY_TYPES)}")
    try:
        fields = _read_fields(base64.b64decode(body, validate=True))
    except (binascii.Error, struct.error, ValueError) as e:
        raise validation_error(
            "expected the base64 of a public key, this one is cut or damaged"
        ) from e
    if not fields or fields[0] != kind.encode():
        raise validation_error(f"expected base64 of a key of type {kind}, this one holds another")
    if kind == "ssh-rsa" and _rsa_bits(fields) < _MIN_RSA_BITS:
        raise validation_error(f"expected an RSA key of {_MIN_RSA_BITS} bits or more")
    return line


def validate_certificates(text: str) -> str:
    """Return ``text`` if it is one or more PEM certificates, without comments and keys.

    Raises:
        PydanticCustomError: it is not, or a certificate is truncated or damaged.
    """
    bodies = _PEM.findall(text)
    if not bodies or _PEM.sub("", text).strip():
        raise validation_error(
            "expected certificates in PEM, each from BEGIN to END, and nothing else"
        )
    for body in bodies:
        try:
            blob = base64.b64decode("".join(body.split()), validate=True)
        except binascii.Error as e:
            raise validation_error(
                "expected the base64 of a certificate, this one is cut or damaged"
            ) from e
        # X.509 is one DER sequence, whose length is in its first four bytes.
        if len(blob) < 100 or blob[:2] != b"\x30\x82" or len(blob) != 4 + int.from_bytes(blob[2:4]):
            raise validation_error(
                "expected an X.509 certificate, this one is cut or something else"
            )
    return text.strip() + "\n"


def _read_fields(blob: bytes) -> list[bytes]:
    # RFC 4251 section 5: each field is its length as uint32, then its bytes.
    fields = []
    offset = 0
    while offset < len(blob):
        (size,) = struct.unpack_from(">I", blob, offset)
        if offset + 4 + size > len(blob):
            raise ValueError("a field is cut")
        fields.append(blob[offset + 4 : offset + 4 + size])
        offset += 4 + size
    return fields


def _rsa_bits(fields: list[bytes]) -> int:
    return int.from_bytes(fields[2], "big").bit_length() if len(fields) == 3 else 0


@dataclass(frozen=True, slots=True)
class _SshKey:
    """Validator of an authorized_keys line without options."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Build the schema: a string, then ``validate_ssh_key``."""
        return core_schema.no_info_after_validator_function(validate_ssh_key, handler(source))


@dataclass(frozen=True, slots=True)
class _Certificates:
    """Validator of PEM certificates."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Build the schema: a string, then ``validate_certificates``."""
        return core_schema.no_info_after_validator_function(validate_certificates, handler(source))


SshKey = Annotated[str, _SshKey()]
Certificates = Annotated[str, _Certificates()]
