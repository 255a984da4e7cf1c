import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hardpan.core.errors import InputError
from hardpan.core.files import sha256_bytes
from hardpan.core.media_types import ISO, QCOW2, RAW
from hardpan.scanners.evidence.file_names import OSCAL, TEST_RESULT
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy, load_trust_policy
from hardpan.scanners.evidence.statement.model import ProvenanceSubject
from hardpan.scanners.evidence.verify.registry import CHECK_IDS
from hardpan.scanners.evidence.verify.verification_log import VerificationError
from hardpan.scanners.evidence.verify.verifier import read_unverified, verify
from hardpan.scanners.model.scan import RuleResult, Verdict
from hardpan.scanners.report.model.types import HOST_KEY_TRUST_TEXT
from hardpan.signing import create_signer, sign
from hardpan.ssh.host_key_trust import HostKeyTrust
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import (
    NOW,
    UNSIGNED,
    EvidenceFixture,
    edit_bundle,
    encode_base64,
    read_archive,
)


def _refused(lab: EvidenceFixture, path: Path, check: str, message: str, extra: str = "") -> None:
    with pytest.raises(VerificationError) as caught:
        lab.verify(path, extra)
    outcomes = {o.check_id: o.status for o in caught.value.records}

    assert outcomes[check] == "fail", outcomes
    assert message in str(caught.value)
    assert caught.value.exit_code == 6
    assert [o.check_id for o in caught.value.records] == list(CHECK_IDS)


def test_valid_evidence_passes_every_check(lab: EvidenceFixture) -> None:
    verified = lab.verify(lab.valid_path)

    assert verified.key.id == "scan"
    assert verified.is_within_thresholds
    assert verified.findings.counts["fail"] == 2
    assert verified.statement_sha256 == sha256_bytes(lab.read_files()["statement.json"])
    assert [o.check_id for o in verified.records] == list(CHECK_IDS)
    assert {o.status for o in verified.records} == {"ok", "skipped"}


def test_flipped_byte_error_names_the_file(lab: EvidenceFixture) -> None:
    files = lab.read_files()
    files["arf-1.xml"] = files["arf-1.xml"].replace(b"<arf/>", b"<arg/>", 1)

    _refused(lab, lab.pack(files), "files", "arf-1.xml: expected sha256")


@pytest.mark.parametrize(
    ("change", "check", "message"),
    [
        (lambda f: f.pop("arf-2.xml"), "files", "arf-2.xml: is listed but missing"),
        (lambda f: f.update({"more.txt": b""}), "files", "more.txt: is present but not listed"),
        (
            lambda f: f.update({"arf-1.xml": f["arf-2.xml"], "arf-2.xml": f["arf-1.xml"]}),
            "files",
            "arf-1.xml: expected sha256",
        ),
        (lambda f: f.pop("evidence.sigstore.json"), "bundle", "is missing from the evidence"),
        (lambda f: f.pop("statement.sig"), "detached-copies", "statement.sig: is missing"),
        (
            lambda f: f.update({"statement.sig": b"x"}),
            "detached-copies",
            "statement.sig: not the signature",
        ),
        (
            lambda f: f.update({"statement.json": b"{}"}),
            "detached-copies",
            "not the statement in the bundle",
        ),
    ],
)
def test_files_other_than_listed_are_rejected(
    lab: EvidenceFixture, change: Callable[[dict[str, bytes]], object], check: str, message: str
) -> None:
    files = lab.read_files()
    change(files)

    _refused(lab, lab.pack(files), check, message)


def test_changed_result_with_old_signature_is_rejected(lab: EvidenceFixture) -> None:
    statement = lab.read_statement()
    statement["predicate"]["results"]["counts"]["fail"] = 0
    payload = json.dumps(statement).encode()
    files = edit_bundle(
        lab.read_files(), lambda b: b["dsseEnvelope"].update(payload=encode_base64(payload))
    )

    _refused(
        lab, lab.pack({**files, "statement.json": payload}), "signature", "not by any of the 1"
    )


