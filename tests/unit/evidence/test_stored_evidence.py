"""What a ledger stores of evidence, bent by whoever may write to the ledger."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardpan.core.errors import TrustError
from hardpan.core.files import sha256_bytes
from hardpan.scanners.evidence.archive import EvidenceArchive
from hardpan.scanners.evidence.file_names import CMS, HOST_SIGNATURE, PQ_ENVELOPE, PROVENANCE
from hardpan.scanners.evidence.statement.model import read_statement
from hardpan.scanners.evidence.verify.stored import StoredEvidence, collect_signature_files
from hardpan.scanners.evidence.verify.verification_log import VerificationError
from hardpan.scanners.evidence.verify.verifier import (
    VerifiedEvidence,
    verify,
    verify_stored,
)
from hardpan.scanners.report.model.sections import RulePart
from hardpan.signing import Signer, create_signer, load_pq_signer
from tests.tamper.kit import NOW, Evidence, Files, TamperKit, create_kit, pack
from tests.tools import sshsig
from tests.unit.evidence import samples

NOTHING_REQUIRED: dict[str, Any] = {"target": None, "image": None}


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> TamperKit:
    return create_kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="module")
def pq(kit: TamperKit) -> Signer:
    create_signer(kit.folder / "keys" / "pq.pem", alg="ml-dsa-65")
    return load_pq_signer(kit.folder / "keys" / "pq.pem")


def _stored(kit: TamperKit, files: Files | None = None) -> StoredEvidence:
    """What enters a ledger when the evidence verifies."""
    path = pack(Evidence(files=files or kit.valid_files), kit.folder / "stored.evidence.zip")
    verified = verify(path, kit.load_policy({}), now=NOW)
    with EvidenceArchive(path) as archive, zipfile.ZipFile(path) as z:
        return StoredEvidence(
            statement=z.read("statement.json"),
            evidence_bundle=z.read("evidence.sigstore.json"),
            findings=verified.findings,
            smoke=verified.smoke,
            packages=tuple(z.read("packages.txt").decode().splitlines()),
            signature_files=collect_signature_files(archive, verified.statement.predicate),
        )


def _check(kit: TamperKit, stored: StoredEvidence, **policy: Any) -> VerifiedEvidence:
    return verify_stored(stored, kit.load_policy(policy), now=NOW, label="row 7")


def _without(stored: StoredEvidence, name: str) -> StoredEvidence:
    assert name in stored.signature_files
    return replace(
        stored, signature_files={n: d for n, d in stored.signature_files.items() if n != name}
    )


def _refused(
    kit: TamperKit, stored: StoredEvidence, check: str, message: str, **policy: Any
) -> None:
    with pytest.raises(VerificationError) as caught:
        _check(kit, stored, **policy)
    failed = {o.check_id: o.reason for o in caught.value.records if o.status == "fail"}

    assert list(failed) == [check]
    assert message in failed[check]
    assert str(caught.value) == f"row 7: {check}: {failed[check]}"


def test_stored_evidence_runs_the_same_checks(kit: TamperKit) -> None:
    stored = _stored(kit)
    outcomes = {o.check_id: (o.status, o.reason) for o in _check(kit, stored).records}

    assert set(stored.signature_files) == {CMS, HOST_SIGNATURE, PROVENANCE}
    assert {i: reason for i, (status, reason) in outcomes.items() if status == "not checked"} == {
        "archive": "the ledger does not store the file",
        "files": "the ledger does not store the reports",
        "test-result": "the ledger does not store evidence.test-result.sigstore.json",
        "oscal": "the ledger does not store assessment-results.dsse.json",
        "cms": "NOT VERIFIED: the policy names no authority for its certificate; "
        "the key is the statement's",
    }
    assert {i: reason for i, (status, reason) in outcomes.items() if status == "skipped"} == {
        "policy": "the policy has no expiry",
        "post-quantum": "there is none, and the policy does not require one",
        "host-key": "how the host key was known is not recorded; the policy allows it",
        "age": "checked for the newest scan only",
        "nonce": "checked for the newest scan only",
        "chain-position": "checked for the newest scan only",
        "content": "the policy names no content",
        "thresholds": "the policy sets no thresholds",
    }
    assert outcomes["detached-copies"] == ("ok", "checked as far as the ledger stores them")
    assert outcomes["findings"] == ("ok", "the ledger's compact copy")
    assert outcomes["host-signature"] == ("ok", f"host key {sshsig.fingerprint(kit.host_key)}")
    assert outcomes["provenance"] == ("ok", "image lab.qcow2, key 'build'")


def test_post_quantum_signature_is_stored_without_payload(kit: TamperKit, pq: Signer) -> None:
    stored = _stored(kit, kit.sign_scan(pq=pq))
    key = {**kit.policy_keys()[0], "id": "pq", "role": "scan-pq", "alg": "ml-dsa-65"}
    policy = {"keys": [*kit.policy_keys(), {**key, "spki": pq.public.pem}], "require_pq": True}
    checked = _check(kit, stored, **policy)

    assert len(stored.signature_files[PQ_ENVELOPE]) == 3309
    assert {o.check_id: o.reason for o in checked.records}["post-quantum"] == "key 'pq', ml-dsa-65"
    message = f"{PQ_ENVELOPE}: the policy requires it, and the ledger does not store it"
    _refused(kit, _without(stored, PQ_ENVELOPE), "post-quantum", message, **policy)
    lax = {o.check_id: o for o in _check(kit, _without(stored, PQ_ENVELOPE)).records}
    assert lax["post-quantum"].status == "not checked"
    assert lax["post-quantum"].reason == f"the ledger does not store {PQ_ENVELOPE}"
    for wrong in (b"", bytes(3309), bytes(9000)):
        bent = replace(stored, signature_files={**stored.signature_files, PQ_ENVELOPE: wrong})
        _refused(kit, bent, "post-quantum", "not by any of the 1 keys", **policy)
    none_expected = _stored(kit)
    more = replace(
        none_expected, signature_files={**none_expected.signature_files, PQ_ENVELOPE: bytes(3309)}
    )
    _refused(kit, more, "post-quantum", "is present, but the statement expects none", **policy)


@pytest.mark.parametrize(
    ("name", "check"), [(HOST_SIGNATURE, "host-signature"), (PROVENANCE, "provenance")]
)
def test_missing_required_signature_file_is_rejected(kit: TamperKit, name: str, check: str) -> None:
    stored = _without(_stored(kit), name)

    message = f"{name}: the policy requires it, and the ledger does not store it"
    _refused(kit, stored, check, message)
    lax = {o.check_id: o for o in _check(kit, stored, **NOTHING_REQUIRED).records}
    assert lax[check].status == "not checked"
    assert lax[check].reason == f"the ledger does not store {name}"


def test_missing_required_cms_signature_is_rejected(
    kit: TamperKit,
) -> None:
    stored, policy = _stored(kit), {"require_cms": {"roots": kit.tsa.pem}}

    message = f"{CMS}: the policy requires it, and the ledger does not store it"
    _refused(kit, _without(stored, CMS), "cms", message, **policy)
    large = replace(stored, signature_files={**stored.signature_files, CMS: bytes((64 << 10) + 1)})
    message = f"{CMS}: expected at most 65536 bytes, got 65537"
    _refused(kit, large, "cms", message, **policy)


def test_stored_cms_signature_is_checked_without_roots(kit: TamperKit) -> None:
    stored = _stored(kit)
    other = kit.sign_scan(nonce="o" * 16)[CMS]
    for data, message in (
        (b"hello", f"{CMS}: not DER"),
        (stored.signature_files[CMS] + b"\0", f"{CMS}: 1 bytes after its end"),
        (other, f"{CMS}: signs other content"),
    ):
        bent = replace(stored, signature_files={**stored.signature_files, CMS: data})
        _refused(kit, bent, "cms", message)
    never = _stored(kit, kit.sign_scan(certificate=False))
    added = replace(never, signature_files={**never.signature_files, CMS: other})
    _refused(kit, added, "cms", f"{CMS}: is stored, but the statement names none")
    assert CMS not in never.signature_files


def test_stored_post_quantum_signature_is_checked_without_key(kit: TamperKit, pq: Signer) -> None:
    stored = _stored(kit, kit.sign_scan(pq=pq))
    outcomes = {o.check_id: o for o in _check(kit, stored).records}

    assert outcomes["post-quantum"].status == "not checked"
    assert outcomes["post-quantum"].reason.startswith("NOT VERIFIED: the policy has no key")
    for data in (b"\xff" * 3309, bytes(3308), b""):
        bent = replace(stored, signature_files={**stored.signature_files, PQ_ENVELOPE: data})
        _refused(kit, bent, "post-quantum", PQ_ENVELOPE)


def test_stored_signature_file_must_match_statement_digest(kit: TamperKit) -> None:
    stored = _stored(kit)
    key = sshsig.fingerprint(kit.host_key)
    host = replace(samples.HOST, host_key_sha256=key, boot_id="another boot")
    other = kit.sign_scan(host=host)[HOST_SIGNATURE]
    for name in (HOST_SIGNATURE, PROVENANCE, "no such file"):
        bent = replace(stored, signature_files={**stored.signature_files, name: other})
        message = f"{name}: does not match the digest in the statement"
        _refused(kit, bent, "files", message, **NOTHING_REQUIRED)


def _rules(s: StoredEvidence, change: Callable[[tuple[RulePart, ...]], Any]) -> StoredEvidence:
    return replace(s, findings=s.findings.model_copy(update={"rules": change(s.findings.rules)}))


def _verdict(rule: RulePart, verdict: str) -> RulePart:
    return rule.model_copy(update={"verdict": verdict})


@pytest.mark.parametrize(
    ("change", "check", "message"),
    [
        (lambda s: replace(s, packages=s.packages[1:]), "files", "packages.txt: the stored list"),
        (lambda s: replace(s, packages=None), "files", "packages.txt: the stored list"),
        (lambda s: replace(s, packages=(*s.packages, "x\n")), "files", "packages.txt: the stored"),
        (
            lambda s: _rules(s, lambda r: (r[0], _verdict(r[1], "pass"), *r[2:])),
            "findings",
            "disagrees with the statement: counts",
        ),
        (lambda s: _rules(s, lambda r: r[:-1]), "findings", "selected, counts, selected rules"),
        (lambda s: replace(s, smoke=None), "findings", "smoke.json: disagrees"),
        (
            lambda s: replace(s, smoke=s.smoke.model_copy(update={"verdict": "fail"})),
            "findings",
            "smoke.json: disagrees with the statement: verdict",
        ),
        (
            lambda s: replace(s, statement=s.statement + b" "),
            "detached-copies",
            "the stored statement: not",
        ),
        (lambda s: replace(s, evidence_bundle=b"{}"), "bundle", "mediaType is missing"),
    ],
)
def test_stored_record_must_match_statement(
    kit: TamperKit,
    change: Callable[[StoredEvidence], StoredEvidence],
    check: str,
    message: str,
) -> None:
    _refused(kit, change(_stored(kit)), check, message)


def test_stored_record_rejects_added_smoke_test(kit: TamperKit) -> None:
    with_smoke = _stored(kit)
    stored = replace(_stored(kit, kit.sign_scan(smoke=None)), smoke=with_smoke.smoke)

    _refused(kit, stored, "findings", "smoke.json: disagrees with the statement: verdict")


def test_stored_record_rejects_other_bundle(kit: TamperKit) -> None:
    other = _stored(kit, kit.sign_scan(profile="other"))
    stored = replace(_stored(kit), evidence_bundle=other.evidence_bundle)

    _refused(
        kit, stored, "detached-copies", "the stored statement: not the statement in the bundle"
    )


def test_stored_record_reports_all_problems(kit: TamperKit) -> None:
    policy = {"expires": NOW, "content": {"profile_ids": ["x"]}}
    with pytest.raises(TrustError, match=r"^row 7: policy: .*; content: profile "):
        _check(kit, _stored(kit), **policy)


def test_collected_signature_files_equal_archive_files(kit: TamperKit, tmp_path: Path) -> None:
    path = pack(Evidence(files=kit.valid_files), tmp_path / "x.evidence.zip")
    claim = read_statement(kit.valid_files["statement.json"]).predicate
    with EvidenceArchive(path) as archive:
        assert {n: sha256_bytes(d) for n, d in collect_signature_files(archive, claim).items()} == {
            n: sha256_bytes(kit.valid_files[n]) for n in (CMS, HOST_SIGNATURE, PROVENANCE)
        }
