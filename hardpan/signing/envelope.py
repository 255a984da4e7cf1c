"""The DSSE envelope in its Sigstore bundle: written one way, read strictly."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import Sha256, canonical_json, sha256_bytes
from hardpan.core.limits import MAX_BUNDLE_BYTES
from hardpan.signing.keys import PublicKey, Signer
from hardpan.signing.strict_json import MalformedError, decode_base64, parse_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
"""Exactly this: cosign refuses the more precise types that in-toto allows."""

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"

_MAX_SIGNATURE_BYTES = 1024  # RSA with 8192 bits; DER of ECDSA P-256 is at most 72
_MAX_PQ_BYTES = 4627  # ML-DSA-87
_MAX_KEYID_LENGTH = 256
_KEY_NAME_PATTERN = re.compile(r"[A-Za-z0-9+/=:._-]*")
"""A hint or keyid: digest or fingerprint. It is not signed, so no other text is allowed."""

_MAX_OVERHEAD_BYTES = 2048
"""Most bytes of an envelope that carry nothing: names, space between them, hint and keyid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedStatement:
    """One statement, signed."""

    payload: bytes
    """The statement's bytes, as they were signed."""

    signature: bytes
    """DER for ECDSA."""

    bundle: bytes
    """The Sigstore bundle, JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The content of a well-formed bundle; no signature is verified yet."""

    unverified_payload: bytes
    """The payload before any signature was checked; ``opened`` gives the real one."""

    signature: bytes

    timestamp: bytes = b""
    """The RFC 3161 token in the verification material; empty where there is none."""

    def verify(self, *keys: PublicKey) -> tuple[bytes, PublicKey]:
        """The payload and the key that signed it: the first of ``keys`` that did.

        Raises:
            TrustError: none of them did, or there are none.
        """
        message = pae(self.unverified_payload)
        for key in keys:
            try:
                key.verify(self.signature, message)
            except TrustError:
                continue
            return self.unverified_payload, key
        raise TrustError(f"the signature is not by any of the {len(keys)} keys trusted for it")

    @property
    def payload_sha256(self) -> Sha256:
        """Digest of the payload: what other statements refer to it by."""
        return sha256_bytes(self.unverified_payload)


def pae(payload: bytes) -> bytes:
    """What is really signed: DSSE's pre-authentication encoding (lengths in bytes)."""
    payload_type = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type, len(payload), payload)


def sign(statement: Mapping[str, object] | bytes, signer: Signer) -> SignedStatement:
    """Sign ``statement``; a mapping is written as canonical JSON, bytes stay unchanged.

    Raises:
        InputError: the key is a post-quantum one; see ``sign_dsse``.
        ToolError, TrustError: the key cannot sign.
    """
    if signer.public.algorithm.is_post_quantum:
        raise InputError(f"a Sigstore bundle is not signed with {signer.public.alg}")
    payload = statement if isinstance(statement, bytes) else canonical_json(dict(statement))
    signature = signer.sign(pae(payload))
    bundle = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": signer.public.hint}},
        "dsseEnvelope": _build_envelope(payload, signature),
    }
    return SignedStatement(payload=payload, signature=signature, bundle=canonical_json(bundle))


def sign_dsse(payload: bytes, signer: Signer) -> bytes:
    """A bare DSSE envelope over ``payload``, signed with a post-quantum key.

    Pure ML-DSA over the same pre-authentication encoding as the bundle's, so that
    OpenSSL 3.5 verifies it as it stands.

    Raises:
        InputError: the key is a classical one; see ``sign``.
        ToolError, TrustError: the key cannot sign.
    """
    if not signer.public.algorithm.is_post_quantum:
        raise InputError(f"the second envelope is not signed with {signer.public.alg}")
    return canonical_json(_build_envelope(payload, signer.sign(pae(payload))))


def _build_envelope(payload: bytes, signature: bytes) -> dict[str, object]:
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        # An empty keyid: cosign refuses every other one but an OpenSSH fingerprint.
        "signatures": [{"keyid": "", "sig": base64.b64encode(signature).decode()}],
    }


def read_bundle(data: bytes, *, label: str) -> Envelope:
    """The envelope of a Sigstore bundle v0.3 with a public key and one signature.

    Raises:
        MalformedError: anything else. Field by field, unknown fields included.
    """
    bundle = _require_object(parse_json(data, label=label, max_bytes=MAX_BUNDLE_BYTES), label)
    _check_fields(bundle, label, required=("mediaType", "verificationMaterial", "dsseEnvelope"))
    if bundle["mediaType"] != MEDIA_TYPE:
        raise MalformedError(f"{label}: mediaType: expected {MEDIA_TYPE}")
    token = _read_material(bundle["verificationMaterial"], f"{label}: verificationMaterial")
    envelope = _read_envelope(bundle["dsseEnvelope"], f"{label}: dsseEnvelope")
    _check_size(data, envelope, token, label)
    return replace(envelope, timestamp=token)


