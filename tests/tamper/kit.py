"""Forge evidence with real keys: every signature and file that hardpan can write."""

import base64
import copy
import io
import json
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from hardpan.core import events
from hardpan.core.files import canonical_json, sha256_bytes
from hardpan.scanners.evidence.file_names import CMS, COMPANION_FILES, HOST_SIGNATURE, TIMESTAMP
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy
from hardpan.scanners.evidence.sign import writer
from hardpan.scanners.evidence.statement.predicate_extensions import ChainLink, build_host_challenge
from hardpan.scanners.report.model.build import build_findings
from hardpan.signing import (
    SignedStatement,
    Signer,
    create_signer,
    embed_timestamp,
    load_signer,
    sign,
    sign_cms_detached,
)
from hardpan.workflow.key_set import KeyFiles, create_keys
from tests.tools import sshsig
from tests.tools.tsa import POLICY, FakeTsa
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import (
    load_policy_text,
    pack_files,
    read_archive,
    with_companion_files,
    with_derived_id,
)

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
FINISHED = datetime(2026, 11, 21, 4, 5, tzinfo=UTC)
STAMPED = FINISHED + timedelta(seconds=60)
NONCE = "n" * 16
BEFORE = sha256_bytes(b"the statement before")
BUNDLE = "evidence.sigstore.json"
UNSIGNED = (BUNDLE, "statement.json", "statement.sig", *COMPANION_FILES)
Files = dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The input of the verifiers."""

    files: Files | None = None
    """Packed for hardpan, unpacked for the others; None if only ``archive`` can contain it."""

    archive: bytes | None = None
    """A ZIP that hardpan's writer does not write."""

    policy: dict[str, Any] = field(default_factory=dict)
    now: datetime = NOW
    special: tuple[tuple[str, str], ...] = ()
    """(name, ``symlink``, ``hardlink``, ``fifo`` or ``folder``) to create when unpacked."""

    file: str = "findings.json"
    """The file that cosign verifies."""


@dataclass(frozen=True, kw_only=True)
class TamperKit:
    """Keys, a timestamp authority, a host key, and valid evidence."""

    folder: Path
    ring: KeyFiles
    scan_signer: Signer
    build_signer: Signer
    untrusted_signer: Signer
    host_key: ec.EllipticCurvePrivateKey
    tsa: FakeTsa
    valid_files: Files

    def build_policy(self, changed: dict[str, Any]) -> dict[str, Any]:
        """Return the strict policy with ``changed`` settings; None removes a setting."""
        base = _read(self.ring.policy)
        base.pop("max_open")
        strict = {
            "nonce": NONCE,
            "max_age_hours": 24,
            "previous_statement": {"sequence": 1, "statement_sha256": BEFORE},
            "require_timestamp": {"roots": self.tsa.pem, "policy_oid": POLICY, "max_lag_s": 3600},
            "target": {
                "host_keys": [sshsig.fingerprint(self.host_key)],
                "require_host_signature": True,
            },
            "image": {"require_provenance": True},
        }
        policy = {**base, **strict, **changed}
        return {k: v for k, v in policy.items() if v is not None}

    def policy_keys(self, **changed: Any) -> list[dict[str, Any]]:
        """Return the policy's keys with settings of the scan key changed."""
        scan, build = _read(self.ring.policy)["keys"]
        return [{**scan, **changed}, build]

    def load_policy(self, changed: dict[str, Any]) -> ResolvedPolicy:
        """Load the policy that ``build_policy`` returns."""
        path = self.ring.policy.with_name("tamper.yaml")
        return load_policy_text(path, yaml.safe_dump(self.build_policy(changed)))

    def read_statement(self) -> Any:
        """Return a copy of the valid statement."""
        return json.loads(self.valid_files["statement.json"])

    def sign_scan(self, *, signer: Signer | None = None, stamp: Any = "", **more: Any) -> Files:
        """Sign a changed scan with hardpan's writer."""
        evaluation = samples.slim_scan().evaluation
        return _sign_scan(self.folder, signer or self.scan_signer, self.build_signer, self.host_key,
                     self._make_token if stamp == "" else stamp,
                     **{"evaluation": evaluation, **more})  # fmt: skip

    def resign_changed(self, change: Callable[[Any], object], **more: Any) -> Files:
        """Change the valid statement and sign it again with the scan key."""
        statement = self.read_statement()
        change(statement)
        return self.sign_payload(statement, **more)

    def sign_payload(
        self, payload: Any, *, files: Files | None = None, signer: Signer | None = None,
        at: datetime = STAMPED, signature: Callable[[bytes], bytes] | None = None,
    ) -> Files:  # fmt: skip
        """Sign and timestamp ``payload``; all copies in the returned files agree."""
        by = signer or self.scan_signer
        data = payload if isinstance(payload, bytes) else canonical_json(with_derived_id(payload))
        signed = sign(data, by)
        if signature is not None:
            signed = _with_signature(signed.payload, signature(data))
        token = self.tsa.make_token(signed.signature, at)
        all_files = {
            **(files or self.valid_files),
            BUNDLE: embed_timestamp(signed.bundle, token),
            "statement.json": signed.payload,
            "statement.sig": signed.signature,
            TIMESTAMP: token,
            CMS: sign_cms_detached(data, by, write_certificate(self.folder, by)),
        }
        return with_companion_files(all_files, by)

    def resign_with_files(self, changed: dict[str, bytes | None]) -> Files:
        """Change files (None removes one), list them in the statement and sign it again."""
        files = {n: d for n, d in {**self.valid_files, **changed}.items() if d is not None}
        statement = self.read_statement()
        statement["subject"] = [
            {"name": n, "digest": {"sha256": sha256_bytes(d)}}
            for n, d in sorted(files.items())
            if n not in UNSIGNED
        ]
        return self.sign_payload(statement, files=files)

    def with_changed_bundle(self, change: Callable[[Any], object]) -> Files:
        """Change the bundle and nothing else."""
        value = json.loads(self.valid_files[BUNDLE])
        change(value)
        return {**self.valid_files, BUNDLE: json.dumps(value).encode()}

    def resign_changed_findings(self, change: Callable[[Any], object]) -> Files:
        """Change the findings, list them in the statement and sign it again."""
        value = json.loads(self.valid_files["findings.json"])
        change(value)
        return self.resign_with_files({"findings.json": canonical_json(value)})

    def _make_token(self, signature: bytes) -> bytes:
        return self.tsa.make_token(signature, STAMPED)