def test_unknown_key_with_trusted_hint_is_rejected(lab: EvidenceFixture, tmp_path: Path) -> None:
    path = lab.sign_payload(lab.read_statement(), signer=create_signer(tmp_path / "evil.pem"))
    hint = lab.scan.public.hint
    files = edit_bundle(
        read_archive(path), lambda b: b["verificationMaterial"]["publicKey"].update(hint=hint)
    )

    _refused(lab, lab.pack(files), "signature", "not by any of the 1 keys")


def test_build_key_cannot_sign_scan(lab: EvidenceFixture) -> None:
    _refused(
        lab, lab.sign_payload(lab.read_statement(), signer=lab.build), "signature", "not by any"
    )


def _set(*path: str | int) -> Callable[[object], Callable[[Any], None]]:
    def to(value: object) -> Callable[[Any], None]:
        def change(x: Any) -> None:
            for step in path[:-1]:
                x = x[step]
            x[path[-1]] = value

        return change

    return to


def _drop(*path: str) -> Callable[[Any], None]:
    def change(x: Any) -> None:
        for step in path[:-1]:
            x = x[step]
        del x[path[-1]]

    return change


def _result(name: str, value: object) -> Callable[[Any], None]:
    return _set("predicate", "results", name)(value)


STATEMENTS: list[tuple[Callable[[Any], object], str, str]] = [
    (_set("_type")("https://in-toto.io/Statement/v0.1"), "statement", "_type"),
    (_set("predicateType")("https://slsa.dev/provenance/v1"), "statement", "predicateType"),
    (
        _set("predicateType")("https://hardpan.dev/attestation/compliance-scan/v2"),
        "statement",
        "pr",
    ),
    (_set("predicate", "statementVersion")("2.0"), "statement", "statementVersion"),
    (_set("subject")([]), "statement", "subject"),
    (_set("subject", 0, "digest")({"sha512": "0" * 128}), "statement", "sha256: Field required"),
    (_set("subject", 0, "digest")({"sha256": "AB" * 32}), "statement", "subject.0.digest.sha256"),
    (_set("subject", 0, "digest")({"sha256": "ab" * 31}), "statement", "subject.0.digest.sha256"),
    (lambda s: s["subject"].append(s["subject"][0]), "files", "listed twice"),
    (
        lambda s: s["subject"].append({**s["subject"][0], "digest": {"sha256": "0" * 64}}),
        "files",
        "listed twice",
    ),
    (
        lambda s: s["subject"].append({"name": "../x", "digest": {"sha256": "0" * 64}}),
        "files",
        "not a safe file name: '../x'",
    ),
    (lambda s: s["subject"].pop(), "files", "is present but not listed"),
    (_result("selected", 4), "findings", "disagrees with the statement: selected"),
    (_result("selected", "5"), "statement", "results.selected"),
    (_result("score", "99.00"), "findings", "score"),
    (_result("waivers", 0), "findings", "waivers"),
    (_set("predicate", "waivers", "count")(0), "findings", "waivers"),
    (_result("baselineCounts", None), "findings", "baseline counts"),
    (
        _drop("predicate", "results", "baselineCounts"),
        "statement",
        "baselineCounts: Field required",
    ),
    (_drop("predicate", "results", "counts", "error"), "statement", "a count for each of"),
    (
        lambda s: s["predicate"]["results"]["counts"].update({"fail": 1, "pass": 2}),
        "findings",
        "counts",
    ),
    (_result("counts", {"pass": -1}), "statement", "greater than or equal to 0"),
    (_result("arf", []), "findings", "the ARF: is missing"),
    (_result("arf", ["arf-9.xml"]), "findings", "arf-9.xml: is missing"),
    (_result("file", "host.json"), "findings", "host.json"),
    (_result("file", "no.json"), "findings", "no.json: is missing"),
    (_set("predicate", "target", "host", "hostname")("other"), "findings", "host"),
    (_set("predicate", "content", "profileId")("xccdf_weaker"), "findings", "content"),
    (_set("predicate", "content", "selectedRulesSha256")("0" * 64), "findings", "selected rules"),
    (_set("predicate", "target", "image")(None), "findings", "image"),
    (_set("predicate", "checks", "counts", "failed")(0), "findings", "checks"),
    (_set("predicate", "smoke", "verdict")("fail"), "findings", "smoke.json: disagrees"),
    (_set("predicate", "scan", "finished")("2026-11-21T04:06:00Z"), "findings", "times"),
    (_set("predicate", "scan", "finished")("2026-11-21 04:06:00"), "statement", "finished"),
    (_set("predicate", "scan", "profile")("strict"), "findings", "profile"),
    (_drop("predicate", "target"), "statement", "predicate.target: Field required"),
]