def read_dsse(data: bytes, *, label: str) -> Envelope:
    """The bare DSSE envelope that ``sign_dsse`` writes.

    Raises:
        MalformedError: anything else. Field by field, unknown fields included.
    """
    envelope_json = parse_json(data, label=label, max_bytes=MAX_BUNDLE_BYTES)
    envelope = _read_envelope(envelope_json, label, max_signature_bytes=_MAX_PQ_BYTES)
    _check_size(data, envelope, b"", label)
    return envelope


def _check_size(data: bytes, envelope: Envelope, token: bytes, label: str) -> None:
    """Pass if ``data`` is little more than what was read from it, in base64.

    Space and escapes of JSON are not signed: without this they could carry megabytes.
    """
    content_size = sum(
        4 * ((len(x) + 2) // 3) for x in (envelope.unverified_payload, envelope.signature, token)
    )
    if len(data) > content_size + _MAX_OVERHEAD_BYTES:
        raise MalformedError(
            f"{label}: expected at most {content_size + _MAX_OVERHEAD_BYTES} bytes for its "
            f"content, got {len(data)}"
        )


def _read_material(value: object, label: str) -> bytes:
    material = _require_object(value, label)
    _check_fields(material, label, required=("publicKey",), optional=("timestampVerificationData",))
    key = _require_object(material["publicKey"], f"{label}.publicKey")
    _check_fields(key, f"{label}.publicKey", optional=("hint",))
    # The hint is not compared with anything: who signed is decided by the keys we trust.
    _check_key_name(key.get("hint", ""), f"{label}.publicKey.hint")
    if "timestampVerificationData" not in material:
        return b""
    return _read_timestamp(material["timestampVerificationData"], f"{label}.timestamps")


def _read_timestamp(value: object, label: str) -> bytes:
    data = _require_object(value, label)
    _check_fields(data, label, required=("rfc3161Timestamps",))
    tokens = data["rfc3161Timestamps"]
    if not isinstance(tokens, list) or len(tokens) != 1:
        raise MalformedError(f"{label}: expected exactly one timestamp")
    timestamp = _require_object(tokens[0], label)
    _check_fields(timestamp, label, required=("signedTimestamp",))
    return decode_base64(_require_text(timestamp["signedTimestamp"], label), label=label)


def _read_envelope(
    value: object, label: str, *, max_signature_bytes: int = _MAX_SIGNATURE_BYTES
) -> Envelope:
    envelope = _require_object(value, label)
    _check_fields(envelope, label, required=("payload", "payloadType", "signatures"))
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise MalformedError(f"{label}: payloadType: expected {PAYLOAD_TYPE}")
    signatures = envelope["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise MalformedError(f"{label}: expected exactly one signature")
    signature_object = _require_object(signatures[0], f"{label}.signatures[0]")
    _check_fields(
        signature_object, f"{label}.signatures[0]", required=("sig",), optional=("keyid",)
    )
    _check_key_name(signature_object.get("keyid", ""), f"{label}.signatures[0].keyid")
    sig = decode_base64(
        _require_text(signature_object["sig"], f"{label}.sig"), label=f"{label}.sig"
    )
    if not 0 < len(sig) <= max_signature_bytes:
        raise MalformedError(
            f"{label}.sig: expected a signature of 1 to {max_signature_bytes} bytes, "
            f"got {len(sig)} bytes"
        )
    payload = decode_base64(
        _require_text(envelope["payload"], f"{label}.payload"), label=f"{label}.payload"
    )
    return Envelope(unverified_payload=payload, signature=sig)


def _require_object(value: object, label: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise MalformedError(f"{label}: expected an object")
    return value


def _check_fields(
    value: dict[str, object],
    label: str,
    *,
    required: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
) -> None:
    missing = [name for name in required if name not in value]
    unknown = sorted(set(value) - {*required, *optional})
    if missing:
        raise MalformedError(f"{label}: {missing[0]} is missing")
    if unknown:
        raise MalformedError(f"{label}: unknown field {unknown[0][:60]!r}")


def _check_key_name(value: object, label: str) -> None:
    if not _KEY_NAME_PATTERN.fullmatch(_require_text(value, label, max_length=_MAX_KEYID_LENGTH)):
        raise MalformedError(f"{label}: expected a digest or a fingerprint")


def _require_text(value: object, label: str, *, max_length: int = MAX_BUNDLE_BYTES) -> str:
    if not isinstance(value, str) or len(value) > max_length:
        raise MalformedError(f"{label}: expected text of at most {max_length} characters")
    return value
