"""Decompress repository metadata within limits: gzip, xz and zstd."""

import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path

from hardpan.core.errors import InputError, ToolError
from hardpan.core.limited_process import ProcessLimits, run_limited
from hardpan.core.process import find_program

_MAX_XZ_MEMORY_BYTES = 256 << 20
_MAX_ZSTD_MEMORY_BYTES = 1 << 30
_ZSTD_TIMEOUT_S = 300
_CHUNK_BYTES = 1 << 20


def decompress(compressed: Path, href: str, source: str, max_bytes: int) -> Iterator[bytes]:
    """Yield the uncompressed bytes, at most ``max_bytes``; the suffix of ``href`` is the format.

    Raises:
        InputError: the format is not supported, the data is damaged or truncated, or too long.
        ToolError: the data is compressed with zstd, which is not installed.
    """
    kind = href.rpartition(".")[2]
    if kind == "gz":
        chunks = _decompress_gzip(compressed, source)
    elif kind == "xz":
        chunks = _decompress_xz(compressed, source)
    elif kind == "zst":
        chunks = _decompress_zstd(compressed, source, max_bytes)
    elif kind in ("xml", "yaml"):
        chunks = _read_chunks(compressed)
    else:
        raise InputError(f"{source}: expected .xml, .gz, .xz or .zst")
    remaining = max_bytes
    for chunk in chunks:
        remaining -= len(chunk)
        if remaining < 0:
            raise InputError(f"{source}: expected at most {max_bytes} bytes unpacked, got more")
        yield chunk


def _read_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as f:
        while chunk := f.read(_CHUNK_BYTES):
            yield chunk


def _decompress_gzip(path: Path, source: str) -> Iterator[bytes]:
    decompressor = zlib.decompressobj(wbits=31)
    try:
        for data in _read_chunks(path):
            pending = data
            while pending and not decompressor.eof:
                yield decompressor.decompress(pending, _CHUNK_BYTES)
                pending = decompressor.unconsumed_tail
    except zlib.error as e:
        raise InputError(f"{source}: is damaged: {e}") from e
    if not decompressor.eof:
        raise InputError(f"{source}: is truncated")


def _decompress_xz(path: Path, source: str) -> Iterator[bytes]:
    decompressor = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MAX_XZ_MEMORY_BYTES)
    try:
        for data in _read_chunks(path):
            pending = data
            while not decompressor.eof and (pending or not decompressor.needs_input):
                yield decompressor.decompress(pending, _CHUNK_BYTES)
                pending = b""
    except lzma.LZMAError as e:
        raise InputError(f"{source}: is damaged: {e}") from e
    if not decompressor.eof:
        raise InputError(f"{source}: is truncated")


def _decompress_zstd(path: Path, source: str, max_bytes: int) -> Iterator[bytes]:
    """Run zstd: Python supports it from 3.14 on. The kernel limits its output to ``max_bytes``."""
    if find_program("zstd") is None:
        raise ToolError(["zstd"], "is not installed", hint="install zstd, or mirror with gz")
    output = path.with_name(f"{path.name}.unpacked")
    argv: list[str | Path] = ["zstd", "-d", "-q", "-f", "--memory=256MiB", "-o", output, path]
    limits = ProcessLimits(max_file_bytes=max_bytes + 1, max_memory_bytes=_MAX_ZSTD_MEMORY_BYTES)
    try:
        run_limited(argv, limits=limits, timeout_s=_ZSTD_TIMEOUT_S)
    except ToolError as e:
        if "SIGXFSZ" in str(e):
            raise InputError(
                f"{source}: expected at most {max_bytes} bytes unpacked, got more"
            ) from e
        raise InputError(f"{source}: is damaged or truncated: {e.output_tail or e}") from e
    yield from _read_chunks(output)
