"""Evidence taken apart, changed and put together again, with or without the right key."""

import base64
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from hardpan.core.compression import CompressedBlob, compress
from hardpan.core.files import sha256_bytes
from hardpan.scanners.evidence.archive import write_archive
from hardpan.scanners.evidence.file_names import OSCAL, TEST_RESULT
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy, load_trust_policy
from hardpan.scanners.evidence.predicates import test_result
from hardpan.scanners.evidence.predicates.oscal_signing import (
    RESULTS_FILE,
    build_statement_for,
    extract_dsse,
)
from hardpan.scanners.evidence.statement.model import derive_statement_id
from hardpan.scanners.evidence.verify.verifier import VerifiedEvidence, verify
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.signing import Signer, load_signer, sign
from hardpan.workflow.key_set import KeyFiles, create_keys
from tests.unit.evidence import samples

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
KEYS_CREATED_AT = datetime(2026, 11, 1, tzinfo=UTC)
UNSIGNED = ("evidence.sigstore.json", "statement.json", "statement.sig")
_CHECK_BY_FILE = {
    "evidence.sigstore.json": "bundle",
    "statement.json": "detached-copies",
    "statement.sig": "detached-copies",
    TEST_RESULT: "test-result",
    OSCAL: "oscal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFixture:
    """Keys, a policy, and evidence that verifies."""

    folder: Path
    ring: KeyFiles
    scan: Signer
    build: Signer
    valid_path: Path

    def load_policy(self, extra: str = "") -> ResolvedPolicy:
        """The policy, with lines added at its end."""
        base = self.ring.policy.read_text().partition("# More than this")[0]
        return load_policy_text(self.ring.policy.with_name("changed.yaml"), base + extra)

    def read_files(self) -> dict[str, bytes]:
        """The good evidence's files."""
        return read_archive(self.valid_path)

    def read_statement(self) -> Any:
        """The good evidence's statement, to be changed."""
        return json.loads(self.read_files()["statement.json"])

    def pack(self, files: dict[str, bytes]) -> Path:
        """An archive of ``files`` as they are."""
        path = self.folder / "forged.evidence.zip"
        pack_files(path, files)
        return path

    def sign_payload(
        self,
        payload: Any,
        files: dict[str, bytes] | None = None,
        signer: Signer | None = None,
    ) -> Path:
        """An archive with ``payload`` really signed."""
        data = (
            payload if isinstance(payload, bytes) else json.dumps(with_derived_id(payload)).encode()
        )
        signed = sign(data, signer or self.scan)
        proofs = dict(zip(UNSIGNED, (signed.bundle, signed.payload, signed.signature), strict=True))
        all_files = {**(files or self.read_files()), **proofs}
        return self.pack(with_companion_files(all_files, signer or self.scan))

    def resign_with_files(self, changed: dict[str, bytes | None]) -> Path:
        """Files changed (None: removed) and everything signed again as if it were right."""
        files = {n: d for n, d in {**self.read_files(), **changed}.items() if d is not None}
        statement = self.read_statement()
        statement["subject"] = [
            {"name": n, "digest": {"sha256": sha256_bytes(d)}}
            for n, d in sorted(files.items())
            if n not in (*UNSIGNED, TEST_RESULT, OSCAL)
        ]
        return self.sign_payload(statement, files)

    def resign_changed(self, change: Callable[[Any], object]) -> Path:
        """The statement changed and signed again with the right key."""
        statement = self.read_statement()
        change(statement)
        return self.sign_payload(statement)

    def verify(self, path: Path, extra: str = "", *, now: datetime = NOW) -> VerifiedEvidence:
        """Check ``path`` against the policy with ``extra``."""
        return verify(path, self.load_policy(extra), now=now)


@lru_cache(maxsize=256)
def load_policy_text(path: Path, text: str) -> ResolvedPolicy:
    """The policy of that text, written to ``path``. Thousands of forgeries meet a few policies."""
    path.write_text(text)
    return load_trust_policy(path)


def pack_files(path: Path, files: dict[str, bytes]) -> None:
    """Write an archive of ``files``; data of an earlier archive is not deflated again."""
    write_archive(path, ((name, _compress(data)) for name, data in files.items()))


@lru_cache(maxsize=512)
def _compress(data: bytes) -> CompressedBlob:
    return compress(data)


def read_archive(path: Path) -> dict[str, bytes]:
    """The files in an archive."""
    return dict(_read_archive(path, path.stat().st_ino, path.stat().st_mtime_ns))


@lru_cache(maxsize=16)
def _read_archive(path: Path, _inode: int, _mtime_ns: int) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as z:
        return {n: z.read(n) for n in z.namelist()}


def with_companion_files(files: dict[str, bytes], signer: Signer) -> dict[str, bytes]:
    """Return ``files`` with new companion statements for the documents that it contains."""
    if RESULTS_FILE in files:
        oscal_statement = build_statement_for(RESULTS_FILE, sha256_bytes(files[RESULTS_FILE]))
        files = {**files, OSCAL: extract_dsse(sign(oscal_statement, signer))}
    try:
        findings = Findings.model_validate_json(files["findings.json"])
        smoke = (
            SmokeDocument.model_validate_json(files["smoke.json"])
            if "smoke.json" in files
            else None
        )
        subject = json.loads(files["statement.json"])["subject"]
        digests = {s["name"]: s["digest"]["sha256"] for s in subject}
        signed = sign(test_result.build_statement(findings, smoke, digests), signer)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return files
    return {**files, TEST_RESULT: signed.bundle}


def create_fixture(folder: Path) -> EvidenceFixture:
    """A lab in ``folder``."""
    ring = create_keys(folder / "keys", now=KEYS_CREATED_AT)
    scan, build = load_signer(ring.scan), load_signer(ring.build)
    sample = samples.slim_scan(image=samples.image(build))
    valid_path = samples.write_evidence(sample, scan, folder, nonce="n" * 16)
    return EvidenceFixture(folder=folder, ring=ring, scan=scan, build=build, valid_path=valid_path)


def list_byte_regions(path: Path) -> list[tuple[str, range]]:
    """Every byte of the archive, and the check that a damaged one there fails at."""
    with zipfile.ZipFile(path) as z:
        entries, directory = z.infolist(), z.start_dir
    byte_regions = [("archive", range(directory, path.stat().st_size))]
    for entry in entries:
        data = entry.header_offset + 30 + len(entry.filename)
        byte_regions.append(("archive", range(entry.header_offset, data)))
        check = _CHECK_BY_FILE.get(entry.filename, "files")
        byte_regions.append((check, range(data, data + entry.compress_size)))
    return byte_regions


def with_derived_id(statement: Any) -> Any:
    """``statement`` with the ``statementId`` that follows from the rest, where one does."""
    claim = statement.get("predicate") if isinstance(statement, dict) else None
    if not isinstance(claim, dict) or "statementId" not in claim:
        return statement
    try:
        derived = derive_statement_id(statement.get("subject"), claim)
    except ValueError:  # a key or number that canonical JSON has no form for
        return statement
    return {**statement, "predicate": {**claim, "statementId": derived}}


def edit_bundle(files: dict[str, bytes], change: Callable[[Any], object]) -> dict[str, bytes]:
    """``files`` with the bundle changed."""
    bundle = json.loads(files["evidence.sigstore.json"])
    change(bundle)
    return {**files, "evidence.sigstore.json": json.dumps(bundle).encode()}


def encode_base64(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()
