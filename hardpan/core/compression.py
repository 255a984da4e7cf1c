"""Deflated bytes: an ARF shrinks to a sixteenth of its size, a report to a tenth."""

import hashlib
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from hardpan.core.files import Sha256

_SWITCH_INTERVAL_S = 1e-4
_COMPRESSION_LEVEL = 5
"""Compared with level 6, an ARF takes 5 % more space and 25 % less time."""

_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedBlob:
    """Bytes that were deflated once; an archive stores them as they are."""

    size_bytes: int
    """Uncompressed size in bytes."""

    crc32: int
    """CRC-32 of the uncompressed bytes."""

    sha256: Sha256
    """Digest of the uncompressed bytes."""

    deflated: bytes
    """Raw deflate (RFC 1951), without any header."""

    def decompress(self) -> bytes:
        """Return the uncompressed bytes."""
        return zlib.decompress(self.deflated, -zlib.MAX_WBITS, max(self.size_bytes, 1))

    def iter_chunks(self) -> Iterator[bytes]:
        """Yield the uncompressed bytes in order, without holding all of them in memory."""
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        data = self.deflated
        while data and not unpacker.eof:
            yield unpacker.decompress(data, _CHUNK)
            data = unpacker.unconsumed_tail
        yield unpacker.flush()


class Compressor:
    """Compresses chunks of bytes; the result does not depend on the chunk sizes."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(_COMPRESSION_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._digest = hashlib.sha256()
        self._parts: list[bytes] = []
        self._size = self._crc = 0

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        self._size += len(data)
        self._crc = zlib.crc32(data, self._crc)
        self._digest.update(data)
        self._parts.append(self._compressor.compress(data))

    def finish(self) -> CompressedBlob:
        """Return the compressed bytes; nothing can be added afterwards."""
        self._parts.append(self._compressor.flush())
        return CompressedBlob(
            size_bytes=self._size,
            crc32=self._crc,
            sha256=Sha256(self._digest.hexdigest()),
            deflated=b"".join(self._parts),
        )


def compress(data: bytes | CompressedBlob) -> CompressedBlob:
    """Compress ``data`` unless it is compressed already."""
    if isinstance(data, CompressedBlob):
        return data
    compressor = Compressor()
    compressor.update(data)
    return compressor.finish()


@contextmanager
def compression_thread() -> Iterator[Executor]:
    """Yield an executor with one thread, to compress while this thread works.

    Deflating releases and reacquires the interpreter lock hundreds of times. By default it waits
    five milliseconds each time, as long as the work itself.
    """
    original_interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        with ThreadPoolExecutor(1) as executor:
            yield executor
    finally:
        sys.setswitchinterval(original_interval)
