import contextlib
import hashlib
import sys
import zlib

import pytest

from hardpan.core.compression import Compressor, compress, compression_thread


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 3000])
def test_compress_round_trips_with_size_crc_and_digest(data: bytes) -> None:
    blob = compress(data)

    assert blob.decompress() == data
    assert (blob.size_bytes, blob.crc32) == (len(data), zlib.crc32(data))
    assert blob.sha256 == hashlib.sha256(data).hexdigest()


def test_chunk_size_does_not_change_the_result() -> None:
    data = b"some words, and more words, " * 40_000
    compressor = Compressor()
    for offset in range(0, len(data), 777):
        compressor.update(data[offset : offset + 777])

    assert compressor.finish() == compress(data)


def test_compress_is_idempotent() -> None:
    blob = compress(b"x")

    assert compress(blob) is blob


def test_compression_thread_restores_switch_interval() -> None:
    original = sys.getswitchinterval()
    with contextlib.suppress(ZeroDivisionError), compression_thread() as executor:
        assert executor.submit(compress, b"x").result() == compress(b"x")
        assert sys.getswitchinterval() < original
        raise ZeroDivisionError

    assert sys.getswitchinterval() == original
