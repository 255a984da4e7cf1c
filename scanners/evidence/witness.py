"""Who else vouches: the host with its own key, and a certificate authority by CMS."""

import tempfile
from pathlib import Path

from hardpan.errors import TrustError
from hardpan.process import run
from hardpan.scanners.evidence.bindings import CMS, NAMESPACE, challenge
from hardpan.scanners.evidence.checks import CheckOutcome, Passed, Skipped
from hardpan.scanners.evidence.moments import moment
from hardpan.scanners.evidence.sources import Source, not_stored
from hardpan.scanners.evidence.statement import Predicate, Statement
from hardpan.scanners.evidence.trust import Trust
from hardpan.signing import check_sshsig

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


def cms(source: Source, payload: bytes, claim: Predicate, trust: Trust) -> CheckOutcome:
    """Whether ``openssl cms`` takes the detached signature over the statement ``payload``.

    Certificates are judged at the end of the scan, so that evidence outlives them.

    Raises:
        TrustError: it does not, or there is none although the policy wants it.
        ToolError: openssl is missing.
    """
    if not trust.cms_roots:
        return Skipped("the policy names no authority for CMS")
    if CMS not in claim.siblings:
        raise TrustError("the policy wants a CMS signature, the evidence has none")
    signature = source.proof(CMS, max_bytes=_MAX_CMS_BYTES)
    if signature is None:
        return not_stored(CMS, required=True)
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
    return Passed("by openssl cms")
