"""The DSSE envelope in its Sigstore bundle: written one way, read strictly."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hardpan.errors import InputError, TrustError
from hardpan.files import Sha256, canonical_json, sha256_bytes
from hardpan.signing.keys import PublicKey, Signer
from hardpan.signing.strict import MalformedError, decode_base64, parse_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
"""Exactly this: cosign refuses the more precise types that in-toto allows."""

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"

MAX_BUNDLE_BYTES = 16 << 20
_MAX_SIGNATURE_BYTES = 1024  # RSA with 8192 bits; DER of ECDSA P-256 is at most 72
_MAX_PQ_BYTES = 4627  # ML-DSA-87
_MAX_KEYID = 256
_KEY_NAME = re.compile(r"[A-Za-z0-9+/=:._-]*")
"""A hint or keyid: digest or fingerprint. Nobody signs it, so it has no room for more."""

_MAX_FRAME_BYTES = 2048
"""Most bytes of an envelope that carry nothing: names, space between them, hint and keyid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """One statement, signed."""

    payload: bytes
    """The statement's bytes, as they were signed and are kept for ever."""

    signature: bytes
    """DER for ECDSA."""

    bundle: bytes
    """The Sigstore bundle, JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a well-formed bundle carries. Nothing in it is believed yet."""

    unverified: bytes
    """The payload before any signature was checked; ``opened`` gives the real one."""

    signature: bytes

    timestamp: bytes = b""
    """The RFC 3161 token in the verification material; empty where there is none."""

    def opened(self, *keys: PublicKey) -> tuple[bytes, PublicKey]:
        """The payload and the key that signed it: the first of ``keys`` that did.

        Raises:
            TrustError: none of them did, or there are none.
        """
        message = pae(self.unverified)
        for key in keys:
            try:
                key.check(self.signature, message)
            except TrustError:
                continue
            return self.unverified, key
        raise TrustError(f"the signature is not by any of the {len(keys)} keys trusted for it")

    @property
    def payload_sha256(self) -> Sha256:
        """Digest of the payload: what other statements refer to it by."""
        return sha256_bytes(self.unverified)