@pytest.mark.parametrize(
    ("change", "check", "message"),
    STATEMENTS,
    ids=[f"{i}-{x[2]}" for i, x in enumerate(STATEMENTS)],
)
def test_signed_inconsistent_statement_is_rejected(
    lab: EvidenceFixture, change: Callable[[Any], object], check: str, message: str
) -> None:
    _refused(lab, lab.resign_changed(change), check, message)


@pytest.mark.parametrize(
    "payload",
    [b"{}", b"[]", b"null", b"", b"\xff", b'{"a":NaN}', b"[" * 5000, b'{"a":1,"a":1}', b"9" * 9999],
    ids=ascii,
)
def test_signed_non_statement_payload_is_rejected(lab: EvidenceFixture, payload: bytes) -> None:
    _refused(lab, lab.sign_payload(payload), "statement", "statement")


def test_evidence_without_arf_verifies_if_every_rule_is_an_error(
    lab: EvidenceFixture, tmp_path: Path
) -> None:
    failed = tuple(replace(r, verdict=Verdict.ERROR) for r in samples.RULES)
    changed_verdict = (replace(failed[0], verdict=Verdict.PASS), *failed[1:])

    def write(rules: tuple[RuleResult, ...]) -> Path:
        evaluation = replace(samples.slim_scan().evaluation, results=rules)
        scan = samples.slim_scan(evaluation=evaluation, raw={}, waivers={})
        return samples.write_evidence(scan, lab.scan, tmp_path)

    assert lab.verify(write(failed)).findings.counts["error"] == len(failed)
    _refused(lab, write(changed_verdict), "findings", "the ARF: is missing")


def test_unknown_predicate_fields_are_accepted(lab: EvidenceFixture) -> None:
    def add(s: Any) -> None:
        s["predicate"]["later"] = {"x": 1}
        s["predicate"]["target"]["host"]["later"] = 1
        s["later"] = []

    assert lab.verify(lab.resign_changed(add)).key.id == "scan"


_WAIVER = {"reason": "it is fine", "owner": "me", "expires": "2027-11-30", "isActive": True}


def _findings(lab: EvidenceFixture, change: Callable[[Any], object]) -> Path:
    findings = json.loads(lab.read_files()["findings.json"])
    change(findings)
    return lab.resign_with_files({"findings.json": json.dumps(findings).encode()})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f["rules"].pop(), "selected, counts"),
        (lambda f: f["rules"].append(f["rules"][0]), "duplicate rules, selected, counts"),
        (_set("rules", 1, "verdict")("pass"), "counts"),
        (_set("rules", 1, "verdict")("PASS"), "rules.1.verdict"),
        (_set("rules", 1, "waiver")("it is fine"), "rules.1.waiver"),
        (_set("rules", 1, "waiver")(_WAIVER), "waivers"),
        (_set("rules", 1, "waiver")({**_WAIVER, "expires": "soon"}), "rules.1.waiver.expires"),
        (_set("rules", 1, "ruleId")("xccdf_other"), "selected rules"),
        (_set("counts", "fail")(0), "counts"),
        (_set("schemaVersion")("9"), "schemaVersion"),
        (_set("fips", "kernelFipsFlag")("off"), "FIPS flag"),
        (_set("fips", "kernelFipsFlag")("ON"), "fips.kernelFipsFlag"),
        (_set("fips", "modules", 0, "state")("certified"), "fips.modules.0.state"),
        (lambda f: f.clear(), "Field required"),
    ],
)
def test_findings_must_agree_with_statement(
    lab: EvidenceFixture, change: Callable[[Any], object], message: str
) -> None:
    _refused(lab, _findings(lab, change), "findings", message)


