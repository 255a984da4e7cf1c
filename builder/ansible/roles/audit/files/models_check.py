#!/usr/bin/python3 -I
"""Compares every model below a folder with its models.lock; any difference is an error.

    models-check [FOLDER]

A model's weights are safetensors or GGUF with a header that holds together; a pickle
runs code when it is loaded and is refused, by name and by content. Each finding is a
line of priority 2 (critical) for the journal and ends the program with 1.
"""

import hashlib
import json
import os
import stat
import struct
import sys
from pathlib import Path

MODELS = "/opt/ai/models"
LOCK = "models.lock"
BESIDE = (LOCK, "SHA256SUMS")
WEIGHTS = (".safetensors", ".gguf")
TEXTS = (".json", ".txt", ".md", ".jinja", ".model", ".tiktoken", ".yaml")
BARE = ("LICENSE", "LICENCE", "NOTICE", "USE_POLICY", "README")
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
HEADER_MOST = 100_000_000
LOCK_MOST = 10_000_000
COUNT_MOST = 1_000_000
TEXT_MOST = 50_000_000
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
GGUF_TEXT, GGUF_LIST = 8, 9


class BadError(Exception):
    """A file that is not what it has to be."""


def main(argv):
    """Look at every model; 1 when one is not as its lock says."""
    root = Path(argv[1] if len(argv) > 1 else MODELS)
    models = sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else []
    findings = [f"{m.name}: {text}" for m in models for text in problems(m)]
    findings += [
        f"{p.name}: not in a folder of its own" for p in files_of(root) if root == p.parent
    ]
    for line in findings:
        sys.stderr.write(f"<2>hardpan models-check: {line}\n")
    if not findings:
        sys.stdout.write(f"{len(models)} models are as their locks say\n")
    return 1 if findings else 0


def problems(model):
    """What is wrong with one model, a line each."""
    try:
        lock = read_lock(model / LOCK)
    except BadError as e:
        return [f"{LOCK}: {e}"]
    files = {str(p.relative_to(model)): p for p in files_of(model)}
    findings = [f"{name}: named in {LOCK} and missing" for name in sorted(set(lock) - set(files))]
    for name, path in sorted(files.items()):
        if name in BESIDE:
            continue
        try:
            check(path, name, lock.get(name))
        except BadError as e:
            findings.append(f"{name}: {e}")
    return findings


def files_of(folder):
    """Everything below a folder that is no folder."""
    for parent, folders, names in os.walk(folder):
        links = [n for n in folders if (Path(parent) / n).is_symlink()]
        yield from (Path(parent) / n for n in names + links)


def read_lock(path):
    """Name -> sha256 of the files of a model."""
    if not path.is_file() or path.is_symlink():
        raise BadError("is missing")
    if path.stat().st_size > LOCK_MOST:
        raise BadError("is too long")
    try:
        files = json.loads(path.read_bytes())["files"]
        lock = {n: f["sha256"] if isinstance(f, dict) else f for n, f in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadError("expected JSON with 'files': {name: sha256}") from None
    for name, digest in lock.items():
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or not isinstance(digest, str):
            raise BadError(f"expected names within the model and their digests, found {name!a}")
    if not any(name.endswith(WEIGHTS) for name in lock):
        raise BadError("names no safetensors and no GGUF file")
    return lock


def check(path, name, digest):
    """Raise BadError unless the file is locked, unchanged, root's alone, and of a safe kind."""
    info = path.lstat()
    if not stat.S_ISREG(info.st_mode):
        raise BadError("is no plain file")
    if not name.endswith(WEIGHTS + TEXTS) and path.name not in BARE:
        raise BadError("is of a kind that a model does not need; weights are safetensors or GGUF")
    if digest is None:
        raise BadError(f"is not in {LOCK}")
    if info.st_uid != os.geteuid() or info.st_mode & 0o022:
        raise BadError("can be changed by others than root")
    with path.open("rb") as file:
        magic = file.read(4)
        if magic.startswith(PICKLES) or magic == b"PK\x03\x04":
            raise BadError("is a pickle or an archive, which may run code when it is loaded")
        file.seek(0)
        if name.endswith(".safetensors"):
            safetensors(file, info.st_size)
        elif name.endswith(".gguf"):
            gguf(file, info.st_size)
        file.seek(0)
        if sha256(file) != digest:
            raise BadError(f"is not the file that {LOCK} names")


def sha256(file):
    """The digest of an open file."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def safetensors(file, size):
    """Raise BadError unless a safetensors header is whole and its tensors fill the file."""
    head = file.read(8)
    length = int.from_bytes(head, "little")
    if len(head) < 8 or not 2 <= length <= min(HEADER_MOST, size - 8):
        raise BadError("its safetensors header is longer than the file")
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
        raise BadError("its safetensors header does not hold together") from None
    offset = 0
    for start, end in spans:
        if start != offset or end < start:
            raise BadError("its tensors overlap or leave holes")
        offset = end
    if offset != size - 8 - length:
        raise BadError("its tensors do not fill the file")


def gguf(file, size):
    """Raise BadError unless a GGUF header is whole and its tensors begin in the file."""
    try:
        magic, version, tensors, values = struct.unpack("<4sIQQ", file.read(24))
        if magic != b"GGUF" or version not in (2, 3):
            raise BadError("is no GGUF file of version 2 or 3")
        if max(tensors, values) > COUNT_MOST:
            raise BadError("its GGUF header counts more than there can be")
        for _ in range(values):
            gguf_text(file)
            gguf_value(file, *struct.unpack("<I", file.read(4)))
        offsets = []
        for _ in range(tensors):
            gguf_text(file)
            (dimensions,) = struct.unpack("<I", file.read(4))
            if not 1 <= dimensions <= 8:
                raise BadError("a tensor has no sensible shape")
            *_, offset = struct.unpack(f"<{dimensions}QIQ", file.read(dimensions * 8 + 12))
            offsets.append(offset)
    except struct.error:
        raise BadError("its GGUF header is cut") from None
    if offsets and file.tell() + max(offsets) >= size:
        raise BadError("a tensor lies outside the file")


def gguf_text(file):
    """Pass over one text."""
    (length,) = struct.unpack("<Q", file.read(8))
    if length > TEXT_MOST or len(file.read(length)) != length:
        raise BadError("its GGUF header is cut")


def gguf_value(file, kind, depth=0):
    """Pass over one value."""
    if kind == GGUF_TEXT:
        gguf_text(file)
    elif kind == GGUF_LIST and depth < 4:
        inner, count = struct.unpack("<IQ", file.read(12))
        if count > COUNT_MOST * 10:
            raise BadError("its GGUF header counts more than there can be")
        if inner in GGUF_SIZES:
            length = GGUF_SIZES[inner] * count
            if length > TEXT_MOST or len(file.read(length)) != length:
                raise BadError("its GGUF header is cut")
        else:
            for _ in range(count):
                gguf_value(file, inner, depth + 1)
    elif kind in GGUF_SIZES:
        if len(file.read(GGUF_SIZES[kind])) != GGUF_SIZES[kind]:
            raise BadError("its GGUF header is cut")
    else:
        raise BadError("its GGUF header holds a value of unknown kind")


if __name__ == "__main__":
    sys.exit(main(sys.argv))
