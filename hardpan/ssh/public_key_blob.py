"""Public keys and strings in SSH's wire format. Structure only: no cryptography.

Source: RFC 4251 section 5, RFC 4253 section 6.6, RFC 5656, RFC 8709; OpenSSH's PROTOCOL.u2f.
"""

import base64
import struct

_MAX_STRING = 1 << 20
_KEY_FIELDS = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ssh-dss": 4,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
}
"""Key type -> number of strings after the type."""

CERTIFICATE_SUFFIX = "-cert-v01@openssh.com"
_MIN_RSA_BITS = 1024


class WireReader:
    """Reads strings and numbers in order; ``ValueError`` at damaged or missing data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    @property
    def has_more(self) -> bool:
        """Whether unread bytes remain."""
        return self.position < len(self._data)

    def bytes(self) -> bytes:
        """Read a string."""
        size = self.number(4)
        end = self.position + size
        if size > _MAX_STRING or end > len(self._data):
            raise ValueError("a string is longer than its data")
        value = self._data[self.position : end]
        self.position = end
        return value

    def text(self) -> str:
        """Read a string that must be ASCII."""
        return self.bytes().decode("ascii")

    def number(self, size: int) -> int:
        """Read an unsigned number of ``size`` bytes."""
        end = self.position + size
        if end > len(self._data):
            raise ValueError("a number is cut off")
        value = int.from_bytes(self._data[self.position : end], "big")
        self.position = end
        return value


def pack_string(data: bytes) -> bytes:
    """Return ``data`` as a string of the wire format."""
    return struct.pack(">I", len(data)) + data


def key_type_of(blob: bytes) -> str:
    """The type that a public key or certificate blob starts with; empty if it has none."""
    try:
        return WireReader(blob).text()
    except ValueError:
        return ""


def plain_type(algorithm: str) -> str:
    """Key type of a signature or certificate algorithm: ``ssh-rsa`` of ``rsa-sha2-512``."""
    name = algorithm.removesuffix(CERTIFICATE_SUFFIX)
    if algorithm.endswith(CERTIFICATE_SUFFIX) and name.startswith("sk-"):
        name += "@openssh.com"
    return "ssh-rsa" if name in ("rsa-sha2-256", "rsa-sha2-512") else name


def is_certificate_type(algorithm: str) -> bool:
    """Whether an algorithm is one of certificates."""
    return algorithm.endswith(CERTIFICATE_SUFFIX)


def is_valid_public_key(kind: str, blob: bytes) -> bool:
    """Whether ``blob`` is a complete plain public key of the type ``kind``."""
    reader = WireReader(blob)
    try:
        blob_type = reader.text()
        fields = [reader.bytes() for _ in range(_KEY_FIELDS.get(blob_type, 0))]
    except ValueError:
        return False
    if not fields or reader.has_more or plain_type(kind) != blob_type:
        return False
    if blob_type == "ssh-ed25519":
        return len(fields[0]) == 32
    if blob_type == "ssh-rsa":
        return rsa_bits(blob) >= _MIN_RSA_BITS
    return not blob_type.startswith("ecdsa-") or fields[0].decode("latin-1") == blob_type[11:]


def rsa_bits(blob: bytes) -> int:
    """Size of an RSA key's modulus in bits; 0 for another type."""
    reader = WireReader(blob)
    try:
        if reader.text() != "ssh-rsa":
            return 0
        reader.bytes()
        return int.from_bytes(reader.bytes(), "big").bit_length()
    except ValueError:
        return 0


def decode_base64(text: str) -> bytes:
    """Return the decoded bytes; empty if the text is not base64. White space is ignored.

    As in OpenSSH, the padding is exact, and the bits that it leaves over are zero.
    """
    encoded = "".join(text.split())
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:
        return b""
    return data if base64.b64encode(data).decode() == encoded else b""


def parse_public_key(text: str) -> bytes:
    """Return the blob of a line ``type base64 [comment]``, also of a certificate; empty if none."""
    fields = text.split(None, 2)
    if len(fields) < 2:
        return b""
    blob = decode_base64(fields[1])
    kind = key_type_of(blob)
    if not kind or plain_type(kind) != plain_type(fields[0]):
        return b""
    return blob
