"""Thousands of damaged files: each is refused or says the same as before; none crashes."""

import json
import random
import zipfile
from pathlib import Path
from typing import Any

from hardpan.core.errors import TrustError
from hardpan.scanners.evidence.verify.verifier import verify
from tests.unit.evidence.evidence_fixture import NOW, EvidenceFixture

_UNEXPECTED_VALUES: tuple[object, ...] = (
    None,
    True,
    -1,
    2**53,
    "",
    "x",
    "\ufffd",
    [],
    {},
    [[]],
    {"a": 1},
    1.5,
    "../x",
    "9" * 64,
)


def test_damaged_archive_is_rejected_or_unchanged(lab: EvidenceFixture, tmp_path: Path) -> None:
    dice = random.Random(1)  # noqa: S311
    data, good, trust = lab.valid_path.read_bytes(), lab.read_files(), lab.load_policy()
    path = tmp_path / "x"
    # Most of the archive is deflated data; its directory is where structure is decided.
    directory = data.index(b"PK\1\2")
    refused = 0
    for _ in range(2000):
        path.write_bytes(_damaged(dice, data, directory))
        try:
            verify(path, trust, now=NOW)
        except TrustError:
            refused += 1
            continue
        with zipfile.ZipFile(path) as z:
            assert {n: z.read(n) for n in z.namelist()} == good
    assert refused > 1950


def test_unexpected_values_in_signed_files_never_crash(lab: EvidenceFixture) -> None:
    dice = random.Random(2)  # noqa: S311
    files = lab.read_files()
    refused, accepted = 0, []
    for name in ("statement.json", "findings.json", "smoke.json", "provenance.sigstore.json"):
        for _ in range(60):
            value = json.loads(files[name])
            _change(dice, value)
            is_statement = name == "statement.json"
            data = json.dumps(value).encode()
            path = lab.sign_payload(value) if is_statement else lab.resign_with_files({name: data})
            try:
                verified = lab.verify(path)
            except TrustError:
                refused += 1
                continue
            accepted.append(verified.findings.counts["fail"])
    # What passed only changed words that nothing else repeats.
    assert set(accepted) == {2}
    assert refused > len(accepted) > 10


def _damaged(dice: random.Random, original: bytes, directory: int) -> bytes:
    data = bytearray(original)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(directory if dice.random() < 0.7 else 0, len(data))
        kind = dice.randrange(4)
        if kind == 0:
            data[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            data[at : at + dice.randint(1, 8)] = dice.randbytes(dice.randint(0, 8))
        elif kind == 2:
            data[at : at + 4] = dice.choice((b"\xff" * 4, b"\0" * 4, b"PK\1\2", b"\0\0\0\x80"))
        else:
            del data[at + dice.randint(0, 60) :]
            break
    return bytes(data) if bytes(data) != original else b""


def _change(dice: random.Random, value: Any) -> None:
    """Replace one thing somewhere in ``value`` by an odd one."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = dice.choice(keys)
        inner = value[key]
        if not isinstance(inner, dict | list) or not inner or dice.random() < 0.2:
            value[key] = dice.choice(_UNEXPECTED_VALUES)
            return
        value = inner
