"""Timestamps by a real authority, CMS by openssl, host keys by a real sshd, verify.sh by sh."""

import contextlib
import hashlib
import re
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hardpan.core import clock, events
from hardpan.core.errors import TrustError, UnavailableError, UnreachableError
from hardpan.core.process import run
from hardpan.scanners.collect.host_signature import sign_with_host_key
from hardpan.scanners.evidence.file_names import CMS, PQ_ENVELOPE
from hardpan.scanners.evidence.sign import writer
from hardpan.scanners.evidence.statement.predicate_extensions import HOST_SIGNATURE_NAMESPACE
from hardpan.scanners.evidence.verify.verification_log import VerificationError
from hardpan.scanners.evidence.verify.verifier import verify, verify_stored
from hardpan.signing import (
    check_sshsig,
    create_signer,
    load_pq_signer,
    load_signer,
    load_tsa,
    request_timestamp,
    verify_timestamp,
)
from hardpan.ssh.client import connect
from hardpan.workflow.key_set import create_keys
from tests.integration.local_sshd import local_sshd
from tests.tamper.kit import NOW, Evidence, TamperKit, create_kit, pack
from tests.tamper.verdicts import PREDICATE_TYPE, build_stored_row
from tests.tools.get_cosign import find_cosign
from tests.tools.tsa import FakeTsa as Authority
from tests.unit.evidence import samples

pytestmark = pytest.mark.integration

