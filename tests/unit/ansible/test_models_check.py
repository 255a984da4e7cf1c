"""The checker of models that the audit layer puts on a machine, against every bad model."""

import hashlib
import json
import os
import pickle
import struct
from pathlib import Path

import pytest

from tests.unit.ansible.role_programs import program

CHECK = program("roles/audit/files/models_check.py")


def safetensors(header: object, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(begin: int, end: int, **changed: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [1], "data_offsets": [begin, end], **changed}


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def gguf(*, version: int = 3, values: bytes = b"", count: int = 0, offset: int = 0) -> bytes:
    head = struct.pack("<4sIQQ", b"GGUF", version, 1, count) + values
    info = text(b"t") + struct.pack("<IQIQ", 1, 1, 0, offset)
    return head + info + bytes(64)


VALID_SAFETENSORS = safetensors({"__metadata__": {"format": "pt"}, "a": tensor(0, 4)}, bytes(4))
KEY = text(b"general.name") + struct.pack("<I", 8)
LIST = text(b"tokens") + struct.pack("<IIQ", 9, 8, 2) + text(b"a") + text(b"b")
NUMBERS = text(b"scores") + struct.pack("<IIQ", 9, 6, 2) + bytes(8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    return folder


def write_model(model: Path, files: dict[str, bytes], **lock: object) -> list[str]:
    """Write a model and its lock; what the checker says of it."""
    for name, data in files.items():
        (model / name).parent.mkdir(exist_ok=True)
        (model / name).write_bytes(data)
    listed = {n: hashlib.sha256(d).hexdigest() for n, d in files.items()} | lock
    listed = {n: d for n, d in listed.items() if d is not None}
    (model / "models.lock").write_text(json.dumps({"name": "tiny", "files": listed}))
    findings: list[str] = CHECK.find_problems(model)
    return findings


def test_model_matching_lock_passes(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"model.safetensors": VALID_SAFETENSORS, "config.json": b"{}", "LICENSE": b"x"}

    assert write_model(model, files) == []
    (model / "SHA256SUMS").write_text("not part of the model\n")
    assert CHECK.main(["models-check", str(model.parent)]) == 0
    assert capsys.readouterr().out == "1 models are as their locks say\n"


def test_gguf_model_passes(model: Path) -> None:
    values = KEY + text(b"tiny") + LIST + NUMBERS

    assert write_model(model, {"m.gguf": gguf(values=values, count=3)}) == []


def test_changed_byte_is_reported_as_critical(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(model, {"model.safetensors": VALID_SAFETENSORS})
    (model / "model.safetensors").write_bytes(VALID_SAFETENSORS[:-1] + b"\1")

    assert CHECK.main(["models-check", str(model.parent)]) == 1
    assert capsys.readouterr().err == (
        "<2>hardpan models-check: tiny: model.safetensors: is not the file that models.lock names\n"
    )


UNSAFE_FILES = [
    ({"a.bin": b"weights"}, "a.bin: is not a file type of models"),
    ({"a.pt": b"weights"}, "a.pt: is not a file type of models"),
    ({"modeling.py": b"import os"}, "modeling.py: is not a file type of models"),
    ({"tokens.json": pickle.dumps({}, 4)}, "tokens.json: is a pickle or an archive"),
    ({"tokens.json": b"PK\x03\x04rest"}, "tokens.json: is a pickle or an archive"),
    ({"b.safetensors": pickle.dumps({}, 2)}, "b.safetensors: is a pickle or an archive"),
    ({"b.safetensors": b""}, "b.safetensors: its safetensors header is longer than the file"),
    ({"b.safetensors": b"\xff" * 12}, "its safetensors header is longer than the file"),
    ({"b.safetensors": safetensors(b"{x", b"")}, "header does not hold together"),
    ({"b.safetensors": safetensors(b"[" * 90_000, b"")}, "header does not hold together"),
    ({"b.safetensors": safetensors({"a": tensor(0, 8)}, bytes(8))}, "does not hold together"),
    ({"b.safetensors": safetensors({"a": tensor(0, 4, dtype="PY")}, bytes(4))}, "does not hold"),
    ({"b.safetensors": safetensors({"a": tensor(0, 4, shape=[-1])}, bytes(4))}, "does not hold"),
    ({"b.safetensors": safetensors({"a": tensor(4, 8)}, bytes(8))}, "overlap or leave holes"),
    (
        {"b.safetensors": safetensors({"a": tensor(0, 4), "b": tensor(0, 4)}, bytes(4))},
        "its tensors overlap or leave holes",
    ),
    ({"b.safetensors": safetensors({"a": tensor(0, 4)}, bytes(5))}, "do not fill the file"),
    ({"b.gguf": b"GGUF"}, "b.gguf: its GGUF header is cut"),
    ({"b.gguf": b"GGML" + gguf()[4:]}, "b.gguf: is no GGUF file of version 2 or 3"),
    ({"b.gguf": gguf(version=9)}, "b.gguf: is no GGUF file of version 2 or 3"),
    ({"b.gguf": gguf(count=1 << 60)}, "its GGUF header counts more than there can be"),
    ({"b.gguf": gguf(count=5)}, "b.gguf: a tensor has no sensible shape"),
    ({"b.gguf": gguf(values=KEY + struct.pack("<Q", 1 << 62), count=1)}, "header is cut"),
    ({"b.gguf": gguf(values=text(b"k") + b"\x63\0\0\0", count=1)}, "a value of unknown kind"),
    ({"b.gguf": gguf(offset=1 << 40)}, "b.gguf: a tensor lies outside the file"),
]


@pytest.mark.parametrize(("files", "problem"), UNSAFE_FILES)
def test_unsafe_file_is_rejected_even_if_locked(
    model: Path, files: dict[str, bytes], problem: str
) -> None:
    (finding,) = write_model(model, {"model.safetensors": VALID_SAFETENSORS, **files})

    assert problem in finding


def test_unlocked_file_is_rejected(model: Path) -> None:
    findings = write_model(
        model, {"model.safetensors": VALID_SAFETENSORS, "extra.json": b"{}"}, **{"extra.json": None}
    )

    assert findings == ["extra.json: is not in models.lock"]


def test_missing_locked_file_is_reported(model: Path) -> None:
    findings = write_model(
        model, {"model.safetensors": VALID_SAFETENSORS}, **{"gone.json": "0" * 64}
    )

    assert findings == ["gone.json: named in models.lock and missing"]


def test_symlink_is_rejected(model: Path) -> None:
    write_model(model, {"model.safetensors": VALID_SAFETENSORS})
    (model / "config.json").symlink_to("/etc/hostname")
    (model / "more").symlink_to("/etc")

    assert CHECK.find_problems(model) == ["config.json: is no plain file", "more: is no plain file"]


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_writable_file_is_rejected(model: Path, mode: int) -> None:
    write_model(model, {"model.safetensors": VALID_SAFETENSORS})
    (model / "model.safetensors").chmod(mode)

    assert CHECK.find_problems(model) == ["model.safetensors: can be changed by others than root"]


def test_fifo_does_not_block_checker(model: Path) -> None:
    write_model(model, {"model.safetensors": VALID_SAFETENSORS})
    os.mkfifo(model / "config.json")

    assert CHECK.find_problems(model) == ["config.json: is no plain file"]


@pytest.mark.parametrize(
    ("lock", "problem"),
    [
        (None, "models.lock: is missing"),
        ("{", "models.lock: expected JSON with 'files': {name: sha256}"),
        ("[]", "models.lock: expected JSON with 'files': {name: sha256}"),
        ("[" * 90_000, "models.lock: expected JSON with 'files': {name: sha256}"),
        ('{"files": {"../x.gguf": "0"}}', "expected names within the model and their digests"),
        ('{"files": {"/x.gguf": "0"}}', "expected names within the model and their digests"),
        ('{"files": {"x.gguf": 1}}', "expected names within the model and their digests"),
        ('{"files": {"config.json": "0"}}', "names no safetensors and no GGUF file"),
    ],
)
def test_malformed_lock_is_rejected(model: Path, lock: str | None, problem: str) -> None:
    if lock is not None:
        (model / "models.lock").write_text(lock)

    (finding,) = CHECK.find_problems(model)
    assert problem in finding


def test_stray_file_is_reported(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(model, {"model.safetensors": VALID_SAFETENSORS})
    (model.parent / "stray.gguf").write_bytes(b"x")

    assert CHECK.main(["models-check", str(model.parent)]) == 1
    assert "stray.gguf: not in a folder of its own" in capsys.readouterr().err
