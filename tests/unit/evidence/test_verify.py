import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hardpan.errors import InputError
from hardpan.files import sha256_bytes
from hardpan.media_types import ISO, QCOW2, RAW
from hardpan.scanners.evidence.bindings import OSCAL, TEST_RESULT
from hardpan.scanners.evidence.checks import CHECKS, RefusedError
from hardpan.scanners.evidence.statement import BuiltFile
from hardpan.scanners.evidence.trust import Trust, load_policy
from hardpan.scanners.evidence.verify import open_unverified, verify
from hardpan.scanners.model import HostKeyTrust, Verdict
from hardpan.scanners.report.fields import HOST_KEY_TRUST
from hardpan.signing import new_signer, sign
from tests.unit.evidence import samples
from tests.unit.evidence.forge import NOW, UNSIGNED, Lab, b64, edit_bundle, regions


def _refused(lab: Lab, path: Path, check: str, said: str, extra: str = "") -> None:
    with pytest.raises(RefusedError) as caught:
        lab.verify(path, extra)
    outcomes = {o.id: o.outcome for o in caught.value.outcomes}

    assert outcomes[check] == "fail", outcomes
    assert said in str(caught.value)
    assert caught.value.exit_code == 6
    assert [o.id for o in caught.value.outcomes] == [i for i, _ in CHECKS]


def test_good_evidence_is_returned_with_every_check(lab: Lab) -> None:
    verified = lab.verify(lab.good)

    assert verified.key.id == "scan"
    assert verified.within_limits
    assert verified.findings.counts["fail"] == 2
    assert verified.statement_sha256 == sha256_bytes(lab.files()["statement.json"])
    assert [o.id for o in verified.outcomes] == [i for i, _ in CHECKS]
    assert {o.outcome for o in verified.outcomes} == {"ok", "skipped"}


def _failed(path: Path, trust: Trust) -> tuple[int, str]:
    """The exit code of the verification and the first check that fails, if one does."""
    try:
        verify(path, trust, now=NOW)
    except RefusedError as error:
        return int(error.exit_code), next(o.id for o in error.outcomes if o.outcome == "fail")
    return 0, ""


def test_every_file_with_a_flipped_byte_is_refused(lab: Lab) -> None:
    files, trust = lab.files(), lab.trust()
    failed: dict[str, set[str]] = {}
    for name, data in files.items():
        for at in {0, len(data) // 2, len(data) - 1}:
            flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            code, check = _failed(lab.put({**files, name: flipped}), trust)
            assert code == 6, name
            failed.setdefault(check, set()).add(name)

    assert set(failed) == {"bundle", "signature", "copies", "files", "test-result", "oscal"}
    assert failed["bundle"] | failed["signature"] == {"evidence.sigstore.json"}
    assert failed["copies"] == {"statement.json", "statement.sig"}
    assert failed["test-result"] == {TEST_RESULT}
    assert failed["oscal"] == {OSCAL}
    assert failed["files"] == {s["name"] for s in lab.statement()["subject"]}


def test_a_flipped_byte_names_its_file(lab: Lab) -> None:
    files = lab.files()
    files["arf-1.xml"] = files["arf-1.xml"].replace(b"<arf/>", b"<arg/>", 1)

    _refused(lab, lab.put(files), "files", "arf-1.xml: expected sha256")


@pytest.mark.parametrize(
    ("change", "check", "said"),
    [
        (lambda f: f.pop("arf-2.xml"), "files", "arf-2.xml: is listed but missing"),
        (lambda f: f.update({"more.txt": b""}), "files", "more.txt: is there but not listed"),
        (
            lambda f: f.update({"arf-1.xml": f["arf-2.xml"], "arf-2.xml": f["arf-1.xml"]}),
            "files",
            "arf-1.xml: expected sha256",
        ),
        (lambda f: f.pop("evidence.sigstore.json"), "bundle", "is missing from the evidence"),
        (lambda f: f.pop("statement.sig"), "copies", "statement.sig: is missing"),
        (lambda f: f.update({"statement.sig": b"x"}), "copies", "statement.sig: not the signature"),
        (
            lambda f: f.update({"statement.json": b"{}"}),
            "copies",
            "not the statement in the bundle",
        ),
    ],
)
def test_files_that_are_not_the_listed_ones_are_refused(
    lab: Lab, change: Callable[[dict[str, bytes]], object], check: str, said: str
) -> None:
    files = lab.files()
    change(files)

    _refused(lab, lab.put(files), check, said)


def test_a_changed_result_under_the_old_signature_is_refused(lab: Lab) -> None:
    statement = lab.statement()
    statement["predicate"]["results"]["counts"]["fail"] = 0
    payload = json.dumps(statement).encode()
    files = edit_bundle(lab.files(), lambda b: b["dsseEnvelope"].update(payload=b64(payload)))

    _refused(lab, lab.put({**files, "statement.json": payload}), "signature", "not by any of the 1")


def test_an_unknown_key_that_borrows_the_trusted_hint_is_refused(lab: Lab, tmp_path: Path) -> None:
    path = lab.signed(lab.statement(), signer=new_signer(tmp_path / "evil.pem"))
    hint = lab.scan.public.hint
    files = edit_bundle(
        _files(path), lambda b: b["verificationMaterial"]["publicKey"].update(hint=hint)
    )

    _refused(lab, lab.put(files), "signature", "not by any of the 1 keys")


def test_the_build_key_may_not_sign_a_scan(lab: Lab) -> None:
    _refused(lab, lab.signed(lab.statement(), signer=lab.build), "signature", "not by any")


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
    (lambda s: s["subject"].pop(), "files", "is there but not listed"),
    (_result("selected", 4), "findings", "disagrees with the statement: selected"),
    (_result("selected", "5"), "statement", "results.selected"),
    (_result("score", "99.00"), "findings", "score"),
    (_result("waivers", 0), "findings", "waivers"),
    (_set("predicate", "waivers", "n")(0), "findings", "waivers"),
    (_result("before", None), "findings", "counts before"),
    (_drop("predicate", "results", "before"), "statement", "before: Field required"),
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
    ("change", "check", "said"), STATEMENTS, ids=[f"{i}-{x[2]}" for i, x in enumerate(STATEMENTS)]
)
def test_a_validly_signed_statement_that_does_not_hold_is_refused(
    lab: Lab, change: Callable[[Any], object], check: str, said: str
) -> None:
    _refused(lab, lab.changed(change), check, said)


