#!/usr/bin/python3 -I
"""Compare every model below a folder with its models.lock; any difference is an error.

    models-check [FOLDER]

A model's weights are safetensors or GGUF files with a consistent header. Pickle files are
rejected by name and by content, because loading one runs code. Each finding is a line of
priority 2 (critical) for the journal; with findings the exit status is 1.
"""

import hashlib
import json
import os
import stat
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Optional

MODELS = "/opt/ai/models"
LOCK = "models.lock"
UNCHECKED_FILES = (LOCK, "SHA256SUMS")
WEIGHT_SUFFIXES = (".safetensors", ".gguf")
TEXT_SUFFIXES = (".json", ".txt", ".md", ".jinja", ".model", ".tiktoken", ".yaml")
TEXT_NAMES = ("LICENSE", "LICENCE", "NOTICE", "USE_POLICY", "README")
PICKLE_MAGICS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
MAX_HEADER_BYTES = 100_000_000
MAX_LOCK_BYTES = 10_000_000
MAX_COUNT = 1_000_000
MAX_STRING_BYTES = 50_000_000
DTYPE_BITS = {
    "F64": 64,
    "I64": 64,
    "U64": 64,
    "F32": 32,
    "I32": 32,
    "U32": 32,
    "C64": 64,
    "F16": 16,
    "BF16": 16,
    "I16": 16,
    "U16": 16,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "I8": 8,
    "U8": 8,
    "BOOL": 8,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "F4": 4,
}
GGUF_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
GGUF_STRING, GGUF_ARRAY = 8, 9


class InvalidModelError(Exception):
    """A model file differs from its lock or is unsafe."""


def main(argv: list[str]) -> int:
    """Check every model; return 1 if one differs from its lock."""
    root = Path(argv[1] if len(argv) > 1 else MODELS)
    models = sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else []
    findings = [f"{m.name}: {text}" for m in models for text in find_problems(m)]
    findings += [
        f"{p.name}: not in a folder of its own" for p in list_files(root) if root == p.parent
    ]
    for line in findings:
        sys.stderr.write(f"<2>hardpan models-check: {line}\n")
    if not findings:
        sys.stdout.write(f"{len(models)} models are as their locks say\n")
    return 1 if findings else 0


def find_problems(model: Path) -> list[str]:
    """Return the findings of one model, one line each."""
    try:
        lock = read_lock(model / LOCK)
    except InvalidModelError as e:
        return [f"{LOCK}: {e}"]
    files = {str(p.relative_to(model)): p for p in list_files(model)}
    findings = [f"{name}: named in {LOCK} and missing" for name in sorted(set(lock) - set(files))]
    for name, path in sorted(files.items()):
        if name in UNCHECKED_FILES:
            continue
        try:
            check(path, name, lock.get(name))
        except InvalidModelError as e:
            findings.append(f"{name}: {e}")
    return findings


def list_files(folder: Path) -> Iterator[Path]:
    """Yield everything below a folder except folders."""
    for parent, folders, names in os.walk(folder):
        links = [n for n in folders if (Path(parent) / n).is_symlink()]
        yield from (Path(parent) / n for n in names + links)


