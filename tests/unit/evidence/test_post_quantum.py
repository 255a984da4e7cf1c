"""Keys and algorithms that must match: cases 8, 9, 10, 13 and 25 of the specification."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hardpan.core import events
from hardpan.core.errors import InputError, TrustError
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy, load_trust_policy
from hardpan.scanners.evidence.sign import writer
from hardpan.scanners.evidence.verify.verification_log import VerificationError
from hardpan.scanners.evidence.verify.verifier import VerifiedEvidence, verify
from hardpan.signing import (
    DEFAULT_ALGORITHM,
    Signer,
    create_signer,
    load_pq_signer,
    load_signer,
    read_dsse,
    sign,
    sign_dsse,
)
from hardpan.workflow.key_set import create_keys
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import (
    KEYS_CREATED_AT,
    NOW,
    UNSIGNED,
    EvidenceFixture,
    with_derived_id,
)

PQ = "evidence.mldsa.dsse.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hybrid:
    """Evidence with both envelopes, and what a forger needs to take it apart."""

    lab: EvidenceFixture
    pq: Signer

    def trust(self, was: str = "", now: str = "") -> ResolvedPolicy:
        """The policy, with one text replaced."""
        text = self.lab.ring.policy.read_text()
        assert was in text
        path = self.lab.ring.policy.with_name("changed.yaml")
        path.write_text(text.replace(was, now).partition("# More than this")[0])
        return load_trust_policy(path)

    def resign(
        self,
        statement: Any = None,
        *,
        scan: Signer | None = None,
        pq: Signer | bytes | None = None,
    ) -> Path:
        """Sign all statements again, with the trusted keys by default."""
        files = self.lab.read_files()
        payload = files["statement.json"]
        if statement is not None:
            is_bytes = isinstance(statement, bytes)
            payload = statement if is_bytes else json.dumps(with_derived_id(statement)).encode()
        signed = sign(payload, scan or self.lab.scan)
        files |= zip(UNSIGNED, (signed.bundle, signed.payload, signed.signature), strict=True)
        files[PQ] = pq if isinstance(pq, bytes) else sign_dsse(payload, pq or self.pq)
        return self.lab.pack(files)

    def without(self, name: str = PQ) -> Path:
        """A file removed."""
        return self.lab.pack({n: d for n, d in self.lab.read_files().items() if n != name})

    def expecting(self, *signatures: str) -> Any:
        """The statement with another list of expected signatures."""
        statement = self.lab.read_statement()
        statement["predicate"]["signaturesExpected"] = list(signatures)
        return statement

    def check(self, path: Path, trust: ResolvedPolicy | None = None) -> VerifiedEvidence:
        """``path`` against the policy."""
        return verify(path, trust or self.trust(), now=NOW)


def _hybrid(folder: Path, *, alg: str = DEFAULT_ALGORITHM, pq_alg: str = "ml-dsa-65") -> Hybrid:
    ring = create_keys(folder / "keys", now=KEYS_CREATED_AT, alg=alg, pq_alg=pq_alg)
    assert ring.pq is not None
    scan, build, pq = load_signer(ring.scan), load_signer(ring.build), load_pq_signer(ring.pq)
    out = folder / "lab.evidence.zip"
    good = writer.write_evidence(
        samples.scan(image=samples.image(build)),
        scan,
        out,
        events.discard,
        nonce="n" * 16,
        pq_signer=pq,
    )
    return Hybrid(
        lab=EvidenceFixture(folder=folder, ring=ring, scan=scan, build=build, valid_path=good),
        pq=pq,
    )


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Hybrid:
    return _hybrid(tmp_path_factory.mktemp("hybrid"))


def _outcome(verified: VerifiedEvidence, check: str = "post-quantum") -> tuple[str, str]:
    return next((o.status, o.reason) for o in verified.records if o.check_id == check)


def _refused(
    hybrid: Hybrid, path: Path, check: str, message: str, trust: ResolvedPolicy | None = None
) -> None:
    with pytest.raises(VerificationError) as caught:
        hybrid.check(path, trust)
    failed = {o.check_id: o.reason for o in caught.value.records if o.status == "fail"}

    assert list(failed) == [check]
    assert message in failed[check]


@pytest.mark.parametrize(
    ("alg", "pq_alg"), [(DEFAULT_ALGORITHM, "ml-dsa-65"), ("rsa-pkcs1v15-sha256", "ml-dsa-87")]
)
def test_hybrid_evidence_verifies(tmp_path: Path, alg: str, pq_alg: str) -> None:
    hybrid = _hybrid(tmp_path, alg=alg, pq_alg=pq_alg)
    verified = hybrid.check(hybrid.lab.valid_path)

    assert _outcome(verified) == ("ok", f"key 'scan-pq', {pq_alg}")
    assert verified.statement.predicate.signatures_expected == (alg, pq_alg)
    assert verified.key.alg == alg
    assert hybrid.lab.valid_path.with_name("lab.pq.pub").read_text() == hybrid.pq.public.pem
    envelope = json.loads(hybrid.lab.read_files()[PQ])
    assert (
        envelope["payload"] == base64.b64encode(hybrid.lab.read_files()["statement.json"]).decode()
    )
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert [s["keyid"] for s in envelope["signatures"]] == [""]


def test_missing_post_quantum_signature_is_skipped_with_reason(lab: EvidenceFixture) -> None:
    assert _outcome(lab.verify(lab.valid_path)) == (
        "skipped",
        "there is none, and the policy does not require one",
    )


# Case 25: downgrade.


def test_removed_post_quantum_envelope_is_detected(
    hybrid: Hybrid,
) -> None:
    message = f"{PQ}: was removed: the statement expects ml-dsa-65"

    _refused(hybrid, hybrid.without(), "post-quantum", message)
    lax = hybrid.trust("require_pq: true", "require_pq: false")
    _refused(hybrid, hybrid.without(), "post-quantum", message, lax)


def test_required_post_quantum_signature_is_enforced(
    hybrid: Hybrid,
) -> None:
    path = writer.write_evidence(
        samples.scan(), hybrid.lab.scan, hybrid.lab.folder / "plain.evidence.zip", events.discard
    )

    _refused(hybrid, path, "post-quantum", f"the policy requires {PQ}, and there is none")


def test_unexpected_post_quantum_envelope_is_rejected(hybrid: Hybrid) -> None:
    path = hybrid.resign(hybrid.expecting(DEFAULT_ALGORITHM))

    _refused(hybrid, path, "post-quantum", f"{PQ}: is present, but the statement expects none")


def test_post_quantum_envelope_over_other_statement_is_rejected(hybrid: Hybrid) -> None:
    other = sign_dsse(b'{"_type":"other"}', hybrid.pq)

    _refused(
        hybrid, hybrid.resign(pq=other), "post-quantum", "does not sign the statement in the bundle"
    )


def test_post_quantum_envelope_by_other_key_is_rejected(hybrid: Hybrid, tmp_path: Path) -> None:
    create_signer(tmp_path / "evil.pem", alg="ml-dsa-65")
    evil = load_pq_signer(tmp_path / "evil.pem")

    _refused(hybrid, hybrid.resign(pq=evil), "post-quantum", "not by any of the 1 keys trusted")


def test_post_quantum_signature_without_policy_key_is_reported_unverified(hybrid: Hybrid) -> None:
    text = hybrid.lab.ring.policy.read_text()
    start, end = text.index("  - id: scan-pq"), text.index("# More than this")
    trust = hybrid.trust(text[start:end])

    assert _outcome(hybrid.check(hybrid.lab.valid_path, trust)) == (
        "not checked",
        "NOT VERIFIED: the policy has no key of role scan-pq for this ml-dsa-65 signature",
    )


def test_post_quantum_key_outside_validity_is_rejected(hybrid: Hybrid) -> None:
    text = hybrid.lab.ring.policy.read_text()
    part = text[text.index("  - id: scan-pq") : text.index("# Evidence without")]
    trust = hybrid.trust(part, part.replace("not_before: 2026-", "not_before: 2027-"))

    _refused(
        hybrid, hybrid.lab.valid_path, "post-quantum", "key 'scan-pq' is not trusted for", trust
    )


def _in_pq(change: Callable[[Any], object]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        value = json.loads(data)
        change(value)
        return json.dumps(value).encode()

    return changed


def _sig(value: str) -> Callable[[bytes], bytes]:
    return _in_pq(lambda x: x["signatures"][0].update(sig=value))


def _half(x: Any) -> None:
    signature = x["signatures"][0]
    signature["sig"] = base64.b64encode(base64.b64decode(signature["sig"])[:1000]).decode()


# Case 8, for the second envelope; the classical one's rows are in test_envelope.py.
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_sig(""), "sig: expected a signature of 1 to 4627 bytes, got 0 bytes"),
        (_sig(base64.b64encode(bytes(4628)).decode()), "got 4628 bytes"),
        (_sig(base64.b64encode(bytes(3309)).decode()), "not by any of the 1 keys"),
        (_in_pq(_half), "not by any of the 1 keys"),
        (_in_pq(lambda x: x.update(signatures=[])), "expected exactly one signature"),
        (_in_pq(lambda x: x["signatures"].append(x["signatures"][0])), "exactly one signature"),
        (_in_pq(lambda x: x["signatures"][0].pop("sig")), "sig is missing"),
        (_in_pq(lambda x: x.update(payloadType="application/json")), "payloadType: expected"),
        (_in_pq(lambda x: x.update(mediaType="x")), "unknown field 'mediaType'"),
        (lambda d: d[:-1], "not strict JSON"),
        (lambda d: d + b"{}", "not strict JSON"),
        (lambda d: d + b" " * 4096, "for its content"),
        (lambda _: b"", "not strict JSON"),
    ],
)
def test_damaged_post_quantum_envelope_is_rejected(
    hybrid: Hybrid, change: Callable[[bytes], bytes], message: str
) -> None:
    path = hybrid.resign(pq=change(hybrid.lab.read_files()[PQ]))

    _refused(hybrid, path, "post-quantum", message)


# Case 9: an unknown key under the trusted key's name.
def test_copied_hint_and_keyid_are_ignored(hybrid: Hybrid, tmp_path: Path) -> None:
    evil = create_signer(tmp_path / "evil.pem")
    files = hybrid.lab.read_files()
    signed = sign(files["statement.json"], evil)
    forged = json.loads(signed.bundle)
    real = json.loads(files["evidence.sigstore.json"])
    forged["verificationMaterial"] = real["verificationMaterial"]
    files["evidence.sigstore.json"] = json.dumps(forged).encode()
    files["statement.sig"] = signed.signature

    _refused(hybrid, hybrid.lab.pack(files), "signature", "not by any of the 1 keys trusted for it")


# Case 10: a trusted key in a role that is not its own.
def test_build_key_cannot_sign_hybrid_scan(hybrid: Hybrid) -> None:
    _refused(hybrid, hybrid.resign(scan=hybrid.lab.build), "signature", "not by any of the 1 keys")


@pytest.mark.parametrize(
    ("role", "alg", "message"),
    [
        ("scan", "ml-dsa-65", "keys[2].alg: ml-dsa-65 is only for the role scan-pq"),
        ("build", "ml-dsa-65", "keys[2].alg: ml-dsa-65 is only for the role scan-pq"),
        ("scan-pq", DEFAULT_ALGORITHM, f"keys[2].alg: {DEFAULT_ALGORITHM} cannot sign as scan-pq"),
        (
            "scan-pq",
            "ml-dsa-87",
            "keys[2].alg: expected ml-dsa-65, the key's algorithm, got ml-dsa-87",
        ),
        ("scan-pq", "ml-dsa-44", "keys[2].alg: expected ecdsa"),
    ],
)
def test_policy_rejects_key_role_and_algorithm_mismatch(
    hybrid: Hybrid, role: str, alg: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        hybrid.trust("role: scan-pq\n    alg: ml-dsa-65", f"role: {role}\n    alg: {alg}")
    assert message in str(caught.value)


# Case 13: algorithm confusion.
@pytest.mark.parametrize(
    "alg", ["rsa-pkcs1v15-sha256", "ed25519", "ecdsa-p256-sha384", "rsa-pss-sha256", ""]
)
def test_policy_algorithm_must_match_key(hybrid: Hybrid, alg: str) -> None:
    with pytest.raises(InputError, match=r"trust|changed") as caught:
        hybrid.trust(f"role: scan\n    alg: {DEFAULT_ALGORITHM}", f"role: scan\n    alg: {alg!r}")
    assert "keys[0].alg: " in str(caught.value)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (
            ("rsa-pkcs1v15-sha256", "ml-dsa-65"),
            "expects rsa-pkcs1v15-sha256, the bundle is signed with ecdsa",
        ),
        (("ml-dsa-65",), "expects no classical signature, the bundle is signed with"),
        (
            (DEFAULT_ALGORITHM, DEFAULT_ALGORITHM, "ml-dsa-65"),
            f"expects {DEFAULT_ALGORITHM}, {DEFAULT_ALGORITHM}, the bundle",
        ),
        (
            (DEFAULT_ALGORITHM, "ml-dsa-65", "ml-dsa-87"),
            "expects ml-dsa-65, ml-dsa-87; at most one",
        ),
        ((DEFAULT_ALGORITHM, "ml-dsa-87"), "the statement expects ml-dsa-87, got ml-dsa-65"),
        ((DEFAULT_ALGORITHM, "rot13"), "expects an unknown signature: 'rot13'"),
        ((DEFAULT_ALGORITHM, "none"), "expects an unknown signature: 'none'"),
    ],
)
def test_statement_rejects_other_signatures_than_expected(
    hybrid: Hybrid, expected: tuple[str, ...], message: str
) -> None:
    _refused(hybrid, hybrid.resign(hybrid.expecting(*expected)), "post-quantum", message)


@pytest.mark.parametrize("expected", [[], None, "ecdsa-p256-sha256", [1]])
def test_statement_without_expected_signatures_is_malformed(
    hybrid: Hybrid, expected: object
) -> None:
    statement = hybrid.lab.read_statement()
    statement["predicate"]["signaturesExpected"] = expected

    with pytest.raises(VerificationError, match="signaturesExpected"):
        hybrid.check(hybrid.resign(statement))


def test_policy_requires_key_for_require_pq(hybrid: Hybrid) -> None:
    text = hybrid.lab.ring.policy.read_text()
    part = text[text.index("  - id: scan-pq") : text.index("# Evidence without")]

    with pytest.raises(InputError, match="require_pq: no key has the role scan-pq"):
        hybrid.trust(part)


def test_mutated_post_quantum_envelope_never_changes_statement(hybrid: Hybrid) -> None:
    envelope = hybrid.lab.read_files()[PQ]
    good = hybrid.lab.read_files()["statement.json"]
    accepted = 0
    for at in range(0, len(envelope), 41):
        flip = envelope[:at] + bytes([envelope[at] ^ 1]) + envelope[at + 1 :]
        for mutant in (flip, envelope[:at], envelope[:at] + envelope[at + 1 :]):
            try:
                payload, _ = read_dsse(mutant, label="x").verify(hybrid.pq.public)
            except TrustError:
                continue
            accepted += 1
            assert payload == good
    assert accepted == 0
