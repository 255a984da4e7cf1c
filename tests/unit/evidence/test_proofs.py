import base64
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hardpan import cli, clock, events
from hardpan.errors import Exit, InputError, ToolError, TrustError
from hardpan.files import sha256_bytes
from hardpan.scanners.collect.hostproof import script, signed_by_host
from hardpan.scanners.commands.terms import following, runner, stamp
from hardpan.scanners.evidence import bundle, outcome
from hardpan.scanners.evidence.bindings import HOST_PROOF, NAMESPACE, OSCAL, TEST_RESULT, waivers
from hardpan.scanners.evidence.trust import load_policy
from hardpan.scanners.evidence.verify import verify
from hardpan.scanners.model import Verdict
from hardpan.scanners.report.fill import findings, smoke
from hardpan.scanners.transport import Transport
from hardpan.signing import detached, new_signer, read_bundle
from tests.tooling.tsa import Tsa
from tests.unit.evidence import samples
from tests.unit.evidence.forge import NOW, Lab

FINGERPRINT = "SHA256:" + "A" * 43


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def _policy(lab: Lab, extra: str = "") -> Path:
    path = lab.ring.policy.with_name("proofs.yaml")
    path.write_text(lab.ring.policy.read_text().partition("# More than this")[0] + extra)
    return path


def _files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as z:
        return {n: z.read(n) for n in z.namelist()}


def _said(bundle_: bytes) -> Any:
    return json.loads(base64.b64decode(json.loads(bundle_)["dsseEnvelope"]["payload"]))


def test_the_second_statement_has_a_place_for_every_verdict() -> None:
    rules = tuple(samples.rule(n, v) for n, v in enumerate(Verdict) if v != "notselected")
    evaluation = replace(samples.scan().evaluation, results=rules)
    made = samples.scan(evaluation=evaluation, paired=samples.PAIRED, waivers={})
    said = cast(Any, outcome.statement(findings(made), smoke(samples.SMOKE), {"a": "0" * 64}))
    lists = said["predicate"]
    ids = {r.rule_id: r.verdict.value for r in rules}

    assert said["subject"] == [{"name": "a", "digest": {"sha256": "0" * 64}}]
    assert {ids[n] for n in lists["passedTests"] if n in ids} == {"pass", "fixed"}
    assert {ids[n] for n in lists["failedTests"] if n in ids} == {"fail", "error", "unknown"}
    assert {ids[n] for n in lists["warnedTests"] if n in ids} == {"notchecked", "informational"}
    assert "paired egress" in lists["failedTests"]
    assert "paired audit" in lists["warnedTests"]
    assert "smoke" in lists["passedTests"]
    assert lists["result"] == "FAILED"