def read_lock(path: Path) -> dict[str, str]:
    """Return file name -> SHA-256 of a model's lock."""
    if not path.is_file() or path.is_symlink():
        raise InvalidModelError("is missing")
    if path.stat().st_size > MAX_LOCK_BYTES:
        raise InvalidModelError("is too long")
    try:
        files = json.loads(path.read_bytes())["files"]
        lock = {n: f["sha256"] if isinstance(f, dict) else f for n, f in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidModelError("expected JSON with 'files': {name: sha256}") from None
    for name, digest in lock.items():
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or not isinstance(digest, str):
            raise InvalidModelError(
                f"expected names within the model and their digests, got {name!a}"
            )
    if not any(name.endswith(WEIGHT_SUFFIXES) for name in lock):
        raise InvalidModelError("names no safetensors and no GGUF file")
    return lock


def check(path: Path, name: str, digest: Optional[str]) -> None:
    """Check that a file is locked, unchanged, writable by root only and of a safe type."""
    info = path.lstat()
    if not stat.S_ISREG(info.st_mode):
        raise InvalidModelError("is no plain file")
    if not name.endswith(WEIGHT_SUFFIXES + TEXT_SUFFIXES) and path.name not in TEXT_NAMES:
        raise InvalidModelError("is not a file type of models; weights are safetensors or GGUF")
    if digest is None:
        raise InvalidModelError(f"is not in {LOCK}")
    if info.st_uid != os.geteuid() or info.st_mode & 0o022:
        raise InvalidModelError("can be changed by others than root")
    with path.open("rb") as file:
        magic = file.read(4)
        if magic.startswith(PICKLE_MAGICS) or magic == b"PK\x03\x04":
            raise InvalidModelError(
                "is a pickle or an archive, which may run code when it is loaded"
            )
        file.seek(0)
        if name.endswith(".safetensors"):
            safetensors(file, info.st_size)
        elif name.endswith(".gguf"):
            gguf(file, info.st_size)
        file.seek(0)
        if sha256(file) != digest:
            raise InvalidModelError(f"is not the file that {LOCK} names")


def sha256(file: BinaryIO) -> str:
    """Return the digest of an open file."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def safetensors(file: BinaryIO, size: int) -> None:
    """Check that a safetensors header is complete and its tensors fill the file."""
    head = file.read(8)
    length = int.from_bytes(head, "little")
    if len(head) < 8 or not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        raise InvalidModelError("its safetensors header is longer than the file")
    try:
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        spans = sorted(tuple(t["data_offsets"]) for t in header.values())
        for tensor in header.values():
            start, end = tensor["data_offsets"]
            bits = DTYPE_BITS[tensor["dtype"]]
            for n in tensor["shape"]:
                if type(n) is not int or n < 0:
                    raise ValueError(n)
                bits *= n
            if bits != (end - start) * 8:
                raise ValueError(bits)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidModelError("its safetensors header does not hold together") from None
    offset = 0
    for start, end in spans:
        if start != offset or end < start:
            raise InvalidModelError("its tensors overlap or leave holes")
        offset = end
    if offset != size - 8 - length:
        raise InvalidModelError("its tensors do not fill the file")


def gguf(file: BinaryIO, size: int) -> None:
    """Raise InvalidModelError unless a GGUF header is complete and its tensors are in the file."""
    try:
        magic, version, tensors, values = struct.unpack("<4sIQQ", file.read(24))
        if magic != b"GGUF" or version not in (2, 3):
            raise InvalidModelError("is no GGUF file of version 2 or 3")
        if max(tensors, values) > MAX_COUNT:
            raise InvalidModelError("its GGUF header counts more than there can be")
        for _ in range(values):
            read_gguf_string(file)
            skip_gguf_value(file, *struct.unpack("<I", file.read(4)))
        offsets = []
        for _ in range(tensors):
            read_gguf_string(file)
            (dimensions,) = struct.unpack("<I", file.read(4))
            if not 1 <= dimensions <= 8:
                raise InvalidModelError("a tensor has no sensible shape")
            *_, offset = struct.unpack(f"<{dimensions}QIQ", file.read(dimensions * 8 + 12))
            offsets.append(offset)
    except struct.error:
        raise InvalidModelError("its GGUF header is cut") from None
    if offsets and file.tell() + max(offsets) >= size:
        raise InvalidModelError("a tensor lies outside the file")


def read_gguf_string(file: BinaryIO) -> None:
    """Skip one string."""
    (length,) = struct.unpack("<Q", file.read(8))
    if length > MAX_STRING_BYTES or len(file.read(length)) != length:
        raise InvalidModelError("its GGUF header is cut")


def skip_gguf_value(file: BinaryIO, kind: int, depth: int = 0) -> None:
    """Skip one value."""
    if kind == GGUF_STRING:
        read_gguf_string(file)
    elif kind == GGUF_ARRAY and depth < 4:
        inner, count = struct.unpack("<IQ", file.read(12))
        if count > MAX_COUNT * 10:
            raise InvalidModelError("its GGUF header counts more than there can be")
        if inner in GGUF_SIZES:
            length = GGUF_SIZES[inner] * count
            if length > MAX_STRING_BYTES or len(file.read(length)) != length:
                raise InvalidModelError("its GGUF header is cut")
        else:
            for _ in range(count):
                skip_gguf_value(file, inner, depth + 1)
    elif kind in GGUF_SIZES:
        if len(file.read(GGUF_SIZES[kind])) != GGUF_SIZES[kind]:
            raise InvalidModelError("its GGUF header is cut")
    else:
        raise InvalidModelError("its GGUF header holds a value of unknown kind")


if __name__ == "__main__":
    sys.exit(main(sys.argv))
