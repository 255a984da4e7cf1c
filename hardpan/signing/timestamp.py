"""Request and verify RFC 3161 timestamps over signatures.

The token is over the signature's bytes (DER, not base64). Asking for one is the
only network call of signing. Reading one needs the extra ``tsa``.
"""

import base64
import contextlib
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import Sha256, canonical_json, sha256_bytes
from hardpan.core.limits import MAX_BUNDLE_BYTES, MAX_TIMESTAMP_TOKEN_BYTES
from hardpan.signing.strict_json import parse_json
from hardpan.signing.timestamp_token import read_timestamp_token

_SHA256_OID = "2.16.840.1.101.3.4.2.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampAuthority:
    """A trusted timestamp authority."""

    roots: tuple[Any, ...]
    """``x509.Certificate``; the type is imported only where one is read, see ``certificate``."""

    policy_oid: str
    """The TSA policy that a token must be issued under; empty accepts any."""

    @property
    def keys_sha256(self) -> frozenset[Sha256]:
        """Digests of the roots' public keys (SPKI); one of an unknown kind is left out."""
        digests = set()
        for root in self.roots:
            with contextlib.suppress(ValueError, UnsupportedAlgorithm):
                spki = root.public_key().public_bytes(
                    Encoding.DER, PublicFormat.SubjectPublicKeyInfo
                )
                digests.add(sha256_bytes(spki))
        return frozenset(digests)


@dataclass(frozen=True, slots=True, kw_only=True)
class _DecodedToken:
    """The decoded fields of a token; the library decodes lazily and fails late."""

    response: Any
    algorithm: str
    """Dotted, as ``policy``."""

    imprint: bytes
    policy: str
    nonce: int | None
    gen_time: datetime


def load_tsa(pem: bytes, *, policy_oid: str, label: str) -> TimestampAuthority:
    """The authority whose root certificates are in ``pem``.

    Raises:
        InputError: no certificate there, one of them twice, or no object identifier.
    """
    from cryptography import x509

    try:
        roots = tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as e:
        raise InputError(f"{label}: expected certificates in PEM") from e
    number_by_certificate: dict[bytes, int] = {}
    for number, root in enumerate(roots, start=1):
        first = number_by_certificate.setdefault(root.public_bytes(Encoding.DER), number)
        if first != number:
            raise InputError(f"{label}: certificate {number} is certificate {first} once more")
    try:
        if policy_oid:
            x509.ObjectIdentifier(policy_oid)
    except ValueError as e:
        raise InputError(f"{label}: policy_oid: expected e.g. 1.2.3.4, got {policy_oid!r}") from e
    return TimestampAuthority(roots=roots, policy_oid=policy_oid)


