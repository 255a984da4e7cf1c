"""SSH signatures written by the format's own description, honest and not."""

import base64
import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HostKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def encode_string(data: bytes) -> bytes:
    """A length and the bytes."""
    return len(data).to_bytes(4, "big") + data


def public_key_blob(key: HostKey) -> bytes:
    """The public key as SSH writes it."""
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(line.split()[1])


def fingerprint(key: HostKey) -> str:
    """As ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(
        hashlib.sha256(public_key_blob(key)).digest()
    ).decode().rstrip("=")


def make_signature(
    key: HostKey,
    message: bytes,
    *,
    namespace: bytes = b"hardpan-evidence",
    reserved: bytes = b"",
    version: int = 1,
    algorithm: bytes | None = None,
    hash_name: bytes = b"sha512",
    trailing: bytes = b"",
) -> bytes:
    """An armored SSHSIG."""
    digest = hashlib.new(
        hash_name.decode() if hash_name in (b"sha256", b"sha512") else "sha1", message
    )
    parts = (namespace, reserved, hash_name, digest.digest())
    signed = b"SSHSIG" + b"".join(map(encode_string, parts))
    name, value = _signed(key, signed)
    inner = encode_string(algorithm or name) + encode_string(value)
    fields = (public_key_blob(key), namespace, reserved, hash_name, inner)
    content = (
        b"SSHSIG" + version.to_bytes(4, "big") + b"".join(map(encode_string, fields)) + trailing
    )
    return armor(content)


def armor(content: bytes) -> bytes:
    """The lines around it."""
    body = base64.b64encode(content).decode()
    lines = [body[i : i + 70] for i in range(0, len(body), 70)]
    markers = ("-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----")
    return "\n".join([markers[0], *lines, markers[1], ""]).encode()


def _signed(key: HostKey, data: bytes) -> tuple[bytes, bytes]:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return b"ssh-ed25519", key.sign(data)
    if isinstance(key, rsa.RSAPrivateKey):
        return b"rsa-sha2-512", key.sign(data, padding.PKCS1v15(), hashes.SHA512())
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return b"ecdsa-sha2-nistp256", b"".join(
        encode_string(n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in (r, s)
    )
