import base64
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hardpan import cli
from hardpan.core import clock, events
from hardpan.core.errors import Exit, InputError, ToolError, TrustError, UnavailableError
from hardpan.core.files import sha256_bytes
from hardpan.scanners.collect.host_signature import build_signing_script, sign_with_host_key
from hardpan.scanners.evidence.file_names import HOST_SIGNATURE, OSCAL, TEST_RESULT
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.scanners.evidence.predicates import test_result
from hardpan.scanners.evidence.sign import writer
from hardpan.scanners.evidence.signing_options import (
    PreviousStatement,
    next_chain_link,
    read_previous_statement,
    scanner_identity,
    timestamper,
)
from hardpan.scanners.evidence.statement.predicate_extensions import (
    HOST_SIGNATURE_NAMESPACE,
    summarize_waivers,
)
from hardpan.scanners.evidence.verify.verifier import verify
from hardpan.scanners.model.scan import Verdict
from hardpan.scanners.report.model.build import build_findings, build_smoke_document
from hardpan.signing import create_signer, read_bundle, sign_cms_detached
from hardpan.ssh.connection import Connection
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.transport_kind import TransportChoice, TransportKind
from tests.tools.tsa import FakeTsa
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import NOW, EvidenceFixture

FINGERPRINT = "SHA256:" + "A" * 43


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def _policy(lab: EvidenceFixture, extra: str = "") -> Path:
    path = lab.ring.policy.with_name("proofs.yaml")
    path.write_text(lab.ring.policy.read_text().partition("# More than this")[0] + extra)
    return path


def _files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as z:
        return {n: z.read(n) for n in z.namelist()}


def _read_statement(bundle_: bytes) -> Any:
    return json.loads(base64.b64decode(json.loads(bundle_)["dsseEnvelope"]["payload"]))


def test_test_result_statement_classifies_every_verdict() -> None:
    rules = tuple(samples.rule(n, v) for n, v in enumerate(Verdict) if v != "notselected")
    evaluation = replace(samples.scan().evaluation, results=rules)
    scan = samples.scan(evaluation=evaluation, compatibility=samples.COMPATIBILITY, waivers={})
    statement = cast(
        Any,
        test_result.build_statement(
            build_findings(scan), build_smoke_document(samples.SMOKE), {"a": "0" * 64}
        ),
    )
    lists = statement["predicate"]
    ids = {r.rule_id: r.verdict.value for r in rules}

    assert statement["subject"] == [{"name": "a", "digest": {"sha256": "0" * 64}}]
    assert {ids[n] for n in lists["passedTests"] if n in ids} == {"pass", "fixed"}
    assert {ids[n] for n in lists["failedTests"] if n in ids} == {"fail", "error", "unknown"}
    assert {ids[n] for n in lists["warnedTests"] if n in ids} == {"notchecked", "informational"}
    assert "compatibility egress" in lists["failedTests"]
    assert "compatibility audit" in lists["warnedTests"]
    assert "smoke" in lists["passedTests"]
    assert lists["result"] == "FAILED"


def test_test_result_statement_counts_waived_failure_as_failed(lab: EvidenceFixture) -> None:
    statement = _read_statement(lab.read_files()[TEST_RESULT])
    waived = samples.RULES[2].rule_id

    assert waived in statement["predicate"]["failedTests"]
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert {s["name"] for s in statement["subject"]} == {
        s["name"] for s in lab.read_statement()["subject"]
    }


@pytest.mark.parametrize(
    ("verdicts", "result"),
    [((Verdict.PASS,), "PASSED"), ((Verdict.PASS, Verdict.NOT_CHECKED), "WARNED")],
)
def test_test_result_is_the_worst_verdict(verdicts: tuple[Verdict, ...], result: str) -> None:
    rules = tuple(samples.rule(n, v) for n, v in enumerate(verdicts))
    scan = samples.scan(
        evaluation=replace(samples.scan().evaluation, results=rules), checks=(), waivers={}
    )
    statement = cast(Any, test_result.build_statement(build_findings(scan), None, {}))

    assert statement["predicate"]["result"] == result


def test_statement_summarizes_waivers(lab: EvidenceFixture) -> None:
    claim = lab.read_statement()["predicate"]

    assert claim["waivers"] == {"count": 1, "earliestExpiry": "2027-01-31"}
    assert summarize_waivers(build_findings(samples.scan(waivers={}))).earliest_expiry is None
    assert claim["companionFiles"] == [TEST_RESULT, OSCAL]
    assert claim["chain"] is None


def test_statement_id_is_reproducible(lab: EvidenceFixture, tmp_path: Path) -> None:
    def statement_id(name: str, **changes: object) -> str:
        path = samples.write_evidence(samples.slim_scan(**changes), lab.scan, tmp_path / name)
        statement = json.loads(_files(path)["statement.json"])
        return str(statement["predicate"]["statementId"])

    assert statement_id("a") == statement_id("b")
    assert statement_id("a") != statement_id("c", profile="other")


