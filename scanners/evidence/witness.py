"""Who else vouches: the host with its own key, and a certificate authority by CMS."""

import tempfile
from pathlib import Path

from hardpan.errors import TrustError
from hardpan.process import run
from hardpan.scanners.evidence.bindings import CMS, NAMESPACE, challenge
from hardpan.scanners.evidence.checks import CheckOutcome, Passed, Skipped, not_verified
from hardpan.scanners.evidence.moments import moment
from hardpan.scanners.evidence.sources import Source, not_stored
from hardpan.scanners.evidence.statement import Predicate, Statement
from hardpan.scanners.evidence.trust import Trust
from hardpan.signing import PublicKey, check_detached_cms, check_sshsig

_MAX_PROOF_BYTES = 16 << 10
_MAX_CMS_BYTES = 64 << 10


def host_proof(source: Source, statement: Statement, trust: Trust) -> CheckOutcome:
    """Whether the host signed nonce, boot and findings with the key it is known by.

    Raises:
        TrustError: the proof does not hold, or is missing although the policy wants it.
    """
    claim, required = statement.predicate, trust.policy.target.require_proof
    if claim.host_proof is None:
        if required:
            raise TrustError("the policy wants the host's own signature, the evidence has none")
        return Skipped("the host gave no signature by its host key")
    proof = source.proof(claim.host_proof, max_bytes=_MAX_PROOF_BYTES)
    if proof is None:
        return not_stored(claim.host_proof, required=required)
    host = claim.target.host
    # The findings were held against the digest that the statement lists.
    said = challenge(claim.scan.nonce, host.boot_id, statement.digests()[claim.results.file])
    check_sshsig(proof, said, namespace=NAMESPACE, fingerprint=host.host_key_sha256)
    return Passed(f"host key {host.host_key_sha256}")


def cms(
    source: Source, payload: bytes, claim: Predicate, trust: Trust, public: PublicKey
) -> CheckOutcome:
    """Whether the detached signature over the statement ``payload`` holds, and for whom.

    It must be by ``public``, which signed the bundle: that needs no policy. Whose certificate it
    carries, ``openssl cms`` checks under the policy's roots, at the end of the scan, so that
    evidence outlives certificates.

    Raises:
        TrustError: it does not hold, or there is none although the policy wants it.
        ToolError: openssl is missing.
    """
    required = bool(trust.cms_roots)
    if CMS not in claim.siblings:
        if required:
            raise TrustError("the policy wants a CMS signature, the evidence has none")
        # In an archive the check of the files refuses one that the statement does not name.
        if not source.is_whole and source.proof(CMS, max_bytes=_MAX_CMS_BYTES) is not None:
            raise TrustError(f"{CMS}: is stored, but the statement names none")
        return Skipped("the evidence has none, and the policy names no authority for it")
    signature = source.proof(CMS, max_bytes=_MAX_CMS_BYTES)
    if signature is None:
        return not_stored(CMS, required=required)
    if required:
        _ask_openssl(signature, payload, claim, trust)
    check_detached_cms(signature, payload, public, what=CMS)
    if required:
        return Passed("by openssl cms")
    return not_verified(
        "the policy names no authority for its certificate; the key is the statement's"
    )


def _ask_openssl(signature: bytes, payload: bytes, claim: Predicate, trust: Trust) -> None:
    at = str(int(moment(claim.scan.finished).timestamp()))
    with tempfile.TemporaryDirectory(prefix="hardpan-cms-") as room:
        folder = Path(room)
        (folder / "ca.pem").write_text(trust.cms_roots, "utf-8")
        (folder / "in").write_bytes(signature)
        (folder / "statement").write_bytes(payload)
        argv: list[str | Path] = ["openssl", "cms", "-verify", "-binary", "-inform", "DER"]
        argv += ["-in", folder / "in"]
        argv += ["-content", folder / "statement", "-CAfile", folder / "ca.pem", "-no-CApath"]
        argv += ["-purpose", "any", "-attime", at, "-out", "/dev/null"]
        ended = run(argv, timeout_s=30, ok=range(256))
    if ended.returncode != 0:
        last = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise TrustError(f"{CMS}: openssl does not take it: {last[:160]}")