_PIECE = 4096
OID = "1.3.6.1.4.1.13762.3"
_FILES = re.compile(r"^```sh files\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CONFIG = f"""
[tsa]
default_tsa = one
[one]
serial = serial
crypto_device = builtin
signer_digest = sha256
default_policy = {OID}
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
tsa_name = no
ordering = no
[leaf]
extendedKeyUsage = critical,timeStamping
[ca]
basicConstraints = critical,CA:TRUE
[req]
distinguished_name = dn
[dn]
"""


class Tsa(BaseHTTPRequestHandler):
    """``openssl ts`` behind HTTP, and ways of answering badly."""

    folder: ClassVar[Path]

    def do_POST(self) -> None:
        query = self.rfile.read(int(self.headers["Content-Length"]))
        body, kind, status = self._answer(query)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status == 302:
            self.send_header("Location", "/")
        self.end_headers()
        for n in range(0, len(body), _PIECE):
            self.wfile.write(body[n : n + _PIECE])
            if self.path == "/slow":
                time.sleep(0.3)

    def _answer(self, request: bytes) -> tuple[bytes, str, int]:
        kind = "application/timestamp-reply"
        if self.path == "/busy":
            return b"later", "text/plain", 503
        if self.path == "/elsewhere":
            return b"", kind, 302
        if self.path == "/page":
            return b"<html>", "text/html", 200
        if self.path == "/endless":
            return b"0" * 1_000_000, kind, 200
        if self.path == "/slow":
            return b"0" * 8 * _PIECE, kind, 200
        if self.path == "/other":
            right, other = (hashlib.sha256(x).digest() for x in (b"a signature", b"x"))
            request = request.replace(right, other)
        if self.path == "/old":
            return (self.folder / "old.tsr").read_bytes(), kind, 200
        with tempfile.TemporaryDirectory() as temp_dir:
            query, reply = Path(temp_dir) / "q", Path(temp_dir) / "r"
            query.write_bytes(request)
            argv: list[Any] = ["openssl", "ts", "-reply", "-config", "tsa.cnf", "-queryfile", query]
            argv += ["-signer", "leaf.pem", "-inkey", "leaf.key", "-out", reply]
            run(argv, timeout_s=30, cwd=self.folder)
            return reply.read_bytes(), kind, 200

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("tsa")
    (folder / "tsa.cnf").write_text(_CONFIG)
    (folder / "serial").write_text("01\n")
    with _openssl(folder) as openssl:
        ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-config", "tsa.cnf", "-x509", *ec, "-keyout", "ca.key", "-out", "ca.pem",
                "-subj", "/CN=root", "-extensions", "ca")  # fmt: skip
        openssl("req", "-config", "tsa.cnf", "-new", *ec, "-keyout", "leaf.key", "-out", "leaf.csr",
                "-subj", "/CN=tsa")  # fmt: skip
        openssl(
            "x509",
            "-req",
            "-in",
            "leaf.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-out",
            "leaf.pem",
            "-extfile",
            "tsa.cnf",
            "-extensions",
            "leaf",
            "-set_serial",
            "7",
        )
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Tsa,), {"folder": folder}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    (folder / "old.tsr").write_bytes(request_timestamp(f"{url}/", b"another signature"))
    yield url, folder
    server.shutdown()
    server.server_close()


@contextlib.contextmanager
def _openssl(folder: Path) -> Iterator[Any]:
    yield lambda *argv: run(["openssl", *argv], timeout_s=30, cwd=folder)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> TamperKit:
    return create_kit(tmp_path_factory.mktemp("kit"))


def test_openssl_tsa_timestamps_a_signature(tsa: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = tsa
    start = clock.now()
    token = request_timestamp(f"{url}/", b"a signature")
    roots = (folder / "ca.pem").read_bytes()
    at = verify_timestamp(token, b"a signature", load_tsa(roots, policy_oid=OID, label="x"))

    assert abs((at - start).total_seconds()) < 60
    (tmp_path / "t").write_bytes(token)
    (tmp_path / "s").write_bytes(b"a signature")
    argv: list[Any] = ["openssl", "ts", "-verify", "-data", tmp_path / "s", "-in", tmp_path / "t"]
    run([*argv, "-CAfile", folder / "ca.pem"], timeout_s=30)


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("/busy", UnreachableError, "the TSA answers with HTTP status 503"),
        ("/elsewhere", UnreachableError, "the TSA answers with HTTP status 302"),
        ("/page", TrustError, "expected application/timestamp-reply, got text/html"),
        ("/endless", TrustError, "/endless: expected at most 65536 bytes"),
        ("/old", TrustError, "the timestamp answers another request"),
        ("/other", TrustError, "the timestamp covers another signature"),
        ("/slow", UnreachableError, "the TSA does not answer: not received within 1 s"),
    ],
)
def test_invalid_tsa_response_is_reported(
    tsa: tuple[str, Path], path: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        request_timestamp(tsa[0] + path, b"a signature", timeout_s=1 if path == "/slow" else 10)

    assert message in str(caught.value)


def test_unreachable_tsa_is_reported() -> None:
    with pytest.raises(UnreachableError, match="the TSA does not answer") as caught:
        request_timestamp("http://127.0.0.1:9/", b"x", timeout_s=2)

    assert "--timestamp" in caught.value.hint


def test_evidence_with_tsa_timestamp_verifies_by_trusted_time(
    tsa: tuple[str, Path], kit: TamperKit, tmp_path: Path
) -> None:
    url, folder = tsa
    now = clock.now()
    scan_time = clock.format_rfc3339(now)
    scan = samples.scan(
        started=scan_time,
        finished=scan_time,
        image=samples.image(kit.build_signer),
        host=samples.HOST,
    )
    out = tmp_path / "x.evidence.zip"
    terms = writer.SigningOptions(timestamper=partial(request_timestamp, f"{url}/"))
    writer.write_evidence(scan, kit.scan_signer, out, events.discard, options=terms)
    loose: dict[str, Any] = {
        "nonce": None, "previous_statement": None, "target": None,
        "require_timestamp": {"roots": (folder / "ca.pem").read_text(), "policy_oid": OID},
    }  # fmt: skip
    outcomes = {o.check_id: o for o in verify(out, kit.load_policy(loose), now=now).records}

    assert outcomes["timestamp"].status == "ok"
    assert outcomes["key-window"].reason == "by trusted time"


def _unpacked(kit: TamperKit, folder: Path) -> Path:
    pack(Evidence(files=kit.valid_files), folder / "x.zip")
    with zipfile.ZipFile(folder / "x.zip") as z:
        z.extractall(folder / "e")
    (folder / "scan.pub").write_text(kit.scan_signer.public.pem)
    return folder / "e"


def test_openssl_verifies_cms_signature(kit: TamperKit, tmp_path: Path) -> None:
    folder = _unpacked(kit, tmp_path)
    pem = next(kit.folder.glob(f"{kit.scan_signer.public.sha256[:8]}.crt"))
    argv: list[Any] = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in"]
    argv += ["statement.p7s", "-content", "statement.json", "-CAfile", pem, "-purpose", "any"]
    run([*argv, "-out", "/dev/null"], timeout_s=30, cwd=folder)
    path = pack(Evidence(files=kit.valid_files), tmp_path / "x.evidence.zip")
    policy = {"require_cms": {"roots": pem.read_text()}}
    outcomes = {o.check_id: o for o in verify(path, kit.load_policy(policy), now=NOW).records}
    assert outcomes["cms"].reason == "verified by openssl cms"

    other = {"require_cms": {"roots": kit.tsa.pem}}
    with pytest.raises(VerificationError, match=r"statement\.p7s: openssl rejects it"):
        verify(path, kit.load_policy(other), now=NOW)
    swapped = {**kit.valid_files, "statement.p7s": kit.sign_scan(nonce="o" * 16)["statement.p7s"]}
    path = pack(Evidence(files=swapped), tmp_path / "x.evidence.zip")
    with pytest.raises(VerificationError, match=r"statement\.p7s: openssl rejects it"):
        verify(path, kit.load_policy(policy), now=NOW)


def test_stored_cms_signature_is_verified_by_openssl(kit: TamperKit) -> None:
    pem = next(kit.folder.glob(f"{kit.scan_signer.public.sha256[:8]}.crt"))
    trust = kit.load_policy({"require_cms": {"roots": pem.read_text()}})
    stored = build_stored_row(kit.valid_files)
    assert stored is not None

    checked = verify_stored(stored, trust, now=NOW, label="row 1")
    assert {o.check_id: o.reason for o in checked.records}["cms"] == "verified by openssl cms"
    swapped = {**stored.signature_files, CMS: kit.sign_scan(nonce="o" * 16)[CMS]}
    with pytest.raises(VerificationError, match=r"row 1: cms: statement\.p7s: openssl rejects"):
        verify_stored(replace(stored, signature_files=swapped), trust, now=NOW, label="row 1")


def test_cosign_checks_timestamp_against_tsa_roots(kit: TamperKit, tmp_path: Path) -> None:
    program = find_cosign()
    if program is None:
        pytest.fail("cosign is missing: .venv/bin/python tests/tools/get_cosign.py")
    folder = _unpacked(kit, tmp_path)

    def says(roots: str) -> int:
        pem, root = tmp_path / "tsa.pem", tmp_path / "root.json"
        pem.write_text(roots)
        chain = ["--timestamp-certificate-chain", pem, "--out", root]
        run([program, "trusted-root", "create", *chain], timeout_s=60)
        argv: list[Any] = [program, "verify-blob-attestation", "--key", tmp_path / "scan.pub"]
        argv += ["--insecure-ignore-tlog", "--use-signed-timestamps", "--new-bundle-format"]
        argv += [
            "--trusted-root",
            root,
            "--type",
            PREDICATE_TYPE,
            "--bundle",
            "evidence.sigstore.json",
        ]
        return run([*argv, "findings.json"], timeout_s=60, ok=(0, 1), cwd=folder).returncode

    assert says(kit.tsa.pem) == 0
    assert says(Authority().pem) == 1


def test_attached_script_verifies_its_folder(kit: TamperKit, tmp_path: Path) -> None:
    folder = _unpacked(kit, tmp_path)
    create_signer(tmp_path / "other.pem")

    completed = run(["sh", folder / "verify.sh", tmp_path / "scan.pub"], timeout_s=60)
    assert completed.stdout.startswith("verified: ")
    refused = run(["sh", folder / "verify.sh", tmp_path / "other.pub"], timeout_s=60, ok=(1,))
    assert refused.stderr.endswith("NOT VERIFIED\n")
    for arguments in ([], [tmp_path / "no.pub"], [tmp_path / "scan.pub", tmp_path / "no"]):
        run(["sh", folder / "verify.sh", *arguments], timeout_s=60, ok=(1,))


def test_script_and_instructions_require_expected_post_quantum_envelope(
    kit: TamperKit, tmp_path: Path
) -> None:
    ring = create_keys(tmp_path / "keys", now=NOW, alg="ecdsa-p256-sha256", pq_alg="ml-dsa-65")
    assert ring.pq is not None
    scan, signer = samples.scan(), load_signer(ring.scan)
    key, plain, hybrid = ring.scan.with_suffix(".pub"), tmp_path / "plain", tmp_path / "hybrid"
    for folder, pq in ((plain, None), (hybrid, load_pq_signer(ring.pq))):
        out = tmp_path / "x.evidence.zip"
        writer.write_evidence(scan, signer, out, events.discard, pq_signer=pq)
        with zipfile.ZipFile(out) as z:
            z.extractall(folder)

    def holds(folder: Path) -> tuple[bool, bool]:
        script: list[Any] = ["sh", "verify.sh", key]
        steps = _FILES.findall((folder / "VERIFY.md").read_text())
        guide: list[Any] = ["sh", "-euc", *steps]
        ends = (run(argv, timeout_s=60, ok=(0, 1), cwd=folder) for argv in (script, guide))
        return tuple(done.returncode == 0 for done in ends)  # type: ignore[return-value]

    assert (holds(plain), holds(hybrid)) == ((True, True), (True, True))
    (hybrid / PQ_ENVELOPE).rename(plain / PQ_ENVELOPE)
    assert (holds(plain), holds(hybrid)) == ((False, False), (False, False))


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script that the installed hardpan emits, where no evidence is."""
    path = tmp_path_factory.mktemp("emitted") / "verify.sh"
    run([sys.executable, "-m", "hardpan", "verify", "--emit-script", path], timeout_s=60)
    return path


def test_emitted_script_accepts_valid_evidence(
    kit: TamperKit, tmp_path: Path, emitted: Path
) -> None:
    folder = _unpacked(kit, tmp_path)

    completed = run(["sh", emitted, tmp_path / "scan.pub", folder], timeout_s=60)
    assert completed.stdout.startswith("verified: ")
    assert emitted.read_bytes() == kit.valid_files["verify.sh"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("findings.json", b'"verdict":"fail"', b'"verdict":"pass"'),
        ("statement.json", b'"fail":2', b'"fail":0'),
        ("report.html", b"fail", b"pass"),
    ],
)
def test_emitted_script_rejects_forged_evidence(
    kit: TamperKit, tmp_path: Path, emitted: Path, name: str, old: bytes, new: bytes
) -> None:
    folder, key = _unpacked(kit, tmp_path), tmp_path / "scan.pub"
    data = (folder / name).read_bytes()
    assert old in data
    (folder / name).write_bytes(data.replace(old, new))
    (folder / "verify.sh").write_text("#!/bin/sh\necho 'verified: signature, files and counts.'\n")

    assert run(["sh", folder / "verify.sh", key], timeout_s=60).stdout.startswith("verified: ")
    refused = run(["sh", emitted, key, folder], timeout_s=60, ok=(1,))
    assert refused.stderr.endswith("NOT VERIFIED\n")
    assert "verified: " not in refused.stdout