def pae(payload: bytes) -> bytes:
    """What is really signed: DSSE's pre-authentication encoding (lengths in bytes)."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(statement: Mapping[str, object] | bytes, signer: Signer) -> Signed:
    """``statement`` signed; a mapping is written as canonical JSON, bytes are kept.

    Raises:
        InputError: the key is a post-quantum one; see ``sign_dsse``.
        ToolError, TrustError: the key cannot sign.
    """
    if signer.public.algorithm.post_quantum:
        raise InputError(f"a Sigstore bundle is not signed with {signer.public.alg}")
    payload = statement if isinstance(statement, bytes) else canonical_json(dict(statement))
    signature = signer.sign(pae(payload))
    bundle = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": signer.public.hint}},
        "dsseEnvelope": _envelope(payload, signature),
    }
    return Signed(payload=payload, signature=signature, bundle=canonical_json(bundle))


def sign_dsse(payload: bytes, signer: Signer) -> bytes:
    """A bare DSSE envelope over ``payload``, signed with a post-quantum key.

    Pure ML-DSA over the same pre-authentication encoding as the bundle's, so that
    OpenSSL 3.5 verifies it as it stands.

    Raises:
        InputError: the key is a classical one; see ``sign``.
        ToolError, TrustError: the key cannot sign.
    """
    if not signer.public.algorithm.post_quantum:
        raise InputError(f"the second envelope is not signed with {signer.public.alg}")
    return canonical_json(_envelope(payload, signer.sign(pae(payload))))


def _envelope(payload: bytes, signature: bytes) -> dict[str, object]:
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        # An empty keyid: cosign refuses every other one but an OpenSSH fingerprint.
        "signatures": [{"keyid": "", "sig": base64.b64encode(signature).decode()}],
    }


def read_bundle(data: bytes, *, what: str) -> Envelope:
    """The envelope of a Sigstore bundle v0.3 with a public key and one signature.

    Raises:
        MalformedError: anything else. Field by field, unknown fields included.
    """
    top = _object(parse_json(data, what=what, max_bytes=MAX_BUNDLE_BYTES), what)
    _fields(top, what, need=("mediaType", "verificationMaterial", "dsseEnvelope"))
    if top["mediaType"] != MEDIA_TYPE:
        raise MalformedError(f"{what}: mediaType: expected {MEDIA_TYPE}")
    token = _read_material(top["verificationMaterial"], f"{what}: verificationMaterial")
    read = _read_envelope(top["dsseEnvelope"], f"{what}: dsseEnvelope")
    _check_size(data, read, token, what)
    return replace(read, timestamp=token)


def read_dsse(data: bytes, *, what: str) -> Envelope:
    """The bare DSSE envelope that ``sign_dsse`` writes.

    Raises:
        MalformedError: anything else. Field by field, unknown fields included.
    """
    top = parse_json(data, what=what, max_bytes=MAX_BUNDLE_BYTES)
    read = _read_envelope(top, what, most=_MAX_PQ_BYTES)
    _check_size(data, read, b"", what)
    return read


def _check_size(data: bytes, read: Envelope, token: bytes, what: str) -> None:
    """Pass if ``data`` is little more than what was read from it, in base64.

    Space and escapes of JSON are not signed: without this they could carry megabytes.
    """
    carried = sum(4 * ((len(x) + 2) // 3) for x in (read.unverified, read.signature, token))
    if len(data) > carried + _MAX_FRAME_BYTES:
        raise MalformedError(
            f"{what}: expected at most {carried + _MAX_FRAME_BYTES} bytes for what it carries, "
            f"found {len(data)}"
        )


def _read_material(value: object, what: str) -> bytes:
    material = _object(value, what)
    _fields(material, what, need=("publicKey",), may=("timestampVerificationData",))
    key = _object(material["publicKey"], f"{what}.publicKey")
    _fields(key, f"{what}.publicKey", may=("hint",))
    # The hint is not compared with anything: who signed is decided by the keys we trust.
    _key_name(key.get("hint", ""), f"{what}.publicKey.hint")
    if "timestampVerificationData" not in material:
        return b""
    return _read_timestamp(material["timestampVerificationData"], f"{what}.timestamps")


def _read_timestamp(value: object, what: str) -> bytes:
    data = _object(value, what)
    _fields(data, what, need=("rfc3161Timestamps",))
    tokens = data["rfc3161Timestamps"]
    if not isinstance(tokens, list) or len(tokens) != 1:
        raise MalformedError(f"{what}: expected exactly one timestamp")
    one = _object(tokens[0], what)
    _fields(one, what, need=("signedTimestamp",))
    return decode_base64(_text(one["signedTimestamp"], what), what=what)


def _read_envelope(value: object, what: str, *, most: int = _MAX_SIGNATURE_BYTES) -> Envelope:
    envelope = _object(value, what)
    _fields(envelope, what, need=("payload", "payloadType", "signatures"))
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise MalformedError(f"{what}: payloadType: expected {PAYLOAD_TYPE}")
    signatures = envelope["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise MalformedError(f"{what}: expected exactly one signature")
    one = _object(signatures[0], f"{what}.signatures[0]")
    _fields(one, f"{what}.signatures[0]", need=("sig",), may=("keyid",))
    _key_name(one.get("keyid", ""), f"{what}.signatures[0].keyid")
    sig = decode_base64(_text(one["sig"], f"{what}.sig"), what=f"{what}.sig")
    if not 0 < len(sig) <= most:
        raise MalformedError(
            f"{what}.sig: expected a signature of 1 to {most} bytes, found {len(sig)} bytes"
        )
    payload = decode_base64(_text(envelope["payload"], f"{what}.payload"), what=f"{what}.payload")
    return Envelope(unverified=payload, signature=sig)


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise MalformedError(f"{what}: expected an object")
    return value


def _fields(
    value: dict[str, object], what: str, *, need: tuple[str, ...] = (), may: tuple[str, ...] = ()
) -> None:
    missing = [name for name in need if name not in value]
    unknown = sorted(set(value) - {*need, *may})
    if missing:
        raise MalformedError(f"{what}: {missing[0]} is missing")
    if unknown:
        raise MalformedError(f"{what}: unknown field {unknown[0][:60]!r}")


def _key_name(value: object, what: str) -> None:
    if not _KEY_NAME.fullmatch(_text(value, what, most=_MAX_KEYID)):
        raise MalformedError(f"{what}: expected a digest or a fingerprint")


def _text(value: object, what: str, *, most: int = MAX_BUNDLE_BYTES) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise MalformedError(f"{what}: expected text of at most {most} characters")
    return value
