"""Keys and algorithms held against each other: cases 8, 9, 10, 13 and 25 of the specification."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hardpan import events
from hardpan.errors import InputError, TrustError
from hardpan.scanners.commands.keys import new_keys
from hardpan.scanners.evidence import bundle
from hardpan.scanners.evidence.checks import RefusedError
from hardpan.scanners.evidence.trust import Trust, load_policy
from hardpan.scanners.evidence.verify import Verified, verify
from hardpan.signing import (
    ALG,
    Signer,
    load_pq_signer,
    load_signer,
    new_signer,
    read_dsse,
    sign,
    sign_dsse,
)
from tests.unit.evidence import samples
from tests.unit.evidence.forge import KEYS_MADE, NOW, UNSIGNED, Lab, with_id

PQ = "evidence.mldsa.dsse.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hybrid:
    """Evidence with both envelopes, and what a forger needs to take it apart."""

    lab: Lab
    pq: Signer

    def trust(self, was: str = "", now: str = "") -> Trust:
        """The policy, with one text replaced."""
        text = self.lab.ring.policy.read_text()
        assert was in text
        path = self.lab.ring.policy.with_name("changed.yaml")
        path.write_text(text.replace(was, now).partition("# More than this")[0])
        return load_policy(path)

    def put(
        self,
        statement: Any = None,
        *,
        scan: Signer | None = None,
        pq: Signer | bytes | None = None,
    ) -> Path:
        """Everything signed anew, by the right keys where no others are given."""
        files = self.lab.files()
        payload = files["statement.json"]
        if statement is not None:
            is_bytes = isinstance(statement, bytes)
            payload = statement if is_bytes else json.dumps(with_id(statement)).encode()
        made = sign(payload, scan or self.lab.scan)
        files |= zip(UNSIGNED, (made.bundle, made.payload, made.signature), strict=True)
        files[PQ] = pq if isinstance(pq, bytes) else sign_dsse(payload, pq or self.pq)
        return self.lab.put(files)

    def without(self, name: str = PQ) -> Path:
        """A file removed."""
        return self.lab.put({n: d for n, d in self.lab.files().items() if n != name})

    def expecting(self, *signatures: str) -> Any:
        """The statement with another list of expected signatures."""
        statement = self.lab.statement()
        statement["predicate"]["signaturesExpected"] = list(signatures)
        return statement

    def check(self, path: Path, trust: Trust | None = None) -> Verified:
        """``path`` against the policy."""
        return verify(path, trust or self.trust(), now=NOW)


def _hybrid(folder: Path, *, alg: str = ALG, pq_alg: str = "ml-dsa-65") -> Hybrid:
    ring = new_keys(folder / "keys", now=KEYS_MADE, alg=alg, pq_alg=pq_alg)
    assert ring.pq is not None
    scan, build, pq = load_signer(ring.scan), load_signer(ring.build), load_pq_signer(ring.pq)
    out = folder / "lab.evidence.zip"
    good = bundle.write(
        samples.scan(image=samples.image(build)), scan, out, events.silent, nonce="n" * 16, pq=pq
    )
    return Hybrid(lab=Lab(folder=folder, ring=ring, scan=scan, build=build, good=good), pq=pq)


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Hybrid:
    return _hybrid(tmp_path_factory.mktemp("hybrid"))


def _outcome(verified: Verified, check: str = "post-quantum") -> tuple[str, str]:
    return next((o.outcome, o.why) for o in verified.outcomes if o.id == check)


def _refused(hybrid: Hybrid, path: Path, check: str, said: str, trust: Trust | None = None) -> None:
    with pytest.raises(RefusedError) as caught:
        hybrid.check(path, trust)
    failed = {o.id: o.why for o in caught.value.outcomes if o.outcome == "fail"}

    assert list(failed) == [check]
    assert said in failed[check]


@pytest.mark.parametrize(
    ("alg", "pq_alg"), [(ALG, "ml-dsa-65"), ("rsa-pkcs1v15-sha256", "ml-dsa-87")]
)
def test_evidence_with_both_envelopes_verifies(tmp_path: Path, alg: str, pq_alg: str) -> None:
    made = _hybrid(tmp_path, alg=alg, pq_alg=pq_alg)
    verified = made.check(made.lab.good)

    assert _outcome(verified) == ("ok", f"key 'scan-pq', {pq_alg}")
    assert verified.statement.predicate.signatures_expected == (alg, pq_alg)
    assert verified.key.alg == alg
    assert made.lab.good.with_name("lab.pq.pub").read_text() == made.pq.public.pem
    envelope = json.loads(made.lab.files()[PQ])
    assert envelope["payload"] == base64.b64encode(made.lab.files()["statement.json"]).decode()
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert [s["keyid"] for s in envelope["signatures"]] == [""]


def test_evidence_without_it_is_skipped_with_the_reason_and_never_silently(lab: Lab) -> None:
    assert _outcome(lab.verify(lab.good)) == (
        "skipped",
        "there is none, and the policy does not require one",
    )


# Case 25: downgrade.


def test_a_removed_second_envelope_is_missed_with_and_without_a_policy_for_it(
    hybrid: Hybrid,
) -> None:
    said = f"{PQ}: was removed: the statement expects ml-dsa-65"

    _refused(hybrid, hybrid.without(), "post-quantum", said)
    lax = hybrid.trust("require_pq: true", "require_pq: false")
    _refused(hybrid, hybrid.without(), "post-quantum", said, lax)


def test_evidence_that_never_had_one_is_refused_where_the_policy_requires_it(
    hybrid: Hybrid,
) -> None:
    path = bundle.write(
        samples.scan(), hybrid.lab.scan, hybrid.lab.folder / "plain.evidence.zip", events.silent
    )

    _refused(hybrid, path, "post-quantum", f"the policy requires {PQ}, and there is none")


def test_a_signer_who_denies_the_second_envelope_is_refused(hybrid: Hybrid) -> None:
    path = hybrid.put(hybrid.expecting(ALG))

    _refused(hybrid, path, "post-quantum", f"{PQ}: is there, but the statement expects none")


def test_a_second_envelope_over_another_statement_is_refused(hybrid: Hybrid) -> None:
    other = sign_dsse(b'{"_type":"other"}', hybrid.pq)

    _refused(hybrid, hybrid.put(pq=other), "post-quantum", "not over the statement in the bundle")


def test_a_second_envelope_by_another_key_is_refused(hybrid: Hybrid, tmp_path: Path) -> None:
    new_signer(tmp_path / "evil.pem", alg="ml-dsa-65")
    evil = load_pq_signer(tmp_path / "evil.pem")

    _refused(hybrid, hybrid.put(pq=evil), "post-quantum", "not by any of the 1 keys trusted")


def test_without_a_key_for_it_the_signature_is_not_verified_and_says_so(hybrid: Hybrid) -> None:
    text = hybrid.lab.ring.policy.read_text()
    start, end = text.index("  - id: scan-pq"), text.index("# More than this")
    trust = hybrid.trust(text[start:end])

    assert _outcome(hybrid.check(hybrid.lab.good, trust)) == (
        "not checked",
        "NOT VERIFIED: the policy has no key of role scan-pq for this ml-dsa-65 signature",
    )


def test_a_second_key_outside_its_window_is_refused(hybrid: Hybrid) -> None:
    text = hybrid.lab.ring.policy.read_text()
    part = text[text.index("  - id: scan-pq") : text.index("# Evidence without")]
    trust = hybrid.trust(part, part.replace("not_before: 2026-", "not_before: 2027-"))

    _refused(hybrid, hybrid.lab.good, "post-quantum", "key 'scan-pq' is not trusted for", trust)


def _in_pq(change: Callable[[Any], object]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        value = json.loads(data)
        change(value)
        return json.dumps(value).encode()

    return changed


def _sig(value: str) -> Callable[[bytes], bytes]:
    return _in_pq(lambda x: x["signatures"][0].update(sig=value))


def _half(x: Any) -> None:
    one = x["signatures"][0]
    one["sig"] = base64.b64encode(base64.b64decode(one["sig"])[:1000]).decode()


# Case 8, for the second envelope; the classical one's rows are in test_envelope.py.
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_sig(""), "sig: expected a signature of 1 to 4627 bytes, found 0 bytes"),
        (_sig(base64.b64encode(bytes(4628)).decode()), "found 4628 bytes"),
        (_sig(base64.b64encode(bytes(3309)).decode()), "not by any of the 1 keys"),
        (_in_pq(_half), "not by any of the 1 keys"),
        (_in_pq(lambda x: x.update(signatures=[])), "expected exactly one signature"),
        (_in_pq(lambda x: x["signatures"].append(x["signatures"][0])), "exactly one signature"),
        (_in_pq(lambda x: x["signatures"][0].pop("sig")), "sig is missing"),
        (_in_pq(lambda x: x.update(payloadType="application/json")), "payloadType: expected"),
        (_in_pq(lambda x: x.update(mediaType="x")), "unknown field 'mediaType'"),
        (lambda d: d[:-1], "not strict JSON"),
        (lambda d: d + b"{}", "not strict JSON"),
        (lambda d: d + b" " * 4096, "for what it carries"),
        (lambda _: b"", "not strict JSON"),
    ],
)
def test_a_damaged_second_envelope_is_refused(
    hybrid: Hybrid, change: Callable[[bytes], bytes], said: str
) -> None:
    path = hybrid.put(pq=change(hybrid.lab.files()[PQ]))

    _refused(hybrid, path, "post-quantum", said)


# Case 9: an unknown key under the trusted key's name.
def test_a_copied_hint_and_keyid_help_nobody(hybrid: Hybrid, tmp_path: Path) -> None:
    evil = new_signer(tmp_path / "evil.pem")
    files = hybrid.lab.files()
    made = sign(files["statement.json"], evil)
    forged = json.loads(made.bundle)
    real = json.loads(files["evidence.sigstore.json"])
    forged["verificationMaterial"] = real["verificationMaterial"]
    files["evidence.sigstore.json"] = json.dumps(forged).encode()
    files["statement.sig"] = made.signature

    _refused(hybrid, hybrid.lab.put(files), "signature", "not by any of the 1 keys trusted for it")


# Case 10: a trusted key in a role that is not its own.
def test_a_build_key_signs_no_scan(hybrid: Hybrid) -> None:
    _refused(hybrid, hybrid.put(scan=hybrid.lab.build), "signature", "not by any of the 1 keys")


@pytest.mark.parametrize(
    ("role", "alg", "said"),
    [
        ("scan", "ml-dsa-65", "keys[2].alg: ml-dsa-65 is for the role scan-pq alone"),
        ("build", "ml-dsa-65", "keys[2].alg: ml-dsa-65 is for the role scan-pq alone"),
        ("scan-pq", ALG, f"keys[2].alg: {ALG} cannot sign as scan-pq"),
        ("scan-pq", "ml-dsa-87", "keys[2].alg: says ml-dsa-87, but the key is for ml-dsa-65"),
        ("scan-pq", "ml-dsa-44", "keys[2].alg: Input should be"),
    ],
)
def test_a_policy_in_which_key_role_and_algorithm_disagree_is_refused(
    hybrid: Hybrid, role: str, alg: str, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        hybrid.trust("role: scan-pq\n    alg: ml-dsa-65", f"role: {role}\n    alg: {alg}")
    assert said in str(caught.value)


# Case 13: algorithm confusion.
@pytest.mark.parametrize(
    "alg", ["rsa-pkcs1v15-sha256", "ed25519", "ecdsa-p256-sha384", "rsa-pss-sha256", ""]
)
def test_the_policy_s_algorithm_must_be_the_key_s(hybrid: Hybrid, alg: str) -> None:
    with pytest.raises(InputError, match=r"trust|changed") as caught:
        hybrid.trust(f"role: scan\n    alg: {ALG}", f"role: scan\n    alg: {alg!r}")
    assert "keys[0].alg: " in str(caught.value)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (
            ("rsa-pkcs1v15-sha256", "ml-dsa-65"),
            "expects rsa-pkcs1v15-sha256, the bundle is signed with ecdsa",
        ),
        (("ml-dsa-65",), "expects no classical signature, the bundle is signed with"),
        ((ALG, ALG, "ml-dsa-65"), f"expects {ALG}, {ALG}, the bundle"),
        ((ALG, "ml-dsa-65", "ml-dsa-87"), "expects ml-dsa-65, ml-dsa-87; at most one"),
        ((ALG, "ml-dsa-87"), "the statement expects ml-dsa-87, found ml-dsa-65"),
        ((ALG, "rot13"), "expects a signature unknown here: 'rot13'"),
        ((ALG, "none"), "expects a signature unknown here: 'none'"),
    ],
)
def test_a_statement_whose_signatures_are_not_those_it_names_is_refused(
    hybrid: Hybrid, expected: tuple[str, ...], said: str
) -> None:
    _refused(hybrid, hybrid.put(hybrid.expecting(*expected)), "post-quantum", said)


@pytest.mark.parametrize("expected", [[], None, "ecdsa-p256-sha256", [1]])
def test_a_statement_that_names_no_signatures_is_malformed(
    hybrid: Hybrid, expected: object
) -> None:
    statement = hybrid.lab.statement()
    statement["predicate"]["signaturesExpected"] = expected

    with pytest.raises(RefusedError, match="signaturesExpected"):
        hybrid.check(hybrid.put(statement))


def test_older_evidence_names_its_signatures_as_it_did(lab: Lab) -> None:
    statement = lab.statement()
    claim = statement["predicate"]
    claim["signatures"] = claim.pop("signaturesExpected")

    assert lab.verify(lab.signed(statement)).statement.predicate.signatures_expected == (ALG,)


def test_a_policy_that_requires_what_it_has_no_key_for_is_refused(hybrid: Hybrid) -> None:
    text = hybrid.lab.ring.policy.read_text()
    part = text[text.index("  - id: scan-pq") : text.index("# Evidence without")]

    with pytest.raises(InputError, match="require_pq: no key has the role scan-pq"):
        hybrid.trust(part)


def test_no_mutant_of_the_second_envelope_is_taken_for_another_statement(hybrid: Hybrid) -> None:
    whole = hybrid.lab.files()[PQ]
    good = hybrid.lab.files()["statement.json"]
    taken = 0
    for at in range(0, len(whole), 41):
        flip = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        for mutant in (flip, whole[:at], whole[:at] + whole[at + 1 :]):
            try:
                payload, _ = read_dsse(mutant, what="x").opened(hybrid.pq.public)
            except TrustError:
                continue
            taken += 1
            assert payload == good
    assert taken == 0
