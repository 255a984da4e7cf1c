"""Bytes kept deflated: an ARF packs to a sixteenth of its length, a report to a tenth."""

import hashlib
import zlib
from dataclasses import dataclass

from hardpan.files import Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Some bytes, deflated once: an archive takes them as they are."""

    size: int
    """Bytes, unpacked."""

    crc: int
    """CRC-32 of the bytes, unpacked."""

    sha256: Sha256
    """Digest of the bytes, unpacked."""

    deflated: bytes
    """Raw deflate (RFC 1951), without any header."""

    def data(self) -> bytes:
        """The bytes again."""
        return zlib.decompress(self.deflated, -zlib.MAX_WBITS, max(self.size, 1))


class Packer:
    """Packs bytes as they come; the same bytes are packed the same way, however they are cut."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._digest = hashlib.sha256()
        self._parts: list[bytes] = []
        self._size = self._crc = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self._size += len(data)
        self._crc = zlib.crc32(data, self._crc)
        self._digest.update(data)
        self._parts.append(self._deflate.compress(data))

    def done(self) -> Packed:
        """What came; nothing may be added any more."""
        self._parts.append(self._deflate.flush())
        return Packed(
            size=self._size,
            crc=self._crc,
            sha256=Sha256(self._digest.hexdigest()),
            deflated=b"".join(self._parts),
        )


def pack(data: bytes | Packed) -> Packed:
    """``data``, packed unless it is."""
    if isinstance(data, Packed):
        return data
    packer = Packer()
    packer.add(data)
    return packer.done()