def test_emitted_script_runs_no_archive_program(
    kit: TamperKit, tmp_path: Path, emitted: Path
) -> None:
    folder = _unpacked(kit, tmp_path)
    for name in ("verify.sh", "jq", "openssl", "sha256sum", "find"):
        program = folder / name
        program.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\n")
        program.chmod(0o755)

    run(["sh", emitted, tmp_path / "scan.pub", folder], timeout_s=60, ok=(1,))
    assert not (tmp_path / "was-run").exists()


def test_attached_script_passes_shellcheck(kit: TamperKit, tmp_path: Path) -> None:
    folder = _unpacked(kit, tmp_path)
    run(["shellcheck", folder / "verify.sh"], timeout_s=60)

    assert len((folder / "verify.sh").read_text().splitlines()) <= 25


def test_host_signs_with_its_ssh_host_key(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", etc / "ssh_host_ecdsa_key"],
        timeout_s=30)  # fmt: skip
    (etc / "ssh_host_ed25519_key").symlink_to(tmp_path / "host")
    with (
        local_sshd(tmp_path, replacement=(Path("/etc/ssh"), etc)) as target,
        connect(target, timeout_s=20) as via,
    ):
        proof = sign_with_host_key(via, b"said\n", namespace=HOST_SIGNATURE_NAMESPACE, timeout_s=30)
        fingerprint = via.host_key.fingerprint
    check_sshsig(proof, b"said\n", namespace=HOST_SIGNATURE_NAMESPACE, fingerprint=fingerprint)

    (tmp_path / "proof").write_bytes(proof)
    (tmp_path / "allowed").write_text("host " + (tmp_path / "host.pub").read_text())
    argv: list[Any] = ["ssh-keygen", "-Y", "verify", "-f", tmp_path / "allowed", "-I", "host"]
    argv += ["-n", HOST_SIGNATURE_NAMESPACE, "-s", tmp_path / "proof"]
    output = run(argv, timeout_s=30, stdin=b"said\n").stdout
    assert output.startswith(
        f'Good "{HOST_SIGNATURE_NAMESPACE}" signature for host with ED25519 key {fingerprint}'
    )


def test_host_without_key_file_cannot_sign(tmp_path: Path) -> None:
    empty = tmp_path / "etc"
    empty.mkdir()
    with (
        local_sshd(tmp_path, replacement=(Path("/etc/ssh"), empty)) as target,
        connect(target, timeout_s=20) as via,
        pytest.raises(UnavailableError, match="cannot sign with its host key"),
    ):
        sign_with_host_key(via, b"said\n", namespace=HOST_SIGNATURE_NAMESPACE, timeout_s=30)