def test_scan_without_applicable_rules_is_rejected(lab: EvidenceFixture, tmp_path: Path) -> None:
    rules = tuple(replace(r, verdict=Verdict.NOT_APPLICABLE) for r in samples.RULES)
    for results, message in ((rules, "every rule is notapplicable"), ((), "nothing was scanned")):
        scan = samples.slim_scan()
        scan = replace(
            scan,
            evaluation=replace(scan.evaluation, results=results),
            waivers={},
            waiver_records=(),
        )

        _refused(lab, samples.write_evidence(scan, lab.scan, tmp_path), "findings", message)


FINISHED = datetime(2026, 11, 21, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "check", "message"),
    [
        (FINISHED - timedelta(seconds=300), None, ""),
        (FINISHED - timedelta(seconds=301), "time", "ends in the future"),
        (FINISHED + timedelta(hours=24), None, ""),
        (FINISHED + timedelta(hours=24, seconds=1), "age", "the policy allows 24 hours"),
    ],
)
def test_scan_age_and_future_time_are_checked(
    lab: EvidenceFixture, now: datetime, check: str | None, message: str
) -> None:
    if check is None:
        assert lab.verify(lab.valid_path, "max_age_hours: 24\n", now=now).is_within_thresholds
        return
    with pytest.raises(VerificationError, match=message):
        lab.verify(lab.valid_path, "max_age_hours: 24\n", now=now)


@pytest.mark.parametrize(
    ("started", "finished", "check", "message"),
    [
        ("2026-11-21T04:10:00Z", "2026-11-21T04:05:00Z", "time", "ends before it begins"),
        ("2025-11-21T04:10:00Z", "2025-11-21T04:15:00Z", "key-window", "is not trusted for"),
        ("2026-13-41T04:10:00Z", "2026-11-21T04:15:00Z", "time", "invalid time"),
    ],
)
def test_inconsistent_times_are_rejected(
    lab: EvidenceFixture, tmp_path: Path, started: str, finished: str, check: str, message: str
) -> None:
    scan = samples.slim_scan(started=started, finished=finished)

    _refused(lab, samples.write_evidence(scan, lab.scan, tmp_path), check, message)


@pytest.mark.parametrize(
    ("extra", "check", "message"),
    [
        ("nonce: " + "n" * 16, None, ""),
        ("nonce: " + "m" * 16, "nonce", "does not contain the policy's nonce"),
        (f"target: {{host_keys: ['{samples.HOST_KEY}']}}", None, ""),
        ("target: {host_keys: ['SHA256:" + "B" * 43 + "']}", "target", "host key SHA256:AAAA"),
        ("target: {machine_ids: ['" + "0" * 64 + "']}", "target", "machine id"),
        ("content: {source_sha256: ['" + samples.SHA + "']}", None, ""),
        ("content: {source_sha256: ['" + "0" * 64 + "']}", "content", "source"),
        ("content: {derived_sha256: ['" + "0" * 64 + "']}", "content", "derived data stream"),
        ("content: {profile_ids: [xccdf_weaker]}", "content", "profile xccdf_org"),
        ("image: {require_provenance: true, sha256: ['" + samples.SHA + "']}", None, ""),
        ("image: {sha256: ['" + "0" * 64 + "']}", "provenance", "not listed in the policy"),
    ],
)
def test_policy_rules_are_enforced(
    lab: EvidenceFixture, extra: str, check: str | None, message: str
) -> None:
    if check is None:
        assert lab.verify(lab.valid_path, extra).is_within_thresholds
    else:
        _refused(lab, lab.valid_path, check, message, extra)


