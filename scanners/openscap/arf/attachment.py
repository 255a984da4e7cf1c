"""Compress an ARF as an attachment of the evidence while it is parsed.

The process that parses an ARF does not import this module: threads and digests take a third of the
time that it needs to start.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from hardpan.core.compression import CompressedBlob, Compressor, compression_thread
from hardpan.scanners.openscap.arf.results import Arf, parse_arf

T = TypeVar("T")
_MAX_QUEUED_CHUNKS = 4
"""Chunks that may wait for compression."""


def parse_and_compress(chunks: Iterable[bytes], *, name: str) -> tuple[Arf, CompressedBlob]:
    """Parse an ARF and compress it as an attachment, without holding all of it in memory.

    Raises:
        ToolError: as ``parse_arf`` does.
    """
    return compress_while(lambda stream: parse_arf(stream, name=name), chunks)


def compress_while(
    consume: Callable[[Iterator[bytes]], T], chunks: Iterable[bytes]
) -> tuple[T, CompressedBlob]:
    """Return the result of ``consume`` over ``chunks``, and ``chunks`` compressed.

    Another thread compresses them: deflating takes as long as parsing, and releases the GIL.
    """
    compressor = Compressor()
    with compression_thread() as thread:
        pending: deque[Future[None]] = deque()

        def tee_chunks() -> Iterator[bytes]:
            for chunk in chunks:
                pending.append(thread.submit(compressor.update, chunk))
                if len(pending) > _MAX_QUEUED_CHUNKS:
                    pending.popleft().result()
                yield chunk

        result = consume(tee_chunks())
        for future in pending:
            future.result()
    return result, compressor.finish()
