"""Check the signatures by others: the host's (SSHSIG) and the certificate's (CMS)."""

import tempfile
from pathlib import Path

from hardpan.core.errors import TrustError
from hardpan.core.limits import MAX_CMS_BYTES, MAX_SSHSIG_BYTES
from hardpan.core.process import run
from hardpan.scanners.evidence.file_names import CMS
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy
from hardpan.scanners.evidence.statement.model import Predicate
from hardpan.scanners.evidence.statement.predicate_extensions import (
    HOST_SIGNATURE_NAMESPACE,
    build_host_challenge,
)
from hardpan.scanners.evidence.verify.context import VerificationContext
from hardpan.scanners.evidence.verify.signing_time import parse_time
from hardpan.scanners.evidence.verify.sources import report_not_stored
from hardpan.scanners.evidence.verify.verification_log import (
    CheckOutcome,
    Passed,
    Skipped,
    report_not_verified,
)
from hardpan.signing import check_detached_cms, check_sshsig


def check_host_signature(context: VerificationContext) -> CheckOutcome:
    """Check the host's signature over nonce, boot id and findings.

    Raises:
        TrustError: the signature is invalid, or is missing although the policy requires it.
    """
    source, claim = context.source, context.claim
    is_required = context.policy.target.require_host_signature
    if claim.host_signature is None:
        if is_required:
            raise TrustError("the policy requires a host signature, the evidence has none")
        return Skipped("the host provided no signature")
    signature = source.read_signature_file(claim.host_signature, max_bytes=MAX_SSHSIG_BYTES)
    if signature is None:
        return report_not_stored(claim.host_signature, required=is_required)
    host = claim.target.host
    # The findings were checked against the digest in the statement.
    message = build_host_challenge(
        claim.scan.nonce, host.boot_id, context.statement.list_digests()[claim.results.file]
    )
    check_sshsig(
        signature, message, namespace=HOST_SIGNATURE_NAMESPACE, fingerprint=host.host_key_sha256
    )
    return Passed(f"host key {host.host_key_sha256}")


def check_cms(context: VerificationContext) -> CheckOutcome:
    """Check the detached CMS signature over the statement.

    It must be by the key that signed the bundle: that needs no policy. ``openssl cms`` checks its
    certificate under the policy's roots, at the time of the scan's end, so that evidence is still
    valid after its certificates have expired.

    Raises:
        TrustError: it is invalid, or is missing although the policy requires it.
        ToolError: openssl is missing.
    """
    source, claim, trust = context.source, context.claim, context.trust
    is_required = bool(trust.cms_roots)
    if CMS not in claim.companion_files:
        if is_required:
            raise TrustError("the policy requires a CMS signature, the evidence has none")
        # In an archive the check of the files refuses one that the statement does not name.
        if (
            not source.is_complete
            and source.read_signature_file(CMS, max_bytes=MAX_CMS_BYTES) is not None
        ):
            raise TrustError(f"{CMS}: is stored, but the statement names none")
        return Skipped("the evidence has none, and the policy names no authority for it")
    signature = source.read_signature_file(CMS, max_bytes=MAX_CMS_BYTES)
    if signature is None:
        return report_not_stored(CMS, required=is_required)
    if is_required:
        _verify_with_openssl(signature, context.payload, claim, trust)
    check_detached_cms(signature, context.payload, context.signature.public, label=CMS)
    if is_required:
        return Passed("verified by openssl cms")
    return report_not_verified(
        "the policy names no authority for its certificate; the key is the statement's"
    )


def _verify_with_openssl(
    signature: bytes, payload: bytes, claim: Predicate, trust: ResolvedPolicy
) -> None:
    scan_end = str(int(parse_time(claim.scan.finished).timestamp()))
    with tempfile.TemporaryDirectory(prefix="hardpan-cms-") as temp_dir:
        folder = Path(temp_dir)
        (folder / "ca.pem").write_text(trust.cms_roots, "utf-8")
        (folder / "in").write_bytes(signature)
        (folder / "statement").write_bytes(payload)
        argv: list[str | Path] = ["openssl", "cms", "-verify", "-binary", "-inform", "DER"]
        argv += ["-in", folder / "in"]
        argv += ["-content", folder / "statement", "-CAfile", folder / "ca.pem", "-no-CApath"]
        argv += ["-purpose", "any", "-attime", scan_end, "-out", "/dev/null"]
        completed = run(argv, timeout_s=30, ok=range(256))
    if completed.returncode != 0:
        reason = (completed.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise TrustError(f"{CMS}: openssl rejects it: {reason[:160]}")