@pytest.mark.parametrize(
    ("extra", "over"),
    [
        ("max_counts: {fail: 2, error: 0}\nmin_score: 61", ""),
        ("max_counts: {fail: 1}", "fail: 2, at most 1"),
        ("max_counts: {notchecked: 0, fail: 2}", "notchecked: 1, at most 0"),
        ("min_score: 61.01", "score: 61.00, at least 61.01"),
        ("max_open: {high: 0}", "open high: 1, at most 0"),
        ("max_open: {low: 0}", ""),
    ],
)
def test_exceeded_thresholds_do_not_raise(lab: EvidenceFixture, extra: str, over: str) -> None:
    verified = lab.verify(lab.valid_path, extra)
    limits = next(o for o in verified.records if o.check_id == "thresholds")

    assert verified.is_within_thresholds == (not over)
    assert limits.reason == over


def test_verify_reports_all_failed_checks(lab: EvidenceFixture) -> None:
    with pytest.raises(VerificationError) as caught:
        lab.verify(
            lab.valid_path, "nonce: " + "m" * 16 + "\nmax_age_hours: 1", now=NOW + timedelta(9)
        )

    assert "age: " in str(caught.value)
    assert "nonce: " in str(caught.value)


def test_provenance_requires_build_key_and_image_subject(
    lab: EvidenceFixture, tmp_path: Path
) -> None:
    evil = create_signer(tmp_path / "evil.pem")
    other = samples.image(lab.build)
    swapped = replace(other, provenance=sign(b"{}", lab.build).bundle)
    a_list = replace(
        other,
        provenance=sign(b"[]", lab.build).bundle,
        provenance_statement_sha256=sha256_bytes(b"[]"),
    )
    cases = (
        (samples.image(lab.scan), "not by any of the 1 keys"),
        (samples.image(evil), "not by any of the 1 keys"),
        (samples.image(lab.build, sha256="0" * 64), "the provenance does not cover image"),
        (samples.image(lab.build, predicateType="x"), "predicateType: expected"),
        (samples.image(lab.build, _type="x"), "_type: expected"),
        (samples.image(lab.build, subject=[]), "expected at least one"),
        (samples.image(lab.build, subject={"name": "lab.qcow2"}), "expected at least one"),
        (a_list, "_type: expected"),
        (samples.image(lab.build, subject=[{"name": "x"}]), "Field required"),
        (
            samples.image(
                lab.build, subject=[{"name": "x", "digest": {"sha256": samples.SHA}}] * 2
            ),
            "a name appears twice",
        ),
        (swapped, "does not match the digest in the statement"),
        (replace(other, provenance=b"{}"), "mediaType is missing"),
    )
    for ref, message in cases:
        path = samples.write_evidence(samples.slim_scan(image=ref), lab.scan, tmp_path)

        _refused(lab, path, "provenance", message)


def _without_build_key(lab: EvidenceFixture) -> ResolvedPolicy:
    text = lab.ring.policy.read_text().partition("# More than this")[0]
    path = lab.ring.policy.with_name("scan-only.yaml")
    path.write_text(text[: text.index("  - id: build")])
    return load_trust_policy(path)


def test_provenance_without_build_key_is_reported_unverified(lab: EvidenceFixture) -> None:
    verified = verify(lab.valid_path, _without_build_key(lab), now=NOW)

    assert {o.check_id: (o.status, o.reason) for o in verified.records}["provenance"] == (
        "not checked",
        "NOT VERIFIED: the policy names no key of role build for the image's provenance",
    )