def test_evidence_without_optional_fields_verifies(lab: EvidenceFixture) -> None:
    def older(s: Any) -> None:
        for name in (
            "statementId",
            "companionFiles",
            "chain",
            "waivers",
            "runner",
            "hostSignature",
        ):
            del s["predicate"][name]

    statement = lab.read_statement()
    older(statement)
    path = lab.sign_payload(statement)
    path = lab.pack({n: d for n, d in _files(path).items() if n not in (TEST_RESULT, OSCAL)})
    outcomes = {o.check_id: o for o in lab.verify(path).records}

    assert outcomes["test-result"].status == "skipped"
    assert outcomes["test-result"].reason == "the evidence contains none"
    assert outcomes["oscal"].status == "skipped"
    assert outcomes["oscal"].reason == "the evidence contains none"
    assert outcomes["host-signature"].reason == "the host provided no signature"


def test_emit_svr_signs_verification_result(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, out = tmp_path / "verify.pem", tmp_path / "svr.json"
    signer = create_signer(key)
    policy = _policy(lab, "max_counts: {fail: 9}\n")
    argv = ["verify", str(lab.valid_path), "--policy", str(policy)]

    assert cli.run([*argv, "--emit-svr", str(out), "--key", str(key)]) == Exit.OK
    payload, _ = read_bundle(out.read_bytes(), label="svr").verify(signer.public)
    statement = json.loads(payload)
    assert statement["predicateType"] == "https://in-toto.io/attestation/svr/v0.2"
    assert statement["subject"][0]["digest"]["sha256"] == sha256_bytes(lab.valid_path.read_bytes())
    assert statement["predicate"]["timeCreated"] == "2026-11-21T05:00:00Z"
    assert statement["predicate"]["verifier"]["policies"] == [
        {"name": policy.name, "digest": {"sha256": sha256_bytes(policy.read_bytes())}}
    ]
    assert "HARDPAN_VERIFIED" in statement["predicate"]["properties"]
    assert "HARDPAN_SIGNATURE" in statement["predicate"]["properties"]
    assert "HARDPAN_AGE" not in statement["predicate"]["properties"]
    assert capsys.readouterr().out.endswith("verdict: verified\n")


def test_svr_omits_verified_when_thresholds_are_exceeded(
    lab: EvidenceFixture, tmp_path: Path
) -> None:
    key, out = tmp_path / "verify.pem", tmp_path / "svr.json"
    create_signer(key)
    argv = ["verify", str(lab.valid_path), "--policy", str(_policy(lab, "max_counts: {fail: 0}\n"))]

    assert cli.run([*argv, "--emit-svr", str(out), "--key", str(key)]) == Exit.FINDINGS
    assert "HARDPAN_VERIFIED" not in _read_statement(out.read_bytes())["predicate"]["properties"]


def test_svr_requires_verify_role_and_accepted_evidence(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, out = tmp_path / "verify.pem", tmp_path / "svr.json"
    create_signer(key)
    policy = str(_policy(lab))
    bad = str(lab.sign_payload(lab.read_statement(), signer=lab.build))

    argv = ["verify", str(lab.valid_path), "--policy", policy, "--emit-svr", str(out)]
    assert cli.run(argv) == Exit.USAGE
    assert cli.run([*argv, "--key", str(lab.ring.scan)]) == Exit.INPUT
    assert "key 'scan' has the role scan: it may not sign outcomes" in capsys.readouterr().err
    argv[1] = bad
    assert cli.run([*argv, "--key", str(key)]) == Exit.TRUST
    assert not out.exists()


FALLBACK = TransportChoice(kind=TransportKind.OPENSSH, reason="paramiko lacks it")


def read_statement(path: Path) -> PreviousStatement:
    statement = read_previous_statement(path)
    assert statement is not None
    return statement


def test_chain_link_follows_previous_evidence(lab: EvidenceFixture, tmp_path: Path) -> None:
    first = next_chain_link(None)
    assert (first.sequence, first.previous_statement_sha256) == (1, None)

    terms = writer.SigningOptions(chain=first, runner=scanner_identity(FALLBACK))
    path = tmp_path / "one.evidence.zip"
    writer.write_evidence(samples.scan(), lab.scan, path, events.discard, options=terms)
    second = next_chain_link(read_statement(path))
    verified = verify(path, lab.load_policy(), now=NOW)
    assert (second.sequence, second.previous_statement_sha256) == (2, verified.statement_sha256)
    assert next_chain_link(read_statement(lab.valid_path)).sequence == 2
    runner = verified.statement.predicate.runner
    assert runner is not None
    assert (runner.transport, runner.transport_reason) == ("openssh", "paramiko lacks it")

    read_statement(path).require_host(samples.HOST_KEY)
    with pytest.raises(InputError, match=r"is about another host \(lab\): expected SHA256:"):
        read_statement(path).require_host(FINGERPRINT[:-1] + "B")
    (tmp_path / "x").write_text("x")
    with pytest.raises(InputError, match=r"cannot be followed: .*not an evidence archive"):
        read_statement(tmp_path / "x")


def test_chain_of_host_without_key_follows_machine_id(lab: EvidenceFixture, tmp_path: Path) -> None:
    host = replace(
        samples.HOST, host_key_type="", host_key_sha256="", host_key_trust=HostKeyTrust.LOCAL
    )
    path = samples.write_evidence(samples.slim_scan(host=host), lab.scan, tmp_path)

    statement = read_statement(path)
    statement.require_host(host.machine_id_hmac)
    with pytest.raises(InputError, match="is about another host"):
        statement.require_host("f" * 32)
    with pytest.raises(InputError, match="has neither a host key nor a machine id"):
        statement.require_host("")


def test_timestamper_is_none_without_url() -> None:
    assert timestamper("") is None
    assert timestamper(None) is None


def _fake_connection(
    answer: bytes | Exception, fingerprint: str = FINGERPRINT
) -> tuple[Connection, list[Any]]:
    seen: list[Any] = []

    def run(command: str, **more: Any) -> Any:
        seen.append((command, more))
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(data=answer)

    connection = SimpleNamespace(run=run, host_key=SimpleNamespace(fingerprint=fingerprint))
    return cast(Connection, connection), seen


def test_host_signs_with_sudo_on_the_host() -> None:
    connection, seen = _fake_connection(b"-----BEGIN SSH SIGNATURE-----\nx")

    assert sign_with_host_key(
        connection, b"said", namespace=HOST_SIGNATURE_NAMESPACE, timeout_s=5
    ).startswith(b"-----BEGIN")
    command, more = seen[0]
    assert (more["sudo"], more["stdin"]) == (True, b"said")
    assert "ssh-keygen -Y sign -n hardpan-evidence" in command
    assert command == build_signing_script(FINGERPRINT, HOST_SIGNATURE_NAMESPACE)


@pytest.mark.parametrize(
    ("answer", "fingerprint"),
    [
        (b"", FINGERPRINT),
        (b"usage: ssh-keygen", FINGERPRINT),
        (ToolError(["sh"], "exited with 3"), FINGERPRINT),
        (b"-----BEGIN SSH SIGNATURE-----", "SHA256:x'; rm -rf /"),
    ],
)
def test_host_that_cannot_sign_lacks_a_precondition(
    answer: bytes | Exception, fingerprint: str
) -> None:
    connection, seen = _fake_connection(answer, fingerprint)

    with pytest.raises(UnavailableError, match="ssh-keygen: the"):
        sign_with_host_key(connection, b"said", namespace=HOST_SIGNATURE_NAMESPACE, timeout_s=5)
    assert len(seen) == (fingerprint == FINGERPRINT)


def test_damaged_host_signature_is_rejected(lab: EvidenceFixture, tmp_path: Path) -> None:
    scan = samples.scan(raw={"arf-1.xml": b"<arf/>", HOST_SIGNATURE: b"x"})

    with pytest.raises(TrustError, match="the host signature is not an SSH signature"):
        lab.verify(samples.write_evidence(scan, lab.scan, tmp_path))


def test_certificate_must_match_signing_key(lab: EvidenceFixture, tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    other.write_text(FakeTsa().pem)
    (tmp_path / "no.crt").write_text("x")
    for path, message in (
        (other, "is the certificate of another key than the one that signs"),
        (tmp_path / "no.crt", "expected a certificate in PEM"),
        (tmp_path / "missing.crt", "cannot be read"),
    ):
        with pytest.raises(InputError, match=message):
            sign_cms_detached(b"x", lab.scan, path)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("require_timestamp: {roots: no.pem}", "no.pem: cannot be read"),
        ("require_timestamp: {roots: scan.pub}", "scan.pub: expected certificates in PEM"),
        ("require_timestamp: {}", "require_timestamp.roots: is missing"),
        ("require_timestamp: {roots: a, max_lag_s: 0}", "require_timestamp.max_lag_s: "),
        ("require_cms: {roots: scan.pub}", "/scan.pub: expected certificates in PEM"),
        ("previous_statement: {sequence: -1}", "previous_statement.sequence: "),
        ("expires: 2026-11-21T00:00:00", "expires: expected a time zone"),
        ("target: {machine_ids: ['" + "0" * 33 + "']}", "target.machine_ids[0]: "),
    ],
)
def test_invalid_policy_setting_reports_location(
    lab: EvidenceFixture, extra: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_trust_policy(_policy(lab, extra + "\n"))

    assert message in str(caught.value)
    assert "proofs.yaml:" in str(caught.value)


def test_policy_validates_timestamp_policy_oid(lab: EvidenceFixture) -> None:
    (lab.ring.policy.parent / "tsa.pem").write_text(FakeTsa().pem)

    with pytest.raises(InputError, match=r"policy_oid: expected e\.g\. 1\.2\.3\.4, got 'one'"):
        load_trust_policy(_policy(lab, "require_timestamp: {roots: tsa.pem, policy_oid: one}\n"))
    assert load_trust_policy(
        _policy(lab, "require_timestamp: {roots: tsa.pem}\n")
    ).timestamp_authority


def test_policy_accepts_machine_id_digest(lab: EvidenceFixture) -> None:
    policy = _policy(lab, "target: {machine_ids: ['" + "0" * 32 + "']}\n")

    assert load_trust_policy(policy).policy.target.machine_ids == ("0" * 32,)
