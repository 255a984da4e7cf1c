"""SSH signatures written by the format's own description, honest and not."""

import base64
import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HostKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def string(data: bytes) -> bytes:
    """A length and the bytes."""
    return len(data).to_bytes(4, "big") + data


def blob(key: HostKey) -> bytes:
    """The public key as SSH writes it."""
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(line.split()[1])


def fingerprint(key: HostKey) -> str:
    """As ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob(key)).digest()).decode().rstrip("=")


def signature(
    key: HostKey,
    message: bytes,
    *,
    namespace: bytes = b"hardpan-evidence",
    reserved: bytes = b"",
    version: int = 1,
    algorithm: bytes | None = None,
    kind: bytes = b"sha512",
    after: bytes = b"",
) -> bytes:
    """An armored SSHSIG."""
    digest = hashlib.new(kind.decode() if kind in (b"sha256", b"sha512") else "sha1", message)
    parts = (namespace, reserved, kind, digest.digest())
    signed = b"SSHSIG" + b"".join(map(string, parts))
    name, value = _signed(key, signed)
    inner = string(algorithm or name) + string(value)
    fields = (blob(key), namespace, reserved, kind, inner)
    whole = b"SSHSIG" + version.to_bytes(4, "big") + b"".join(map(string, fields)) + after
    return armored(whole)


def armored(whole: bytes) -> bytes:
    """The lines around it."""
    body = base64.b64encode(whole).decode()
    lines = [body[i : i + 70] for i in range(0, len(body), 70)]
    both = ("-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----")
    return "\n".join([both[0], *lines, both[1], ""]).encode()


def _signed(key: HostKey, data: bytes) -> tuple[bytes, bytes]:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return b"ssh-ed25519", key.sign(data)
    if isinstance(key, rsa.RSAPrivateKey):
        return b"rsa-sha2-512", key.sign(data, padding.PKCS1v15(), hashes.SHA512())
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return b"ecdsa-sha2-nistp256", b"".join(
        string(n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in (r, s)
    )
