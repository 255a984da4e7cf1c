"""SSHSIG: a host's signature with its own host key, read strictly.

A parser of our own and not ``ssh-keygen -Y verify``: an auditor's machine may
have no OpenSSH, and the format is five length-prefixed strings.

Source: OpenSSH, PROTOCOL.sshsig (version 1) and RFC 4253 section 6.6.
"""

import base64
import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from hardpan.core.errors import TrustError
from hardpan.core.limits import MAX_SSHSIG_BYTES
from hardpan.signing.strict_json import MalformedError

_ARMOR_HEADER, _ARMOR_FOOTER = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_MAGIC = b"SSHSIG"
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_CURVES: dict[bytes, hashes.HashAlgorithm] = {
    b"ecdsa-sha2-nistp256": hashes.SHA256(),
    b"ecdsa-sha2-nistp384": hashes.SHA384(),
    b"ecdsa-sha2-nistp521": hashes.SHA512(),
}
_RSA: dict[bytes, hashes.HashAlgorithm] = {
    b"rsa-sha2-256": hashes.SHA256(),
    b"rsa-sha2-512": hashes.SHA512(),
}


def check_sshsig(armored: bytes, message: bytes, *, namespace: str, fingerprint: str) -> None:
    """Pass if ``armored`` is the key's signature over ``message`` for ``namespace``.

    ``fingerprint`` is that of the public key, as ``ssh-keygen -l`` prints it.

    Raises:
        TrustError: malformed, by another key, for another namespace, or over
            another message.
    """
    key, signed_namespace, hash_name, signature = _parse_armored(armored)
    actual_fingerprint = "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip(
        "="
    )
    if actual_fingerprint != fingerprint:
        raise TrustError(f"the host signature is by key {actual_fingerprint}, not {fingerprint}")
    if signed_namespace != namespace.encode():
        raise TrustError(f"the host signature is for another purpose than {namespace}")
    if hash_name not in _HASHES:
        raise MalformedError("the host signature: unknown hash")
    signed = _MAGIC + b"".join(
        _encode_string(part)
        for part in (signed_namespace, b"", hash_name, _HASHES[hash_name](message).digest())
    )
    try:
        _verify_signature(key, signature, signed)
    except InvalidSignature as e:
        raise TrustError("the host signature is not a signature over this scan") from e
    except (ValueError, UnsupportedAlgorithm) as e:
        raise MalformedError("the host signature: the key or its signature is damaged") from e


def _parse_armored(armored: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    text = armored[: MAX_SSHSIG_BYTES + 1].decode("ascii", "replace").strip()
    lines = text.splitlines()
    if (
        len(armored) > MAX_SSHSIG_BYTES
        or len(lines) < 3
        or (lines[0], lines[-1]) != (_ARMOR_HEADER, _ARMOR_FOOTER)
    ):
        raise MalformedError("the host signature is not an SSH signature")
    try:
        blob = base64.b64decode("".join(lines[1:-1]), validate=True)
    except ValueError as e:
        raise MalformedError("the host signature: not base64") from e
    if blob[:10] != _MAGIC + (1).to_bytes(4, "big"):
        raise MalformedError("the host signature: not SSHSIG version 1")
    key, signed_namespace, reserved, hash_name, signature = _read_strings(blob[10:], 5)
    if reserved:
        raise MalformedError("the host signature: the reserved field is not empty")
    return key, signed_namespace, hash_name, signature


def _verify_signature(key: bytes, signature: bytes, signed: bytes) -> None:
    name = _read_first_string(key)
    line = name + b" " + base64.b64encode(key)
    public = load_ssh_public_key(line)
    algorithm, value = _read_strings(signature, 2)
    if isinstance(public, ed25519.Ed25519PublicKey) and algorithm == name:
        public.verify(value, signed)
    elif isinstance(public, ec.EllipticCurvePublicKey) and algorithm == name:
        r, s = (int.from_bytes(x, "big", signed=True) for x in _read_strings(value, 2))
        public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(_CURVES[name]))
    elif isinstance(public, rsa.RSAPublicKey) and algorithm in _RSA:
        public.verify(value, signed, padding.PKCS1v15(), _RSA[algorithm])
    else:
        raise MalformedError("the host signature: expected Ed25519, ECDSA or RSA with SHA-2")


def _read_first_string(key: bytes) -> bytes:
    size = int.from_bytes(key[:4], "big")
    if len(key) < 4 + size:
        raise MalformedError("the host signature: a field is cut short")
    return key[4 : 4 + size]


def _read_strings(data: bytes, count: int) -> tuple[bytes, ...]:
    """Exactly ``count`` length-prefixed strings, nothing after them."""
    strings = []
    for _ in range(count):
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            raise MalformedError("the host signature: a field is cut short")
        strings.append(data[4 : 4 + size])
        data = data[4 + size :]
    if data:
        raise MalformedError("the host signature: bytes after its end")
    return tuple(strings)


def _encode_string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