@pytest.mark.parametrize(
    "payload",
    [b"{}", b"[]", b"null", b"", b"\xff", b'{"a":NaN}', b"[" * 5000, b'{"a":1,"a":1}', b"9" * 9999],
    ids=ascii,
)
def test_a_validly_signed_payload_that_is_no_statement_is_refused(lab: Lab, payload: bytes) -> None:
    _refused(lab, lab.signed(payload), "statement", "statement")


def test_an_unknown_field_in_the_predicate_passes(lab: Lab) -> None:
    def add(s: Any) -> None:
        s["predicate"]["later"] = {"x": 1}
        s["predicate"]["target"]["host"]["later"] = 1
        s["later"] = []

    assert lab.verify(lab.changed(add)).key.id == "scan"


_WAIVER = {"reason": "it is fine", "owner": "me", "expires": "2027-11-30", "holds": True}


def _findings(lab: Lab, change: Callable[[Any], object]) -> Path:
    findings = json.loads(lab.files()["findings.json"])
    change(findings)
    return lab.with_files({"findings.json": json.dumps(findings).encode()})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f["rules"].pop(), "selected, counts"),
        (lambda f: f["rules"].append(f["rules"][0]), "a rule twice, selected, counts"),
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
def test_findings_that_disagree_with_the_statement_are_refused(
    lab: Lab, change: Callable[[Any], object], said: str
) -> None:
    _refused(lab, _findings(lab, change), "findings", said)


def test_a_scan_in_which_nothing_applied_is_refused(lab: Lab, tmp_path: Path) -> None:
    rules = tuple(replace(r, verdict=Verdict.NOT_APPLICABLE) for r in samples.RULES)
    for results, said in ((rules, "every rule is notapplicable"), ((), "nothing was scanned")):
        made = samples.slim_scan()
        made = replace(made, evaluation=replace(made.evaluation, results=results), waivers={})

        _refused(lab, samples.write(made, lab.scan, tmp_path), "findings", said)


FINISHED = datetime(2026, 11, 21, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "check", "said"),
    [
        (FINISHED - timedelta(seconds=300), None, ""),
        (FINISHED - timedelta(seconds=301), "time", "ends in the future"),
        (FINISHED + timedelta(hours=24), None, ""),
        (FINISHED + timedelta(hours=24, seconds=1), "age", "the policy takes 24 hours"),
    ],
)
def test_the_scan_must_be_recent_and_past(
    lab: Lab, now: datetime, check: str | None, said: str
) -> None:
    if check is None:
        assert lab.verify(lab.good, "max_age_hours: 24\n", now=now).within_limits
        return
    with pytest.raises(RefusedError, match=said):
        lab.verify(lab.good, "max_age_hours: 24\n", now=now)