def check_tsa_url(url: str) -> None:
    """Check the URL of a TSA before a long scan.

    Raises:
        InputError: no http(s) address, one with a password in it, or the extra is missing.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"{url}: expected the http:// or https:// address of a TSA")
    if "@" in parts.netloc:
        # NOTE: the command line becomes part of the evidence.
        raise InputError("expected the address of a TSA without a name or password in it")
    _import_rfc3161_client()


def request_timestamp(url: str, signature: bytes, *, timeout_s: float = 30) -> bytes:
    """Request a token over ``signature`` from the TSA at ``url`` and check the response.

    The verifier checks the TSA's certificate chain against its policy; this function does not.

    Raises:
        InputError: no http(s) URL, or the extra is missing.
        UnreachableError: no answer in time, or another HTTP status.
        TrustError: the answer is not a token for this request, or not one that verifiers take.
    """
    # Only this needs HTTP and TLS, whose modules take longer to load than evidence to verify.
    from hardpan.signing.tsa_client import post

    check_tsa_url(url)
    rfc3161 = _import_rfc3161_client()
    request = (
        rfc3161.TimestampRequestBuilder()
        .data(signature)
        .hash_algorithm(rfc3161.HashAlgorithm.SHA256)
        .cert_request(cert_request=True)
        .nonce(nonce=True)
        .build()
    )
    token = post(url, request.as_bytes(), timeout_s=timeout_s, max_bytes=MAX_TIMESTAMP_TOKEN_BYTES)
    decoded = _decode_token(token)
    if decoded.nonce != request.nonce:
        raise TrustError(f"{url}: the timestamp answers another request")
    _check_imprint(decoded, signature)
    # No scan is to end with a token that every verifier refuses.
    read_timestamp_token(token, signature).check_embedded_signature()
    return token


def verify_timestamp(token: bytes, signature: bytes, tsa: TimestampAuthority) -> datetime:
    """Verify ``token`` and return the time at which ``tsa`` signed it.

    Certificates are judged at that moment, so a token outlives its certificate.

    Raises:
        TrustError: the token is malformed, over other bytes, under another
            policy, or not by that authority.
        InputError: the extra is missing.
    """
    rfc3161 = _import_rfc3161_client()
    decoded = _decode_token(token)
    _check_imprint(decoded, signature)
    if tsa.policy_oid and decoded.policy != tsa.policy_oid:
        raise TrustError(f"the timestamp: expected policy {tsa.policy_oid}, got {decoded.policy}")
    verifier = rfc3161.VerifierBuilder(roots=list(tsa.roots)).build()
    try:
        verifier.verify_message(decoded.response, signature)
    except _list_foreign_errors() as e:
        raise TrustError(f"the timestamp is not by a trusted authority: {e}") from e
    return decoded.gen_time


def embed_timestamp(bundle: bytes, token: bytes) -> bytes:
    """``bundle`` with ``token`` in its verification material, where cosign looks for it."""
    value: Any = parse_json(bundle, label="bundle", max_bytes=MAX_BUNDLE_BYTES)
    value["verificationMaterial"]["timestampVerificationData"] = {
        "rfc3161Timestamps": [{"signedTimestamp": base64.b64encode(token).decode()}]
    }
    return canonical_json(value)


def _decode_token(token: bytes) -> _DecodedToken:
    rfc3161 = _import_rfc3161_client()
    if len(token) > MAX_TIMESTAMP_TOKEN_BYTES:
        raise TrustError(f"the timestamp: expected at most {MAX_TIMESTAMP_TOKEN_BYTES} bytes")
    try:
        response = rfc3161.decode_timestamp_response(token)
        status = response.status
        decoded = _read_token_fields(response) if status == rfc3161.PKIStatus.GRANTED else None
    except _list_foreign_errors() as e:
        raise TrustError("the timestamp is not an RFC 3161 response") from e
    if decoded is None:
        raise TrustError(f"the authority refused the timestamp request (status {status})")
    return decoded


def _read_token_fields(response: Any) -> _DecodedToken:
    info = response.tst_info
    gen_time: datetime = info.gen_time
    return _DecodedToken(
        response=response,
        algorithm=info.message_imprint.hash_algorithm.dotted_string,
        imprint=info.message_imprint.message,
        policy=info.policy.dotted_string,
        nonce=info.nonce,
        gen_time=gen_time if gen_time.tzinfo else gen_time.replace(tzinfo=UTC),
    )


def _check_imprint(token: _DecodedToken, signature: bytes) -> None:
    if token.algorithm != _SHA256_OID:
        raise TrustError("the timestamp: expected SHA-256")
    if token.imprint != hashlib.sha256(signature).digest():
        raise TrustError("the timestamp covers another signature")


def _import_rfc3161_client() -> Any:
    try:
        import rfc3161_client  # an extra: most verifiers need none
    except ImportError as e:
        _raise_missing_extra(e)
    return rfc3161_client


def _raise_missing_extra(e: ImportError) -> NoReturn:
    raise InputError(
        "timestamps need the Python package rfc3161-client",
        hint="pip install 'hardpan[tsa]'",
    ) from e


def _list_foreign_errors() -> tuple[type[Exception], ...]:
    from cryptography import x509

    return (
        _import_rfc3161_client().VerificationError,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        UnsupportedAlgorithm,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
    )
