"""Thousands of damaged files: each is refused or says the same as before; none crashes."""

import json
import random
import zipfile
from pathlib import Path
from typing import Any

from hardpan.core.errors import TrustError
from hardpan.scanners.evidence.file_names import OSCAL, TEST_RESULT
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy
from hardpan.scanners.evidence.verify.verification_log import VerificationError
from hardpan.scanners.evidence.verify.verifier import verify
from tests.unit.evidence.evidence_fixture import (
    NOW,
    EvidenceFixture,
    list_byte_regions,
)

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
        assert _read_files(path) == good
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


def _failed(path: Path, trust: ResolvedPolicy) -> tuple[int, str]:
    """The exit code of the verification and the first check that fails, if one does."""
    try:
        verify(path, trust, now=NOW)
    except VerificationError as error:
        return int(error.exit_code), next(o.check_id for o in error.records if o.status == "fail")
    return 0, ""


def test_flipped_byte_in_any_file_is_rejected(lab: EvidenceFixture) -> None:
    files, trust = lab.read_files(), lab.load_policy()
    failed: dict[str, set[str]] = {}
    for name, data in files.items():
        for at in {0, len(data) // 2, len(data) - 1}:
            flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            code, check = _failed(lab.pack({**files, name: flipped}), trust)
            assert code == 6, name
            failed.setdefault(check, set()).add(name)

    assert set(failed) == {
        "bundle",
        "signature",
        "detached-copies",
        "files",
        "test-result",
        "oscal",
    }
    assert failed["bundle"] | failed["signature"] == {"evidence.sigstore.json"}
    assert failed["detached-copies"] == {"statement.json", "statement.sig"}
    assert failed["test-result"] == {TEST_RESULT}
    assert failed["oscal"] == {OSCAL}
    assert failed["files"] == {s["name"] for s in lab.read_statement()["subject"]}


def test_truncated_evidence_is_rejected(lab: EvidenceFixture, tmp_path: Path) -> None:
    data, trust = lab.valid_path.read_bytes(), lab.load_policy()
    failed = []
    for length in range(0, len(data), 397):
        (tmp_path / "x").write_bytes(data[:length])
        failed.append(_failed(tmp_path / "x", trust))

    assert failed == [(6, "archive")] * len(failed)
    assert len(failed) > 50


def test_flipped_byte_anywhere_is_rejected_or_harmless(
    lab: EvidenceFixture, tmp_path: Path
) -> None:
    data, trust, good = lab.valid_path.read_bytes(), lab.load_policy(), lab.read_files()
    path = tmp_path / "x"
    accepted, refused = 0, set()
    for check, region in list_byte_regions(lab.valid_path):
        # Headers and the directory are structure; deflated bytes are all alike.
        for at in region[:: 7 if check == "archive" else 61]:
            path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
            code, failed = _failed(path, trust)
            if code:
                assert (code, failed) == (6, check), f"byte {at}"
                refused.add(check)
            else:
                accepted += 1
                assert check != "archive", f"byte {at}"
                assert _read_files(path) == good, f"byte {at}"
    assert refused == {"archive", "bundle", "detached-copies", "files", "oscal", "test-result"}
    assert accepted <= 2


def _read_files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