@pytest.mark.parametrize(
    ("started", "finished", "check", "said"),
    [
        ("2026-11-21T04:10:00Z", "2026-11-21T04:05:00Z", "time", "ends before it begins"),
        ("2025-11-21T04:10:00Z", "2025-11-21T04:15:00Z", "key-window", "is not trusted for"),
        ("2026-13-41T04:10:00Z", "2026-11-21T04:15:00Z", "time", "not a moment in time"),
    ],
)
def test_times_that_cannot_be_are_refused(
    lab: Lab, tmp_path: Path, started: str, finished: str, check: str, said: str
) -> None:
    made = samples.slim_scan(started=started, finished=finished)

    _refused(lab, samples.write(made, lab.scan, tmp_path), check, said)


@pytest.mark.parametrize(
    ("extra", "check", "said"),
    [
        ("nonce: " + "n" * 16, None, ""),
        ("nonce: " + "m" * 16, "nonce", "does not hold the policy's nonce"),
        (f"target: {{host_keys: ['{samples.HOST_KEY}']}}", None, ""),
        ("target: {host_keys: ['SHA256:" + "B" * 43 + "']}", "target", "host key SHA256:AAAA"),
        ("target: {machine_ids: ['" + "0" * 64 + "']}", "target", "machine id"),
        ("content: {source_sha256: ['" + samples.SHA + "']}", None, ""),
        ("content: {source_sha256: ['" + "0" * 64 + "']}", "content", "source"),
        ("content: {derived_sha256: ['" + "0" * 64 + "']}", "content", "derived data stream"),
        ("content: {profile_ids: [xccdf_weaker]}", "content", "profile xccdf_org"),
        ("image: {require_provenance: true, sha256: ['" + samples.SHA + "']}", None, ""),
        ("image: {sha256: ['" + "0" * 64 + "']}", "provenance", "not one that the policy names"),
    ],
)
def test_the_policy_decides(lab: Lab, extra: str, check: str | None, said: str) -> None:
    if check is None:
        assert lab.verify(lab.good, extra).within_limits
    else:
        _refused(lab, lab.good, check, said, extra)


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
def test_more_than_the_limits_is_an_answer_not_an_error(lab: Lab, extra: str, over: str) -> None:
    verified = lab.verify(lab.good, extra)
    limits = next(o for o in verified.outcomes if o.id == "limits")

    assert verified.within_limits == (not over)
    assert limits.why == over


def test_all_broken_promises_are_told_at_once(lab: Lab) -> None:
    with pytest.raises(RefusedError) as caught:
        lab.verify(lab.good, "nonce: " + "m" * 16 + "\nmax_age_hours: 1", now=NOW + timedelta(9))

    assert "age: " in str(caught.value)
    assert "nonce: " in str(caught.value)


def test_provenance_must_be_by_a_build_key_and_about_the_image(lab: Lab, tmp_path: Path) -> None:
    evil = new_signer(tmp_path / "evil.pem")
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
        (samples.image(lab.build, sha256="0" * 64), "the provenance is not about image"),
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
        (swapped, "not the one that the statement names"),
        (replace(other, provenance=b"{}"), "mediaType is missing"),
    )
    for ref, said in cases:
        path = samples.write(samples.slim_scan(image=ref), lab.scan, tmp_path)

        _refused(lab, path, "provenance", said)


def _without_build_key(lab: Lab) -> Trust:
    text = lab.ring.policy.read_text().partition("# More than this")[0]
    path = lab.ring.policy.with_name("scan-only.yaml")
    path.write_text(text[: text.index("  - id: build")])
    return load_policy(path)


def test_provenance_without_a_key_for_it_is_not_verified_and_says_so(lab: Lab) -> None:
    verified = verify(lab.good, _without_build_key(lab), now=NOW)

    assert {o.id: (o.outcome, o.why) for o in verified.outcomes}["provenance"] == (
        "not checked",
        "NOT VERIFIED: the policy names no key of role build for the image's provenance",
    )