def test_unverified_provenance_must_name_the_image(lab: EvidenceFixture, tmp_path: Path) -> None:
    trust = _without_build_key(lab)
    iso = {"name": "lab.iso", "digest": {"sha256": samples.SHA}}
    cases = (
        (samples.image(lab.scan, sha256="0" * 64), "the provenance does not cover image"),
        (samples.image(lab.scan, subject=[iso]), "that is lab.iso, which is not a disk image"),
        (samples.image(lab.scan, predicateType="x"), "predicateType: expected"),
    )
    for ref, message in cases:
        path = samples.write_evidence(samples.slim_scan(image=ref), lab.scan, tmp_path)
        with pytest.raises(VerificationError, match=message):
            verify(path, trust, now=NOW)
    assert len(cases) == 3


@pytest.mark.parametrize(
    ("name", "media_type", "kind"),
    [
        ("lab.qcow2", "", QCOW2),
        ("lab.qcow2", QCOW2, QCOW2),
        ("lab.raw", "", RAW),
        ("lab.img", RAW, RAW),
        ("lab", RAW, RAW),
        ("lab.iso", "", ISO),
        ("lab.iso", QCOW2, ""),
        ("lab.qcow2", RAW, ""),
        ("lab.qcow2", ISO, ""),
        ("sbom.cdx.json", "", ""),
        ("lab.qcow2.sha256", "", ""),
        ("kickstart", "text/plain", "text/plain"),
    ],
)
def test_provenance_subject_media_type_follows_name_and_field(
    name: str, media_type: str, kind: str
) -> None:
    subject = {"name": name, "digest": {"sha256": "0" * 64}, "mediaType": media_type}

    assert ProvenanceSubject.model_validate(subject).effective_media_type == kind


@pytest.mark.parametrize("field", ["name", "sha256", "provenanceStatementSha256"])
def test_findings_image_must_match_statement(lab: EvidenceFixture, field: str) -> None:
    changed = {"name": "other.qcow2"}.get(field, "0" * 64)
    path = _findings(lab, lambda f: f["image"].update({field: changed}))

    _refused(lab, path, "findings", "disagrees with the statement: image")


@pytest.mark.parametrize("trust", HostKeyTrust)
def test_policy_requires_verified_host_key(
    lab: EvidenceFixture, tmp_path: Path, trust: HostKeyTrust
) -> None:
    host = replace(samples.HOST, host_key_trust=trust)
    path = samples.write_evidence(samples.slim_scan(host=host), lab.scan, tmp_path)
    settings = "target: {require_verified_host_key: true}\n"
    message = HOST_KEY_TRUST_TEXT[trust.value]

    outcomes = {o.check_id: (o.status, o.reason) for o in lab.verify(path).records}
    assert outcomes["host-key"] == ("skipped", f"{message}; the policy allows it")
    if trust in (HostKeyTrust.FIRST_USE, HostKeyTrust.UNKNOWN):
        _refused(lab, path, "host-key", f"was known before the scan: {message}", settings)
    else:
        outcomes = {o.check_id: (o.status, o.reason) for o in lab.verify(path, settings).records}
        assert outcomes["host-key"] == ("ok", message)


@pytest.mark.parametrize(
    ("waivers", "is_within"),
    [
        ("", True),
        ("waivers: [r003]\n", True),
        (f"waivers: [{samples.RULES[2].rule_id}]\n", True),
        ("waivers: ['*_r00[0-9]']\n", True),
        ("waivers: [r001, RHEL-09-000000]\n", False),
        ("waivers: []\n", False),
    ],
)
def test_policy_names_the_waivers_that_it_accepts(
    lab: EvidenceFixture, waivers: str, is_within: bool
) -> None:
    verified = lab.verify(lab.valid_path, f"max_open: {{medium: 0}}\n{waivers}")

    outcomes = {o.check_id: (o.status, o.reason) for o in verified.records}
    assert verified.is_within_thresholds is is_within
    assert outcomes["thresholds"] == (
        ("ok", "") if is_within else ("exceeded", "open medium: 1, at most 0")
    )


