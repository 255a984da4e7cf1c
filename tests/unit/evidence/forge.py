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

from hardpan.files import sha256_bytes
from hardpan.packed import Packed, pack
from hardpan.scanners.commands.keys import KeyRing, new_keys
from hardpan.scanners.evidence import outcome
from hardpan.scanners.evidence.archive import write_archive
from hardpan.scanners.evidence.bindings import OSCAL, TEST_RESULT
from hardpan.scanners.evidence.oscal_statement import RESULTS, dsse, statement_about
from hardpan.scanners.evidence.statement import statement_id
from hardpan.scanners.evidence.trust import Trust, load_policy
from hardpan.scanners.evidence.verify import Verified, verify
from hardpan.scanners.report.documents import Findings, SmokeDocument
from hardpan.signing import Signer, load_signer, sign
from tests.unit.evidence import samples

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
KEYS_MADE = datetime(2026, 11, 1, tzinfo=UTC)
UNSIGNED = ("evidence.sigstore.json", "statement.json", "statement.sig")
_OWN_CHECK = {
    "evidence.sigstore.json": "bundle",
    "statement.json": "copies",
    "statement.sig": "copies",
    TEST_RESULT: "test-result",
    OSCAL: "oscal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """Keys, a policy, and evidence that verifies."""

    folder: Path
    ring: KeyRing
    scan: Signer
    build: Signer
    good: Path

    def trust(self, extra: str = "") -> Trust:
        """The policy, with lines added at its end."""
        base = self.ring.policy.read_text().partition("# More than this")[0]
        return trusting(self.ring.policy.with_name("changed.yaml"), base + extra)

    def files(self) -> dict[str, bytes]:
        """The good evidence's files."""
        return unpacked(self.good)

    def statement(self) -> Any:
        """The good evidence's statement, to be changed."""
        return json.loads(self.files()["statement.json"])

    def put(self, files: dict[str, bytes]) -> Path:
        """An archive of ``files`` as they are."""
        path = self.folder / "forged.evidence.zip"
        write(path, files)
        return path

    def signed(
        self,
        payload: Any,
        files: dict[str, bytes] | None = None,
        signer: Signer | None = None,
    ) -> Path:
        """An archive with ``payload`` really signed."""
        data = payload if isinstance(payload, bytes) else json.dumps(with_id(payload)).encode()
        made = sign(data, signer or self.scan)
        proofs = dict(zip(UNSIGNED, (made.bundle, made.payload, made.signature), strict=True))
        whole = {**(files or self.files()), **proofs}
        return self.put(with_siblings(whole, signer or self.scan))

    def with_files(self, changed: dict[str, bytes | None]) -> Path:
        """Files changed (None: removed) and everything signed again as if it were right."""
        files = {n: d for n, d in {**self.files(), **changed}.items() if d is not None}
        statement = self.statement()
        statement["subject"] = [
            {"name": n, "digest": {"sha256": sha256_bytes(d)}}
            for n, d in sorted(files.items())
            if n not in (*UNSIGNED, TEST_RESULT, OSCAL)
        ]
        return self.signed(statement, files)

    def changed(self, change: Callable[[Any], object]) -> Path:
        """The statement changed and signed again with the right key."""
        statement = self.statement()
        change(statement)
        return self.signed(statement)

    def verify(self, path: Path, extra: str = "", *, now: datetime = NOW) -> Verified:
        """Check ``path`` against the policy with ``extra``."""
        return verify(path, self.trust(extra), now=now)


@lru_cache(maxsize=256)
def trusting(path: Path, text: str) -> Trust:
    """The policy of that text, written to ``path``. Thousands of forgeries meet a few policies."""
    path.write_text(text)
    return load_policy(path)


def write(path: Path, files: dict[str, bytes]) -> None:
    """Write an archive of ``files``; what an earlier one held is not deflated again."""
    write_archive(path, ((name, _packed(data)) for name, data in files.items()))


@lru_cache(maxsize=512)
def _packed(data: bytes) -> Packed:
    return pack(data)


def unpacked(path: Path) -> dict[str, bytes]:
    """The files in an archive."""
    return dict(_unpacked(path, path.stat().st_ino, path.stat().st_mtime_ns))


@lru_cache(maxsize=16)
def _unpacked(path: Path, _inode: int, _mtime_ns: int) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as z:
        return {n: z.read(n) for n in z.namelist()}


def with_siblings(files: dict[str, bytes], signer: Signer) -> dict[str, bytes]:
    """``files`` with the other statements made anew, where there is something to make them of."""
    if RESULTS in files:
        about = statement_about(RESULTS, sha256_bytes(files[RESULTS]))
        files = {**files, OSCAL: dsse(sign(about, signer))}
    try:
        found = Findings.model_validate_json(files["findings.json"])
        smoke = (
            SmokeDocument.model_validate_json(files["smoke.json"])
            if "smoke.json" in files
            else None
        )
        subject = json.loads(files["statement.json"])["subject"]
        digests = {s["name"]: s["digest"]["sha256"] for s in subject}
        made = sign(outcome.statement(found, smoke, digests), signer)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return files
    return {**files, TEST_RESULT: made.bundle}


def lab(folder: Path) -> Lab:
    """A lab in ``folder``."""
    ring = new_keys(folder / "keys", now=KEYS_MADE)
    scan, build = load_signer(ring.scan), load_signer(ring.build)
    made = samples.slim_scan(image=samples.image(build))
    good = samples.write(made, scan, folder, nonce="n" * 16)
    return Lab(folder=folder, ring=ring, scan=scan, build=build, good=good)


def regions(path: Path) -> list[tuple[str, range]]:
    """Every byte of the archive, and the check that a damaged one there fails at."""
    with zipfile.ZipFile(path) as z:
        entries, directory = z.infolist(), z.start_dir
    found = [("archive", range(directory, path.stat().st_size))]
    for entry in entries:
        data = entry.header_offset + 30 + len(entry.filename)
        found.append(("archive", range(entry.header_offset, data)))
        check = _OWN_CHECK.get(entry.filename, "files")
        found.append((check, range(data, data + entry.compress_size)))
    return found


def with_id(statement: Any) -> Any:
    """``statement`` with the ``statementId`` that follows from the rest, where one does."""
    claim = statement.get("predicate") if isinstance(statement, dict) else None
    if not isinstance(claim, dict) or "statementId" not in claim:
        return statement
    try:
        derived = statement_id(statement.get("subject"), claim)
    except ValueError:  # a key or number that canonical JSON has no form for
        return statement
    return {**statement, "predicate": {**claim, "statementId": derived}}


def edit_bundle(files: dict[str, bytes], change: Callable[[Any], object]) -> dict[str, bytes]:
    """``files`` with the bundle changed."""
    bundle = json.loads(files["evidence.sigstore.json"])
    change(bundle)
    return {**files, "evidence.sigstore.json": json.dumps(bundle).encode()}


def b64(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()
