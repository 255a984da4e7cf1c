import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from hardpan import cli
from hardpan.core import clock, events
from hardpan.core.errors import Exit
from hardpan.core.files import canonical_json, sha256_bytes
from hardpan.scanners.evidence.file_names import HOST_SIGNATURE, TEST_RESULT
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.scanners.evidence.sign import writer
from hardpan.scanners.evidence.statement.predicate_extensions import build_host_challenge
from hardpan.scanners.model.results import HostCheck
from hardpan.scanners.report.model import build
from hardpan.scanners.report.registry import FORMATS
from hardpan.signing import create_signer, load_pq_signer, load_signer, read_bundle
from hardpan.workflow.key_set import create_keys
from tests.tamper.kit import create_kit
from tests.tools import sshsig
from tests.tools.tsa import FakeTsa
from tests.unit.cli.replaced_scan import replace_scan
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import KEYS_CREATED_AT, NOW, EvidenceFixture, pack_files


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def _policy(lab: EvidenceFixture, tmp_path: Path, extra: str = "") -> str:
    policy = lab.ring.policy.with_name(f"{tmp_path.name}.yaml")
    policy.write_text(lab.ring.policy.read_text().partition("# More than this")[0] + extra)
    return str(policy)


def test_verify_prints_each_check_and_exits_zero(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run(["verify", str(lab.valid_path), "--policy", _policy(lab, tmp_path)])
    out = capsys.readouterr().out

    assert code == Exit.OK
    assert out.splitlines()[1].startswith("ok       archive         ")
    assert out.endswith("verdict: verified\n")


def test_verify_prints_unverified_parts_with_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kit = create_kit(tmp_path)
    create_signer(tmp_path / "keys" / "pq.pem", alg="ml-dsa-65")
    pq = load_pq_signer(tmp_path / "keys" / "pq.pem")
    path = tmp_path / "lab.evidence.zip"
    pack_files(path, kit.sign_scan(pq=pq))
    policy = tmp_path / "keys" / "policy.yaml"
    policy.write_text(yaml.safe_dump({"version": 1, "keys": kit.policy_keys()[:1]}))
    argv = ["verify", str(path), "--policy", str(policy)]
    reasons = {
        "timestamp": "the policy names no authority; the token says 2026-11-21T04:06:00Z",
        "post-quantum": "the policy has no key of role scan-pq for this ml-dsa-65 signature",
        "cms": "the policy names no authority for its certificate; the key is the statement's",
        "provenance": "the policy names no key of role build for the image's provenance",
    }

    assert cli.run(argv) == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    for check, reason in reasons.items():
        assert f"-        {check:<15} not checked: NOT VERIFIED: {reason}" in lines
    assert cli.run([*argv, "--json"]) == Exit.OK
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {c["id"]: c["reason"] for c in checks if c["status"] == "not checked"} == {
        check: f"NOT VERIFIED: {reason}" for check, reason in reasons.items()
    }


def test_svr_omits_unverified_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kit = create_kit(tmp_path)
    pack_files(tmp_path / "lab.evidence.zip", kit.valid_files)
    policy, out = tmp_path / "keys" / "policy.yaml", tmp_path / "svr.json"
    policy.write_text(yaml.safe_dump({"version": 1, "keys": kit.policy_keys()[:1]}))
    create_signer(tmp_path / "verify.pem")
    argv = ["verify", str(tmp_path / "lab.evidence.zip"), "--policy", str(policy)]

    assert cli.run([*argv, "--emit-svr", str(out), "--key", str(tmp_path / "verify.pem")]) == 0
    payload = read_bundle(out.read_bytes(), label="svr").unverified_payload
    properties = set(json.loads(payload)["predicate"]["properties"])
    assert {"HARDPAN_SIGNATURE", "HARDPAN_FILES"} <= properties
    assert not properties & {"HARDPAN_TIMESTAMP", "HARDPAN_CMS", "HARDPAN_PROVENANCE"}
    assert capsys.readouterr().out.endswith("verdict: verified\n")


def test_verify_exits_1_when_threshold_is_exceeded(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = _policy(lab, tmp_path, "max_counts: {fail: 0}\n")
    code = cli.run(["verify", str(lab.valid_path), "--policy", policy])
    out = capsys.readouterr().out

    assert code == Exit.FINDINGS
    assert "EXCEEDED thresholds      fail: 2, at most 0" in out


def test_verify_exits_six_and_names_the_file(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = lab.read_files()
    files["report.html"] = files["report.html"].replace(b"36", b"35").replace(b"open", b"0pen", 1)
    code = cli.run(["verify", str(lab.pack(files)), "--policy", _policy(lab, tmp_path), "--json"])
    captured = capsys.readouterr()
    answer = json.loads(captured.out)

    assert code == Exit.TRUST
    assert answer["verdict"] == "refused"
    assert {c["id"]: c["status"] for c in answer["checks"]}["files"] == "fail"
    assert {c["id"]: c["status"] for c in answer["checks"]}["thresholds"] == "not run"
    assert "report.html: expected sha256" in captured.err


def test_verify_json_contains_key_and_counts(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run(["verify", str(lab.valid_path), "--policy", _policy(lab, tmp_path), "--json"])
    answer = json.loads(capsys.readouterr().out)

    assert code == Exit.OK
    assert (answer["verdict"], answer["key"], answer["counts"]["fail"]) == ("verified", "scan", 2)


@pytest.mark.parametrize("prefix", ["skipped: ", "not run: ", "not run", "fail: ", "exceeded: "])
def test_evidence_text_cannot_forge_a_check_status(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str], prefix: str
) -> None:
    name = f"{prefix}the policy names no content"
    scan = samples.scan(
        profile=f"{prefix}profile",
        host=replace(samples.HOST, hostname=f"{prefix}host"),
        evaluation=replace(
            samples.scan().evaluation, content=replace(samples.CONTENT, name=name, version="1")
        ),
        image=replace(samples.image(lab.build), name=f"{prefix}image"),
        checks=(HostCheck(name=f"{prefix}check", outcome="passed", message=prefix, duration_s=1),),
    )
    path = samples.write_evidence(scan, lab.scan, tmp_path)
    key, svr = tmp_path / "verify.pem", tmp_path / "svr.json"
    signer = create_signer(key)
    settings = f"content: {{source_sha256: ['{samples.SHA}']}}\nmax_counts: {{fail: 9}}\n"
    policy = _policy(lab, tmp_path, settings)
    argv = ["verify", str(path), "--policy", policy]

    assert cli.run([*argv, "--json"]) == Exit.OK
    checks = {c["id"]: c for c in json.loads(capsys.readouterr().out)["checks"]}
    profile = samples.scan().evaluation.profile_id
    assert checks["content"]["status"] == "ok"
    assert checks["content"]["reason"] == f"{name} 1, {profile}"
    assert checks["provenance"]["status"] == "ok"
    assert checks["thresholds"]["status"] == "ok"

    assert cli.run([*argv, "--emit-svr", str(svr), "--key", str(key)]) == Exit.OK
    lines = {x.split()[1]: x for x in capsys.readouterr().out.splitlines() if x[:8].strip()}
    assert lines["content"].startswith(
        "ok       content         the policy allows the SCAP content"
    )
    assert lines["content"].endswith(f": {name} 1, {profile}")
    payload, _ = read_bundle(svr.read_bytes(), label="svr").verify(signer.public)
    properties = json.loads(payload)["predicate"]["properties"]
    assert {"HARDPAN_CONTENT", "HARDPAN_PROVENANCE", "HARDPAN_THRESHOLDS"} <= set(properties)

    with zipfile.ZipFile(path) as z:
        payload = read_bundle(z.read(TEST_RESULT), label="x").verify(lab.scan.public)[0]
    results = json.loads(payload)["predicate"]
    assert f"check {prefix}check" in results["passedTests"]
    assert results["configuration"][0]["name"] == f"{name} (source)"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["verify", "no.zip", "--policy", "no.yaml"], Exit.INPUT),
        (["verify", "no.zip"], Exit.USAGE),
        (["show", "no.zip"], Exit.INPUT),
        (["keys", "show", "no.pub"], Exit.INPUT),
    ],
)
def test_invalid_usage_exit_codes(arguments: list[str], code: Exit) -> None:
    assert cli.run(arguments) == code


