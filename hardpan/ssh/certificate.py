"""OpenSSH certificates: parsed and checked, except for the cryptography of the signature.

Source: OpenSSH's PROTOCOL.certkeys; sshd(8) for what a client checks.
"""

from collections.abc import Collection
from dataclasses import dataclass

from hardpan.ssh.public_key_blob import (
    CERTIFICATE_SUFFIX,
    WireReader,
    key_type_of,
    pack_string,
    plain_type,
)

_HOST = 2
_MAX_PRINCIPALS = 256
_FOREVER = (1 << 64) - 1
_PUBLIC_FIELDS = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate of a public key."""

    public_key: bytes
    """Blob of the plain key that it certifies."""

    cert_type: int
    """1: a user's, 2: a host's."""

    key_id: str
    principals: tuple[str, ...]
    """Names that it is valid for; none: any name."""

    valid_after: int
    """Seconds since 1970."""

    valid_before: int
    """Seconds since 1970, exclusive; all bits set: no end."""

    has_critical_options: bool
    authority: bytes
    """Blob of the public key of the authority."""

    signed: bytes
    """What the authority signed."""

    signature: bytes
    """Signature blob: its algorithm and its bytes."""

    @property
    def signature_algorithm(self) -> str:
        """E.g. ``rsa-sha2-512``."""
        return key_type_of(self.signature)


def parse_certificate(blob: bytes) -> Certificate:
    """Parse a certificate blob.

    Raises:
        ValueError: it is damaged, or its key has another type than ed25519, ECDSA or RSA.
    """
    reader = WireReader(blob)
    kind = plain_type(reader.text())
    if kind not in _PUBLIC_FIELDS or not key_type_of(blob).endswith(CERTIFICATE_SUFFIX):
        raise ValueError(f"not a certificate of a known type: {kind[:40]!r}")
    reader.bytes()  # nonce
    fields = [reader.bytes() for _ in range(_PUBLIC_FIELDS[kind])]
    reader.number(8)  # serial
    cert_type = reader.number(4)
    key_id = reader.bytes().decode("utf-8", "replace")
    principals = _parse_principals(reader.bytes())
    valid_after, valid_before = reader.number(8), reader.number(8)
    critical_options = reader.bytes()
    reader.bytes()  # extensions
    reader.bytes()  # reserved
    authority = reader.bytes()
    signed = blob[: reader.position]
    signature = reader.bytes()
    if reader.has_more:
        raise ValueError("bytes after the signature")
    return Certificate(
        public_key=b"".join(map(pack_string, (kind.encode(), *fields))),
        cert_type=cert_type,
        key_id=key_id,
        principals=principals,
        valid_after=valid_after,
        valid_before=valid_before,
        has_critical_options=bool(critical_options),
        authority=authority,
        signed=signed,
        signature=signature,
    )


def find_problem(
    certificate: Certificate, name: str, now_s: float, algorithms: Collection[str]
) -> str:
    """Return why a host certificate does not prove that the host is ``name``; empty if it does.

    ``algorithms`` are the accepted signature algorithms of the authority
    (``CASignatureAlgorithms``); none: all. The signature itself is checked
    by the caller.
    """
    if certificate.cert_type != _HOST:
        return "it is a user certificate, expected a host certificate"
    if now_s < certificate.valid_after:
        return "it is not yet valid; compare the clocks of both machines"
    if certificate.valid_before != _FOREVER and now_s >= certificate.valid_before:
        return "it has expired"
    if certificate.principals and name not in certificate.principals:
        listed = ", ".join(certificate.principals[:5])
        return f"it is not for {name}: expected one of its principals {listed}"
    if certificate.has_critical_options:
        return "it has critical options, and none is defined for hosts"
    if algorithms and certificate.signature_algorithm not in algorithms:
        return (
            f"the authority signed it with {certificate.signature_algorithm}, which "
            "CASignatureAlgorithms does not list"
        )
    return ""


def _parse_principals(data: bytes) -> tuple[str, ...]:
    reader = WireReader(data)
    principals: list[str] = []
    while reader.has_more:
        if len(principals) >= _MAX_PRINCIPALS:
            raise ValueError(f"more than {_MAX_PRINCIPALS} principals")
        principals.append(reader.bytes().decode("utf-8", "replace"))
    return tuple(principals)