def test_provenance_without_a_key_for_it_must_be_about_the_image(lab: Lab, tmp_path: Path) -> None:
    trust = _without_build_key(lab)
    iso = {"name": "lab.iso", "digest": {"sha256": samples.SHA}}
    cases = (
        (samples.image(lab.scan, sha256="0" * 64), "the provenance is not about image"),
        (samples.image(lab.scan, subject=[iso]), "that is lab.iso, which is no disk image"),
        (samples.image(lab.scan, predicateType="x"), "predicateType: expected"),
    )
    for ref, said in cases:
        path = samples.write(samples.slim_scan(image=ref), lab.scan, tmp_path)
        with pytest.raises(RefusedError, match=said):
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
def test_provenance_subject_is_what_name_and_media_type_say(
    name: str, media_type: str, kind: str
) -> None:
    subject = {"name": name, "digest": {"sha256": "0" * 64}, "mediaType": media_type}

    assert BuiltFile.model_validate(subject).kind == kind


@pytest.mark.parametrize("field", ["name", "sha256", "provenanceStatementSha256"])
def test_image_in_the_findings_must_be_the_statements(lab: Lab, field: str) -> None:
    changed = {"name": "other.qcow2"}.get(field, "0" * 64)
    path = _findings(lab, lambda f: f["image"].update({field: changed}))

    _refused(lab, path, "findings", "disagrees with the statement: image")


@pytest.mark.parametrize("trust", HostKeyTrust)
def test_host_key_must_be_known_before_the_scan_where_the_policy_wants_it(
    lab: Lab, tmp_path: Path, trust: HostKeyTrust
) -> None:
    host = replace(samples.HOST, host_key_trust=trust)
    path = samples.write(samples.slim_scan(host=host), lab.scan, tmp_path)
    wanted = "target: {require_known_host_key: true}\n"
    said = HOST_KEY_TRUST[trust.value]

    outcomes = {o.id: (o.outcome, o.why) for o in lab.verify(path).outcomes}
    assert outcomes["host-key"] == ("skipped", f"{said}; the policy allows it")
    if trust in (HostKeyTrust.FIRST_USE, HostKeyTrust.UNKNOWN):
        _refused(lab, path, "host-key", f"was known before the scan: {said}", wanted)
    else:
        known = {o.id: (o.outcome, o.why) for o in lab.verify(path, wanted).outcomes}
        assert known["host-key"] == ("ok", said)


def test_an_unknown_image_is_refused_when_the_policy_wants_one(lab: Lab, tmp_path: Path) -> None:
    path = samples.write(samples.slim_scan(), lab.scan, tmp_path)

    assert lab.verify(path).within_limits
    for wanted in ("require_provenance: true", f"sha256: ['{samples.SHA}']"):
        _refused(lab, path, "provenance", "names none", f"image: {{{wanted}}}")


def test_a_file_that_is_no_evidence_is_refused(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")

    _refused(lab, tmp_path / "x", "archive", "not an evidence archive")
    with pytest.raises(InputError, match="cannot be read"):
        lab.verify(tmp_path / "no")


def test_truncated_evidence_is_refused(lab: Lab, tmp_path: Path) -> None:
    whole, trust = lab.good.read_bytes(), lab.trust()
    failed = []
    for length in range(0, len(whole), 397):
        (tmp_path / "x").write_bytes(whole[:length])
        failed.append(_failed(tmp_path / "x", trust))

    assert failed == [(6, "archive")] * len(failed)
    assert len(failed) > 50


def test_a_flipped_byte_anywhere_is_refused_or_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    whole, trust, good = lab.good.read_bytes(), lab.trust(), lab.files()
    path = tmp_path / "x"
    accepted, refused = 0, set()
    for check, region in regions(lab.good):
        # Headers and the directory are structure; deflated bytes are all alike.
        for at in region[:: 7 if check == "archive" else 61]:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
            code, failed = _failed(path, trust)
            if code:
                assert (code, failed) == (6, check), f"byte {at}"
                refused.add(check)
            else:
                accepted += 1
                assert check != "archive", f"byte {at}"
                assert _files(path) == good, f"byte {at}"
    assert refused == {"archive", "bundle", "copies", "files", "oscal", "test-result"}
    assert accepted <= 2


def test_unverified_evidence_is_opened_only_when_its_parts_fit(lab: Lab, tmp_path: Path) -> None:
    evil = new_signer(tmp_path / "evil.pem")

    assert open_unverified(lab.signed(lab.statement(), signer=evil)).findings.counts["fail"] == 2
    with pytest.raises(RefusedError, match="disagrees"):
        open_unverified(lab.changed(_result("selected", 4)))


def _files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as z:
        return {n: z.read(n) for n in z.namelist()}


def test_the_unsigned_files_are_only_the_signature_and_its_copies(lab: Lab) -> None:
    listed = {s["name"] for s in lab.statement()["subject"]}

    assert set(lab.files()) - listed == {*UNSIGNED, TEST_RESULT, OSCAL}