def test_show_without_policy_reports_not_verified(
    lab: EvidenceFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run(["show", str(lab.valid_path)])
    out = capsys.readouterr().out

    assert code == Exit.OK
    assert out.startswith("NOT VERIFIED: ")
    assert re.search(
        r"^result +2 open \(1 waived until 2027-01-31\); 1 rule not checked", out, re.MULTILINE
    )
    assert re.search(r"^--fail-on +high, medium and low fail$", out, re.MULTILINE)


def test_show_with_policy_verifies_first(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = _policy(lab, tmp_path)

    assert cli.run(["show", str(lab.valid_path), "--policy", policy]) == Exit.OK
    assert capsys.readouterr().out.startswith("verified: signed by key 'scan'\n")
    assert (
        cli.run(
            [
                "show",
                str(lab.sign_payload(lab.read_statement(), signer=lab.build)),
                "--policy",
                policy,
            ]
        )
        == 6
    )
    assert capsys.readouterr().out == ""


def test_show_json_contains_verified_flag(
    lab: EvidenceFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["show", str(lab.valid_path), "--json"]) == Exit.OK
    answer = json.loads(capsys.readouterr().out)

    assert answer["verified"] is False
    assert answer["findings"]["host"]["hostname"] == "lab"


@pytest.fixture(scope="module")
def full_evidence(lab: EvidenceFixture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence with every format in it."""
    terms = writer.SigningOptions(chain=samples.PREVIOUS_LINK, changes=samples.CHANGES)
    return samples.write_evidence(
        samples.scan(), lab.scan, tmp_path_factory.mktemp("whole"), options=terms
    )


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"pdf"}))
def test_export_renders_attached_formats_identically(
    lab: EvidenceFixture,
    full_evidence: Path,
    tmp_path: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
    name: str,
) -> None:
    arguments = ["export", str(full_evidence), "--policy", _policy(lab, tmp_path), "--as", name]
    with zipfile.ZipFile(full_evidence) as z:
        carried = z.read(FORMATS[name].filename) if FORMATS[name].filename in z.namelist() else None

    assert cli.run(arguments) == Exit.OK
    rendered = capsysbinary.readouterr().out
    assert cli.run([*arguments, "-o", str(tmp_path / "made")]) == Exit.OK
    assert rendered == (tmp_path / "made").read_bytes()
    assert (rendered == carried) is FORMATS[name].is_attached
    assert len(rendered) > 50


def test_exported_html_report_lists_same_signatures(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    ring = create_keys(tmp_path / "keys", now=KEYS_CREATED_AT, pq_alg="ml-dsa-65")
    assert ring.pq is not None
    host = ec.generate_private_key(ec.SECP256R1())
    machine = replace(samples.HOST, host_key_sha256=sshsig.fingerprint(host))
    scan = samples.scan(host=machine)
    findings = sha256_bytes(canonical_json(build.build_findings(scan).to_json()))
    proof = sshsig.make_signature(host, build_host_challenge("", machine.boot_id, findings))
    evidence = writer.write_evidence(
        replace(scan, raw={**scan.raw, HOST_SIGNATURE: proof}),
        load_signer(ring.scan),
        tmp_path / "lab.evidence.zip",
        events.discard,
        pq_signer=load_pq_signer(ring.pq),
        options=writer.SigningOptions(
            timestamper=lambda signature: FakeTsa().make_token(signature, NOW)
        ),
    )
    with zipfile.ZipFile(evidence) as z:
        carried = z.read("report.html")

    assert cli.run(["export", str(evidence), "--policy", str(ring.policy), "--as", "html"]) == 0
    assert capsysbinary.readouterr().out == carried
    for text in ("expected: ml-dsa-65", "expected: RFC 3161", "expected: with the host key"):
        assert text in carried.decode()


def test_export_reports_missing_stig_for_checklist(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", str(lab.valid_path), "--policy", _policy(lab, tmp_path), "--as", "cklb"]

    assert cli.run(arguments) == Exit.INPUT
    output = capsys.readouterr()
    assert "no known STIG for the content 'x_benchmark_RHEL-8'" in output.err
    assert output.out == ""


def test_export_refuses_unverified_evidence(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = str(lab.sign_payload(lab.read_statement(), signer=lab.build))
    out = tmp_path / "made"
    arguments = ["export", forged, "--policy", _policy(lab, tmp_path), "--as", "html"]

    assert cli.run([*arguments, "-o", str(out)]) == Exit.TRUST
    assert capsys.readouterr().out == ""
    assert not out.exists()


def test_keys_new_and_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["keys", "new", str(tmp_path / "k")]) == Exit.OK
    assert capsys.readouterr().out == f"{tmp_path / 'k' / 'trust.yaml'}\n"
    assert cli.run(["keys", "new", str(tmp_path / "k")]) == Exit.INPUT
    capsys.readouterr()
    assert cli.run(["keys", "show", str(tmp_path / "k" / "scan.pub"), "--json"]) == Exit.OK
    facts = json.loads(capsys.readouterr().out)

    assert set(facts) == {"alg", "hint", "sha256"}
    assert facts["alg"] == "ecdsa-p256-sha256"


@pytest.mark.parametrize(
    ("algs", "algorithms"),
    [
        (("rsa-3072",), {"scan": "rsa-pkcs1v15-sha256", "build": "rsa-pkcs1v15-sha256"}),
        (
            ("ecdsa-p256", "ml-dsa-87"),
            {"scan": "ecdsa-p256-sha256", "build": "ecdsa-p256-sha256", "scan-pq": "ml-dsa-87"},
        ),
    ],
)
def test_keys_new_creates_requested_algorithms_and_policy(
    tmp_path: Path, algs: tuple[str, ...], algorithms: dict[str, str]
) -> None:
    folder = tmp_path / "k"
    arguments = [x for alg in algs for x in ("--alg", alg)]

    assert cli.run(["keys", "new", str(folder), *arguments]) == Exit.OK
    trust = load_trust_policy(folder / "trust.yaml")
    assert {k.role: p.alg for k, p in trust.keys} == algorithms
    assert trust.policy.require_pq == ("scan-pq" in algorithms)


def test_keys_new_adds_post_quantum_key_to_existing_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "k"
    assert cli.run(["keys", "new", str(folder)]) == Exit.OK
    capsys.readouterr()
    assert cli.run(["keys", "new", str(folder), "--alg", "ml-dsa-65"]) == Exit.OK
    lines = capsys.readouterr().out
    policy = folder / "trust.yaml"
    policy.write_text(policy.read_text().replace("# More", f"{lines}require_pq: true\n# More"))

    assert [p.alg for _, p in load_trust_policy(policy).keys_for_role("scan-pq")] == ["ml-dsa-65"]
    assert cli.run(["keys", "new", str(folder), "--alg", "ml-dsa-65"]) == Exit.INPUT


def test_keys_new_rejects_two_algorithms_of_same_kind(tmp_path: Path) -> None:
    for pair in (("ecdsa-p256", "rsa-3072"), ("ml-dsa-65", "ml-dsa-87")):
        arguments = ["keys", "new", str(tmp_path / "k"), "--alg", pair[0], "--alg", pair[1]]

        assert cli.run(arguments) == Exit.USAGE
    assert not (tmp_path / "k").exists()


def test_keys_show_pem_equals_pub_file(
    lab: EvidenceFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    public = lab.ring.scan.with_suffix(".pub")

    assert cli.run(["keys", "show", "--pem", str(public)]) == Exit.OK
    assert capsys.readouterr().out == public.read_text()
    assert cli.run(["keys", "show", "tpm:0x1"]) == Exit.USAGE


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ([], "etc-x-lab-stig-20261121T040500Z"),
        (["-o", "mine.evidence.zip"], "mine"),
    ],
)
def test_scan_default_filename_contains_host_profile_and_time(
    lab: EvidenceFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    name: str,
) -> None:
    host = replace(samples.HOST, hostname="../../etc/x")
    sample = samples.scan(host=host, profile="lab-stig")
    replace_scan(monkeypatch, lambda _request, _emit: sample)
    monkeypatch.chdir(tmp_path)
    scan = ["scan", "host.invalid", "--profile", "lab-stig", "-q"]
    scan += ["--key", str(lab.ring.scan), "--known-hosts", str(lab.ring.policy), "--json"]

    assert cli.run([*scan, *more]) == Exit.FINDINGS
    assert json.loads(capsys.readouterr().out)["evidence"] == f"{name}.evidence.zip"
    files = [f"{name}.evidence.zip", f"{name}.pub"]
    assert sorted(p.name for p in tmp_path.iterdir()) == files
    first = (tmp_path / files[0]).stat()

    # Another scan that ends in the same second replaces nothing, unless -o names the file.
    assert cli.run([*scan, *more]) == Exit.FINDINGS
    second = name if more else f"{name}-2"
    assert json.loads(capsys.readouterr().out)["evidence"] == f"{second}.evidence.zip"
    is_same = (tmp_path / files[0]).stat().st_ino == first.st_ino
    assert is_same == (not more)
    assert (tmp_path / f"{second}.pub").exists()


def test_scan_rejects_other_output_suffix(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "x.zip")
    scan = ["scan", "host.invalid", "--profile", "lab-stig", "--key", str(lab.ring.scan)]

    assert cli.run([*scan, "-o", out]) == Exit.INPUT
    assert "x.zip: expected a name that ends in .evidence.zip" in capsys.readouterr().err


def test_scan_rejects_unusable_key_before_connecting(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create_signer(tmp_path / "pq.pem", alg="ml-dsa-65")
    pq, ec = str(tmp_path / "pq.pem"), str(lab.ring.scan)
    scan = ["scan", "host.invalid", "--profile", "lab-stig", "-o", str(tmp_path / "x.evidence.zip")]
    cases = [
        (["--key", pq], Exit.INPUT, "ml-dsa-65 signs the second envelope only"),
        (["--key", ec, "--pq-key", ec], Exit.INPUT, "expected an ML-DSA-65 or ML-DSA-87 key"),
        (["--key", "pkcs11:token=t;object=k?pin-value=271828"], Exit.USAGE, "pin-value"),
        (["--key", "tpm:0x1"], Exit.USAGE, "expected a persistent handle"),
        (["--key", ec, "--passphrase-env", "X"], Exit.INPUT, "has no passphrase"),
        (["--key", str(tmp_path / "no.pem")], Exit.INPUT, "cannot be read"),
    ]
    for arguments, code, message in cases:
        assert cli.run([*scan, *arguments]) == code
        output = capsys.readouterr().err
        assert message in output
        assert "271828" not in output
    assert not list(tmp_path.glob("*.zip"))
