import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from hardpan import cli, clock, events
from hardpan.errors import Exit
from hardpan.files import canonical_json, sha256_bytes
from hardpan.scanners import pipeline
from hardpan.scanners.commands.keys import new_keys
from hardpan.scanners.content import datastream
from hardpan.scanners.evidence import bundle
from hardpan.scanners.evidence.bindings import HOST_PROOF, TEST_RESULT, challenge
from hardpan.scanners.evidence.trust import load_policy
from hardpan.scanners.report import fill
from hardpan.scanners.report.base import FORMATS
from hardpan.scanners.trials import Check
from hardpan.signing import load_pq_signer, load_signer, new_signer, read_bundle
from tests.tamper.kit import workshop
from tests.tooling import sshsig
from tests.tooling.tsa import Tsa
from tests.unit.evidence import samples
from tests.unit.evidence.forge import KEYS_MADE, NOW, Lab, write


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def _policy(lab: Lab, tmp_path: Path, extra: str = "") -> str:
    policy = lab.ring.policy.with_name(f"{tmp_path.name}.yaml")
    policy.write_text(lab.ring.policy.read_text().partition("# More than this")[0] + extra)
    return str(policy)


def test_verify_says_each_check_and_ends_with_0(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run(["verify", str(lab.good), "--policy", _policy(lab, tmp_path)])
    out = capsys.readouterr().out

    assert code == Exit.DONE
    assert out.splitlines()[1].startswith("ok    archive      ")
    assert out.endswith("verdict: verified\n")


def test_verify_prints_what_is_not_verified_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w = workshop(tmp_path)
    new_signer(tmp_path / "keys" / "pq.pem", alg="ml-dsa-65")
    pq = load_pq_signer(tmp_path / "keys" / "pq.pem")
    path = tmp_path / "lab.evidence.zip"
    write(path, w.made(pq=pq))
    policy = tmp_path / "keys" / "policy.yaml"
    policy.write_text(yaml.safe_dump({"version": 1, "keys": w.keys()[:1]}))
    argv = ["verify", str(path), "--policy", str(policy)]
    reasons = {
        "timestamp": "the policy names no authority; the token says 2026-11-21T04:06:00Z",
        "post-quantum": "the policy has no key of role scan-pq for this ml-dsa-65 signature",
        "cms": "the policy names no authority for its certificate; the key is the statement's",
        "provenance": "the policy names no key of role build for the image's provenance",
    }

    assert cli.run(argv) == Exit.DONE
    lines = capsys.readouterr().out.splitlines()
    for check, reason in reasons.items():
        assert f"-     {check:<12} not checked: NOT VERIFIED: {reason}" in lines
    assert cli.run([*argv, "--json"]) == Exit.DONE
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {c["id"]: c["why"] for c in checks if c["outcome"] == "not checked"} == {
        check: f"NOT VERIFIED: {reason}" for check, reason in reasons.items()
    }


def test_outcome_that_is_not_verified_is_not_handed_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w = workshop(tmp_path)
    write(tmp_path / "lab.evidence.zip", w.good)
    policy, out = tmp_path / "keys" / "policy.yaml", tmp_path / "svr.json"
    policy.write_text(yaml.safe_dump({"version": 1, "keys": w.keys()[:1]}))
    new_signer(tmp_path / "verify.pem")
    argv = ["verify", str(tmp_path / "lab.evidence.zip"), "--policy", str(policy)]

    assert cli.run([*argv, "--emit-svr", str(out), "--key", str(tmp_path / "verify.pem")]) == 0
    payload = read_bundle(out.read_bytes(), what="svr").unverified
    properties = set(json.loads(payload)["predicate"]["properties"])
    assert {"HARDPAN_SIGNATURE", "HARDPAN_FILES"} <= properties
    assert not properties & {"HARDPAN_TIMESTAMP", "HARDPAN_CMS", "HARDPAN_PROVENANCE"}
    assert capsys.readouterr().out.endswith("verdict: verified\n")


def test_verify_ends_with_1_when_a_limit_is_exceeded(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = _policy(lab, tmp_path, "max_counts: {fail: 0}\n")
    code = cli.run(["verify", str(lab.good), "--policy", policy])
    out = capsys.readouterr().out

    assert code == Exit.FINDINGS
    assert "OVER  limits       fail: 2, at most 0" in out


def test_verify_ends_with_6_and_says_where(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = lab.files()
    files["report.html"] = files["report.html"].replace(b"36", b"35").replace(b"open", b"0pen", 1)
    code = cli.run(["verify", str(lab.put(files)), "--policy", _policy(lab, tmp_path), "--json"])
    told = capsys.readouterr()
    answer = json.loads(told.out)

    assert code == Exit.TRUST
    assert answer["verdict"] == "refused"
    assert {c["id"]: c["outcome"] for c in answer["checks"]}["files"] == "fail"
    assert {c["id"]: c["outcome"] for c in answer["checks"]}["limits"] == "not run"
    assert "report.html: expected sha256" in told.err


def test_verify_as_json_names_the_key_and_the_counts(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run(["verify", str(lab.good), "--policy", _policy(lab, tmp_path), "--json"])
    answer = json.loads(capsys.readouterr().out)

    assert code == Exit.DONE
    assert (answer["verdict"], answer["key"], answer["counts"]["fail"]) == ("verified", "scan", 2)


@pytest.mark.parametrize("prefix", ["skipped: ", "not run: ", "not run", "fail: ", "over: "])
def test_text_of_the_evidence_never_names_an_outcome(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str], prefix: str
) -> None:
    name = f"{prefix}the policy names no content"
    made = samples.scan(
        profile=f"{prefix}profile",
        host=replace(samples.HOST, hostname=f"{prefix}host"),
        evaluation=replace(
            samples.scan().evaluation, content=replace(samples.CONTENT, name=name, version="1")
        ),
        image=replace(samples.image(lab.build), name=f"{prefix}image"),
        checks=(Check(name=f"{prefix}check", outcome="passed", message=prefix, took_s=1),),
    )
    path = samples.write(made, lab.scan, tmp_path)
    key, svr = tmp_path / "verify.pem", tmp_path / "svr.json"
    signer = new_signer(key)
    asked = f"content: {{source_sha256: ['{samples.SHA}']}}\nmax_counts: {{fail: 9}}\n"
    policy = _policy(lab, tmp_path, asked)
    argv = ["verify", str(path), "--policy", policy]

    assert cli.run([*argv, "--json"]) == Exit.DONE
    checks = {c["id"]: c for c in json.loads(capsys.readouterr().out)["checks"]}
    profile = samples.scan().evaluation.profile_id
    assert checks["content"]["outcome"] == "ok"
    assert checks["content"]["why"] == f"{name} 1, {profile}"
    assert checks["provenance"]["outcome"] == "ok"
    assert checks["limits"]["outcome"] == "ok"

    assert cli.run([*argv, "--emit-svr", str(svr), "--key", str(key)]) == Exit.DONE
    lines = {x.split()[1]: x for x in capsys.readouterr().out.splitlines() if x[:5].strip()}
    assert lines["content"].startswith("ok    content      the SCAP content and profile are")
    assert lines["content"].endswith(f": {name} 1, {profile}")
    payload, _ = read_bundle(svr.read_bytes(), what="svr").opened(signer.public)
    properties = json.loads(payload)["predicate"]["properties"]
    assert {"HARDPAN_CONTENT", "HARDPAN_PROVENANCE", "HARDPAN_LIMITS"} <= set(properties)

    with zipfile.ZipFile(path) as z:
        payload = read_bundle(z.read(TEST_RESULT), what="x").opened(lab.scan.public)[0]
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
def test_wrong_use_ends_with_its_code(arguments: list[str], code: Exit) -> None:
    assert cli.run(arguments) == code


def test_show_says_when_nobody_vouches(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.run(["show", str(lab.good)])
    out = capsys.readouterr().out

    assert code == Exit.DONE
    assert out.startswith("NOT VERIFIED: ")
    assert "open        1 high; 1 with a waiver on record" in out


def test_show_with_a_policy_verifies_first(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = _policy(lab, tmp_path)

    assert cli.run(["show", str(lab.good), "--policy", policy]) == Exit.DONE
    assert capsys.readouterr().out.startswith("verified: signed by key 'scan'\n")
    assert (
        cli.run(["show", str(lab.signed(lab.statement(), signer=lab.build)), "--policy", policy])
        == 6
    )
    assert capsys.readouterr().out == ""


def test_show_as_json_says_whether_it_was_verified(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["show", str(lab.good), "--json"]) == Exit.DONE
    answer = json.loads(capsys.readouterr().out)

    assert answer["verified"] is False
    assert answer["findings"]["host"]["hostname"] == "lab"


@pytest.fixture(scope="module")
def whole(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence with every format in it."""
    terms = bundle.Terms(chain=samples.BEFORE, changes=samples.CHANGES)
    return samples.write(samples.scan(), lab.scan, tmp_path_factory.mktemp("whole"), terms=terms)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"pdf"}))
def test_export_draws_what_the_evidence_carries(
    lab: Lab, whole: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], name: str
) -> None:
    arguments = ["export", str(whole), "--policy", _policy(lab, tmp_path), "--as", name]
    with zipfile.ZipFile(whole) as z:
        carried = z.read(FORMATS[name].file) if FORMATS[name].file in z.namelist() else None

    assert cli.run(arguments) == Exit.DONE
    drawn = capsysbinary.readouterr().out
    assert cli.run([*arguments, "-o", str(tmp_path / "made")]) == Exit.DONE
    assert drawn == (tmp_path / "made").read_bytes()
    assert (drawn == carried) is FORMATS[name].attached
    assert len(drawn) > 50


def test_the_page_drawn_again_tells_the_same_promises(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    ring = new_keys(tmp_path / "keys", now=KEYS_MADE, pq_alg="ml-dsa-65")
    assert ring.pq is not None
    host = ec.generate_private_key(ec.SECP256R1())
    machine = replace(samples.HOST, host_key_sha256=sshsig.fingerprint(host))
    made = samples.scan(host=machine)
    findings = sha256_bytes(canonical_json(fill.findings(made).data()))
    proof = sshsig.signature(host, challenge("", machine.boot_id, findings))
    whole = bundle.write(
        replace(made, raw={**made.raw, HOST_PROOF: proof}),
        load_signer(ring.scan),
        tmp_path / "lab.evidence.zip",
        events.silent,
        pq=load_pq_signer(ring.pq),
        terms=bundle.Terms(stamp=lambda signature: Tsa().token(signature, NOW)),
    )
    with zipfile.ZipFile(whole) as z:
        carried = z.read("report.html")

    assert cli.run(["export", str(whole), "--policy", str(ring.policy), "--as", "html"]) == 0
    assert capsysbinary.readouterr().out == carried
    for said in ("promised: ml-dsa-65", "promised: an authority's", "promised: by the host key"):
        assert said in carried.decode()


def test_export_says_when_there_is_no_checklist_to_draw(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", str(lab.good), "--policy", _policy(lab, tmp_path), "--as", "cklb"]

    assert cli.run(arguments) == Exit.INPUT
    said = capsys.readouterr()
    assert "no STIG is on record for the content 'x_benchmark_RHEL-8'" in said.err
    assert said.out == ""


def test_export_draws_nothing_from_what_does_not_verify(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = str(lab.signed(lab.statement(), signer=lab.build))
    out = tmp_path / "made"
    arguments = ["export", forged, "--policy", _policy(lab, tmp_path), "--as", "html"]

    assert cli.run([*arguments, "-o", str(out)]) == Exit.TRUST
    assert capsys.readouterr().out == ""
    assert not out.exists()


def test_keys_new_and_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["keys", "new", str(tmp_path / "k")]) == Exit.DONE
    assert capsys.readouterr().out == f"{tmp_path / 'k' / 'trust.yaml'}\n"
    assert cli.run(["keys", "new", str(tmp_path / "k")]) == Exit.INPUT
    capsys.readouterr()
    assert cli.run(["keys", "show", str(tmp_path / "k" / "scan.pub"), "--json"]) == Exit.DONE
    facts = json.loads(capsys.readouterr().out)

    assert set(facts) == {"alg", "hint", "sha256"}
    assert facts["alg"] == "ecdsa-p256-sha256"


@pytest.mark.parametrize(
    ("algs", "made"),
    [
        (("rsa-3072",), {"scan": "rsa-pkcs1v15-sha256", "build": "rsa-pkcs1v15-sha256"}),
        (
            ("ecdsa-p256", "ml-dsa-87"),
            {"scan": "ecdsa-p256-sha256", "build": "ecdsa-p256-sha256", "scan-pq": "ml-dsa-87"},
        ),
    ],
)
def test_keys_new_makes_keys_of_the_wanted_kinds_and_a_policy_for_them(
    tmp_path: Path, algs: tuple[str, ...], made: dict[str, str]
) -> None:
    folder = tmp_path / "k"
    arguments = [x for alg in algs for x in ("--alg", alg)]

    assert cli.run(["keys", "new", str(folder), *arguments]) == Exit.DONE
    trust = load_policy(folder / "trust.yaml")
    assert {k.role: p.alg for k, p in trust.keys} == made
    assert trust.policy.require_pq == ("scan-pq" in made)


def test_a_post_quantum_key_is_added_to_the_keys_that_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "k"
    assert cli.run(["keys", "new", str(folder)]) == Exit.DONE
    capsys.readouterr()
    assert cli.run(["keys", "new", str(folder), "--alg", "ml-dsa-65"]) == Exit.DONE
    lines = capsys.readouterr().out
    policy = folder / "trust.yaml"
    policy.write_text(policy.read_text().replace("# More", f"{lines}require_pq: true\n# More"))

    assert [p.alg for _, p in load_policy(policy).role("scan-pq")] == ["ml-dsa-65"]
    assert cli.run(["keys", "new", str(folder), "--alg", "ml-dsa-65"]) == Exit.INPUT


def test_two_keys_of_one_kind_are_not_made_at_once(tmp_path: Path) -> None:
    for pair in (("ecdsa-p256", "rsa-3072"), ("ml-dsa-65", "ml-dsa-87")):
        arguments = ["keys", "new", str(tmp_path / "k"), "--alg", pair[0], "--alg", pair[1]]

        assert cli.run(arguments) == Exit.USAGE
    assert not (tmp_path / "k").exists()


def test_keys_show_pem_is_what_a_pub_file_holds(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    public = lab.ring.scan.with_suffix(".pub")

    assert cli.run(["keys", "show", "--pem", str(public)]) == Exit.DONE
    assert capsys.readouterr().out == public.read_text()
    assert cli.run(["keys", "show", "tpm:0x1"]) == Exit.USAGE


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ([], "etc-x-lab-stig-20261121T040500Z"),
        (["-o", "mine.evidence.zip"], "mine"),
    ],
)
def test_scan_names_its_evidence_by_host_profile_and_time_unless_told(
    lab: Lab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    name: str,
) -> None:
    host = replace(samples.HOST, hostname="../../etc/x")
    made = samples.scan(host=host, profile="lab-stig")
    monkeypatch.setattr(pipeline, "scan", lambda _request, _emit: made)
    monkeypatch.setattr(datastream, "find", lambda product, choice: f"{product} {choice}")
    monkeypatch.chdir(tmp_path)
    scan = ["scan", "host.invalid", "--profile", "lab-stig", "--content", "x.xml", "-q"]
    scan += ["--key", str(lab.ring.scan), "--known-hosts", str(lab.ring.policy), "--json"]

    assert cli.run([*scan, *more]) == Exit.FINDINGS
    assert json.loads(capsys.readouterr().out)["evidence"] == f"{name}.evidence.zip"
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{name}.evidence.zip", f"{name}.pub"]


def test_scan_refuses_a_name_of_another_kind(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "x.zip")
    scan = ["scan", "host.invalid", "--profile", "lab-stig", "--key", str(lab.ring.scan)]

    assert cli.run([*scan, "-o", out]) == Exit.INPUT
    assert "x.zip: expected a name that ends in .evidence.zip" in capsys.readouterr().err


def test_scan_refuses_a_key_that_cannot_sign_before_it_looks_for_the_host(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new_signer(tmp_path / "pq.pem", alg="ml-dsa-65")
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
    for arguments, code, said in cases:
        assert cli.run([*scan, *arguments]) == code
        told = capsys.readouterr().err
        assert said in told
        assert "271828" not in told
    assert not list(tmp_path.glob("*.zip"))