@pytest.mark.parametrize(
    ("settings", "status", "text"),
    [
        ("", "skipped", "the policy allows any tailoring: tailoring.yaml sha256"),
        ("content: {require_untailored: true}\n", "fail", "the policy requires untailored"),
        (f"content: {{tailoring_sha256: ['{'0' * 64}']}}\n", "fail", "is not listed"),
        (f"content: {{profile_ids: [{samples.TAILORING.profile_id}]}}\n", "fail", "is not listed"),
        (f"content: {{tailoring_sha256: [{samples.TAILORING.sha256}]}}\n", "ok", "1 rule not"),
    ],
)
def test_policy_decides_on_tailoring(
    lab: EvidenceFixture, tmp_path: Path, settings: str, status: str, text: str
) -> None:
    scan = samples.tailored_scan(samples.slim_scan())
    path = samples.write_evidence(scan, lab.scan, tmp_path)

    if status == "fail":
        _refused(lab, path, "tailoring", text, settings)
        return
    outcomes = {o.check_id: (o.status, o.reason) for o in lab.verify(path, settings).records}
    assert outcomes["tailoring"][0] == status
    assert text in outcomes["tailoring"][1]


def test_untailored_evidence_passes_the_tailoring_check(lab: EvidenceFixture) -> None:
    verified = lab.verify(lab.valid_path, "content: {require_untailored: true}\n")

    outcomes = {o.check_id: (o.status, o.reason) for o in verified.records}
    assert outcomes["tailoring"] == ("ok", "the profile is not tailored")


def test_host_without_key_is_identified_by_machine_id(lab: EvidenceFixture, tmp_path: Path) -> None:
    host = replace(
        samples.HOST, host_key_type="", host_key_sha256="", host_key_trust=HostKeyTrust.LOCAL
    )
    path = samples.write_evidence(samples.slim_scan(host=host), lab.scan, tmp_path)
    machine = host.machine_id_hmac

    settings = f"target: {{machine_ids: ['{machine}']}}\n"
    outcomes = {o.check_id: (o.status, o.reason) for o in lab.verify(path, settings).records}
    assert outcomes["target"] == ("ok", f"no host key, machine id {machine}")
    settings = f"target: {{host_keys: ['{samples.HOST_KEY}']}}\n"
    _refused(lab, path, "target", f"no host key, machine id {machine} is not listed", settings)
    settings = "target: {require_verified_host_key: true}\n"
    _refused(lab, path, "host-key", "was known before: the host has none", settings)


def test_only_local_scan_may_lack_host_key(lab: EvidenceFixture, tmp_path: Path) -> None:
    host = replace(samples.HOST, host_key_sha256="", host_key_trust=HostKeyTrust.KNOWN_HOSTS)

    with pytest.raises(ValueError, match="only a local scan has no host key"):
        samples.write_evidence(samples.slim_scan(host=host), lab.scan, tmp_path)


def test_policy_requires_listed_image(lab: EvidenceFixture, tmp_path: Path) -> None:
    path = samples.write_evidence(samples.slim_scan(), lab.scan, tmp_path)

    assert lab.verify(path).is_within_thresholds
    for settings in ("require_provenance: true", f"sha256: ['{samples.SHA}']"):
        _refused(lab, path, "provenance", "names none", f"image: {{{settings}}}")


def test_non_evidence_file_is_rejected(lab: EvidenceFixture, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")

    _refused(lab, tmp_path / "x", "archive", "not an evidence archive")
    with pytest.raises(InputError, match="cannot be read"):
        lab.verify(tmp_path / "no")


def test_read_unverified_requires_consistent_parts(lab: EvidenceFixture, tmp_path: Path) -> None:
    evil = create_signer(tmp_path / "evil.pem")

    assert (
        read_unverified(lab.sign_payload(lab.read_statement(), signer=evil)).findings.counts["fail"]
        == 2
    )
    with pytest.raises(VerificationError, match="disagrees"):
        read_unverified(lab.resign_changed(_result("selected", 4)))


def test_only_signature_files_are_unlisted(lab: EvidenceFixture) -> None:
    listed = {s["name"] for s in lab.read_statement()["subject"]}

    assert set(lab.read_files()) - listed == {*UNSIGNED, TEST_RESULT, OSCAL}