def test_a_waived_failure_is_a_failure_in_the_second_statement(lab: Lab) -> None:
    said = _said(lab.files()[TEST_RESULT])
    waived = samples.RULES[2].rule_id

    assert waived in said["predicate"]["failedTests"]
    assert said["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert {s["name"] for s in said["subject"]} == {s["name"] for s in lab.statement()["subject"]}


@pytest.mark.parametrize(
    ("verdicts", "result"),
    [((Verdict.PASS,), "PASSED"), ((Verdict.PASS, Verdict.NOT_CHECKED), "WARNED")],
)
def test_the_result_is_the_worst_of_all(verdicts: tuple[Verdict, ...], result: str) -> None:
    rules = tuple(samples.rule(n, v) for n, v in enumerate(verdicts))
    made = samples.scan(
        evaluation=replace(samples.scan().evaluation, results=rules), checks=(), waivers={}
    )
    said = cast(Any, outcome.statement(findings(made), None, {}))

    assert said["predicate"]["result"] == result


def test_the_statement_counts_waivers_and_names_the_first_to_end(lab: Lab) -> None:
    claim = lab.statement()["predicate"]

    assert claim["waivers"] == {"n": 1, "earliestExpiry": "2027-01-31"}
    assert waivers(findings(samples.scan(waivers={}))).earliest_expiry is None
    assert claim["siblings"] == [TEST_RESULT, OSCAL]
    assert claim["chain"] is None


def test_the_same_scan_has_the_same_statement_id(lab: Lab, tmp_path: Path) -> None:
    def made(name: str, **changes: object) -> str:
        path = samples.write(samples.slim_scan(**changes), lab.scan, tmp_path / name)
        said = json.loads(_files(path)["statement.json"])
        return str(said["predicate"]["statementId"])

    assert made("a") == made("b")
    assert made("a") != made("c", profile="other")


def test_evidence_without_the_new_fields_still_verifies(lab: Lab) -> None:
    def older(s: Any) -> None:
        for name in ("statementId", "siblings", "chain", "waivers", "runner", "hostProof"):
            del s["predicate"][name]

    statement = lab.statement()
    older(statement)
    path = lab.signed(statement)
    path = lab.put({n: d for n, d in _files(path).items() if n not in (TEST_RESULT, OSCAL)})
    outcomes = {o.id: o for o in lab.verify(path).outcomes}

    assert outcomes["test-result"].outcome == "skipped"
    assert "older hardpan" in outcomes["test-result"].why
    assert outcomes["oscal"].outcome == "skipped"
    assert "older hardpan" in outcomes["oscal"].why
    assert outcomes["host-proof"].why == "the host gave no signature by its host key"


def test_the_outcome_is_signed_for_those_who_trust_the_verifier(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, out = tmp_path / "verify.pem", tmp_path / "svr.json"
    signer = new_signer(key)
    policy = _policy(lab, "max_counts: {fail: 9}\n")
    argv = ["verify", str(lab.good), "--policy", str(policy)]

    assert cli.run([*argv, "--emit-svr", str(out), "--key", str(key)]) == Exit.DONE
    payload, _ = read_bundle(out.read_bytes(), what="svr").opened(signer.public)
    said = json.loads(payload)
    assert said["predicateType"] == "https://in-toto.io/attestation/svr/v0.2"
    assert said["subject"][0]["digest"]["sha256"] == sha256_bytes(lab.good.read_bytes())
    assert said["predicate"]["timeCreated"] == "2026-11-21T05:00:00Z"
    assert said["predicate"]["verifier"]["policies"] == [
        {"name": policy.name, "digest": {"sha256": sha256_bytes(policy.read_bytes())}}
    ]
    assert "HARDPAN_VERIFIED" in said["predicate"]["properties"]
    assert "HARDPAN_SIGNATURE" in said["predicate"]["properties"]
    assert "HARDPAN_AGE" not in said["predicate"]["properties"]
    assert capsys.readouterr().out.endswith("verdict: verified\n")


def test_over_the_limits_is_not_called_verified(lab: Lab, tmp_path: Path) -> None:
    key, out = tmp_path / "verify.pem", tmp_path / "svr.json"
    new_signer(key)
    argv = ["verify", str(lab.good), "--policy", str(_policy(lab, "max_counts: {fail: 0}\n"))]

    assert cli.run([*argv, "--emit-svr", str(out), "--key", str(key)]) == Exit.FINDINGS
    assert "HARDPAN_VERIFIED" not in _said(out.read_bytes())["predicate"]["properties"]


def test_no_outcome_is_signed_by_another_role_or_of_refused_evidence(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, out = tmp_path / "verify.pem", tmp_path / "svr.json"
    new_signer(key)
    policy = str(_policy(lab))
    bad = str(lab.signed(lab.statement(), signer=lab.build))

    argv = ["verify", str(lab.good), "--policy", policy, "--emit-svr", str(out)]
    assert cli.run(argv) == Exit.USAGE
    assert cli.run([*argv, "--key", str(lab.ring.scan)]) == Exit.INPUT
    assert "key 'scan' has the role scan: it may not sign outcomes" in capsys.readouterr().err
    argv[1] = bad
    assert cli.run([*argv, "--key", str(key)]) == Exit.TRUST
    assert not out.exists()


def test_a_scan_follows_on_the_hosts_last_one(lab: Lab, tmp_path: Path) -> None:
    first = following(None, samples.HOST_KEY)
    assert (first.sequence, first.previous_statement_sha256) == (1, None)

    terms = bundle.Terms(chain=first, runner=runner())
    path = tmp_path / "one.evidence.zip"
    bundle.write(samples.scan(), lab.scan, path, events.silent, terms=terms)
    second = following(path, samples.HOST_KEY)
    verified = verify(path, lab.trust(), now=NOW)
    assert (second.sequence, second.previous_statement_sha256) == (2, verified.statement_sha256)
    assert following(lab.good, samples.HOST_KEY).sequence == 2
    told = verified.statement.predicate.runner
    assert told is not None
    assert told.transport == "ssh"

    with pytest.raises(InputError, match=r"is about another host \(lab\)"):
        following(path, FINGERPRINT[:-1] + "B")
    (tmp_path / "x").write_text("x")
    with pytest.raises(InputError, match=r"cannot be followed: .*not an evidence archive"):
        following(tmp_path / "x", samples.HOST_KEY)


def test_without_an_address_nothing_is_stamped() -> None:
    assert stamp("") is None
    assert stamp(None) is None


def _via(answer: bytes | Exception, fingerprint: str = FINGERPRINT) -> tuple[Transport, list[Any]]:
    seen: list[Any] = []

    def run(command: str, **more: Any) -> Any:
        seen.append((command, more))
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(data=answer)

    made = SimpleNamespace(run=run, host_key=SimpleNamespace(fingerprint=fingerprint))
    return cast(Transport, made), seen


def test_the_host_is_asked_once_by_sudo_and_its_key_stays_there() -> None:
    via, seen = _via(b"-----BEGIN SSH SIGNATURE-----\nx")

    assert signed_by_host(via, b"said", namespace=NAMESPACE, timeout_s=5).startswith(b"-----BEGIN")
    command, more = seen[0]
    assert (more["sudo"], more["stdin"]) == (True, b"said")
    assert "ssh-keygen -Y sign -n hardpan-evidence" in command
    assert command == script(FINGERPRINT, NAMESPACE)


@pytest.mark.parametrize(
    ("answer", "fingerprint"),
    [
        (b"", FINGERPRINT),
        (b"usage: ssh-keygen", FINGERPRINT),
        (ToolError(["sh"], "exited with 3"), FINGERPRINT),
        (b"-----BEGIN SSH SIGNATURE-----", "SHA256:x'; rm -rf /"),
    ],
)
def test_a_host_that_cannot_sign_is_scanned_all_the_same(
    answer: bytes | Exception, fingerprint: str
) -> None:
    via, seen = _via(answer, fingerprint)

    assert signed_by_host(via, b"said", namespace=NAMESPACE, timeout_s=5) == b""
    assert len(seen) == (fingerprint == FINGERPRINT)


def test_a_damaged_host_proof_is_refused(lab: Lab, tmp_path: Path) -> None:
    made = samples.scan(raw={"arf-1.xml": b"<arf/>", HOST_PROOF: b"x"})

    with pytest.raises(TrustError, match="the host's proof is not an SSH signature"):
        lab.verify(samples.write(made, lab.scan, tmp_path))


def test_a_certificate_must_be_the_signing_keys(lab: Lab, tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    other.write_text(Tsa().pem)
    (tmp_path / "no.crt").write_text("x")
    for path, said in (
        (other, "is the certificate of another key than the one that signs"),
        (tmp_path / "no.crt", "expected a certificate in PEM"),
        (tmp_path / "missing.crt", "cannot be read"),
    ):
        with pytest.raises(InputError, match=said):
            detached(b"x", lab.scan, path)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("require_timestamp: {roots: no.pem}", "no.pem: cannot be read"),
        ("require_timestamp: {roots: scan.pub}", "require_timestamp.roots: expected certificates"),
        ("require_timestamp: {}", "require_timestamp.roots: is missing"),
        ("require_timestamp: {roots: a, max_lag_s: 0}", "require_timestamp.max_lag_s: "),
        ("require_cms: {roots: scan.pub}", "require_cms.roots: expected certificates in PEM"),
        ("after: {sequence: -1}", "after.sequence: "),
        ("expires: 2026-11-21T00:00:00", "expires: expected a time zone"),
        ("target: {machine_ids: ['" + "0" * 33 + "']}", "target.machine_ids[0]: "),
    ],
)
def test_a_wrong_setting_is_named_with_its_place(lab: Lab, extra: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load_policy(_policy(lab, extra + "\n"))

    assert said in str(caught.value)
    assert "proofs.yaml:" in str(caught.value)


def test_the_policy_asks_for_a_timestamp_under_an_object_identifier(lab: Lab) -> None:
    (lab.ring.policy.parent / "tsa.pem").write_text(Tsa().pem)

    with pytest.raises(InputError, match=r"policy_oid: expected e\.g\. 1\.2\.3\.4, found 'one'"):
        load_policy(_policy(lab, "require_timestamp: {roots: tsa.pem, policy_oid: one}\n"))
    assert load_policy(_policy(lab, "require_timestamp: {roots: tsa.pem}\n")).authority


def test_a_real_machine_id_digest_can_be_pinned(lab: Lab) -> None:
    policy = _policy(lab, "target: {machine_ids: ['" + "0" * 32 + "']}\n")

    assert load_policy(policy).policy.target.machine_ids == ("0" * 32,)