def create_kit(folder: Path) -> TamperKit:
    """Create a tamper kit in ``folder``."""
    ring = create_keys(folder / "keys", now=datetime(2026, 11, 1, tzinfo=UTC))
    scan, build = load_signer(ring.scan), load_signer(ring.build)
    host, tsa = ec.generate_private_key(ec.SECP256R1()), FakeTsa()
    valid_files = _sign_scan(folder, scan, build, host, lambda s: tsa.make_token(s, STAMPED))
    untrusted = create_signer(folder / "keys" / "evil.pem")
    return TamperKit(
        folder=folder,
        ring=ring,
        scan_signer=scan,
        build_signer=build,
        untrusted_signer=untrusted,
        host_key=host,
        tsa=tsa,
        valid_files=valid_files,
    )


def _sign_scan(
    folder: Path,
    signer: Signer,
    build_signer: Signer,
    host_key: ec.EllipticCurvePrivateKey,
    stamp: Any,
    *,
    nonce: str = NONCE,
    chain: ChainLink | None = None,
    image: Any = None,
    key: ec.EllipticCurvePrivateKey | None = None,
    proof: Callable[[bytes], bytes] | None = None,
    certificate: bool = True,
    pq: Signer | None = None,
    **changes: Any,
) -> Files:
    machine = replace(samples.HOST, host_key_sha256=sshsig.fingerprint(key or host_key))
    changes = {"host": machine, "image": image or samples.image(build_signer), **changes}
    scan = samples.scan(**changes)
    digest = sha256_bytes(canonical_json(build_findings(scan).to_json()))
    challenge = build_host_challenge(nonce, scan.host.boot_id, digest)
    signed = (proof or (lambda m: sshsig.make_signature(key or host_key, m)))(challenge)
    raw = {**scan.raw, **({HOST_SIGNATURE: signed} if signed else {})}
    terms = writer.SigningOptions(
        timestamper=stamp,
        certificate=write_certificate(folder, signer) if certificate else None,
        chain=chain or ChainLink(sequence=2, previous_statement_sha256=BEFORE),
    )
    path = folder / "made.evidence.zip"
    source_scan = replace(scan, raw=raw)
    writer.write_evidence(
        source_scan, signer, path, events.discard, nonce=nonce, pq_signer=pq, options=terms
    )
    return read_archive(path)


def _read(policy: Path) -> dict[str, Any]:
    return copy.deepcopy(_parsed(policy.read_text()))


@lru_cache(maxsize=4)
def _parsed(text: str) -> dict[str, Any]:
    policy: dict[str, Any] = yaml.safe_load(text)
    return policy


def pack(e: Evidence, path: Path) -> Path:
    """Write the evidence file that hardpan verifies."""
    if e.archive is not None:
        path.write_bytes(e.archive)
    else:
        pack_files(path, e.files or {})
    return path


def build_zip(files: Files, add: tuple[tuple[str, bytes], ...] = (), mode: int = 0o100644) -> bytes:
    """Build a ZIP with another writer: any name, duplicate names, any file type."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in (*sorted(files.items()), *add):
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            file_mode = mode if (name, data) in add else 0o100644
            info.external_attr = file_mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(info, data)
    return sink.getvalue()


def without_files(files: Files, *names: str) -> Files:
    """Return ``files`` without ``names``."""
    return {n: d for n, d in files.items() if n not in names}


def encode_base64(data: bytes) -> str:
    """Return standard base64."""
    return base64.b64encode(data).decode()


def build_pae(kind: str, payload: bytes, size: int | None = None) -> bytes:
    """Return DSSE's pre-authentication encoding with any type or length."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), size or len(payload), payload)


SYMLINK, DEVICE = stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o666


def _with_signature(payload: bytes, signature: bytes) -> SignedStatement:
    value = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": ""}},
        "dsseEnvelope": {
            "payload": encode_base64(payload),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"keyid": "", "sig": encode_base64(signature)}],
        },
    }
    return SignedStatement(payload=payload, signature=signature, bundle=canonical_json(value))


def write_certificate(folder: Path, signer: Signer) -> Path:
    """Write the signer's self-signed certificate and return its path."""
    path = folder / f"{signer.public.sha256[:8]}.crt"
    if not path.is_file():
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "station 7")])
        ca = x509.BasicConstraints(ca=True, path_length=None)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(signer.secret.public_key())
            .serial_number(9)
            .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
            .add_extension(ca, critical=True)
            .sign(signer.secret, hashes.SHA256())
        )
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return path
