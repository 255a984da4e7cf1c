"""Prepare the signature of a scan before it starts, and write the evidence after it."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hardpan.cli import key_options
from hardpan.core.console import print_message, stderr
from hardpan.core.events import Emit
from hardpan.core.xdg import data_home
from hardpan.scanners.evidence.sign import output_files, writer
from hardpan.scanners.evidence.signing_options import (
    PreviousStatement,
    next_chain_link,
    read_previous_statement,
    scanner_identity,
    timestamper,
)
from hardpan.scanners.ledger.previous_evidence import (
    OlderScan,
    changes_since_previous,
    load_previous,
)
from hardpan.scanners.model.scan import Scan
from hardpan.scanners.report.registry import Report
from hardpan.signing import load_matching_certificate
from hardpan.workflow.scan_key import ensure_scan_key, find_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """The signers of a scan, and the trust policy that its recipient can use."""

    name: str
    """The file, or the key reference that ``--key`` has."""

    signers: key_options.EvidenceSigners
    policy: Path | None
    """None if no policy is next to the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningInputs:
    """What the evidence is signed with, and what it follows."""

    key: SigningKey
    nonce: str
    timestamper: Callable[[bytes], bytes] | None
    certificate: Path | None
    previous_statement: PreviousStatement | None
    previous_scan: OlderScan | None
    """The verified previous evidence; None: the report lists no changes."""


def prepare_signing(
    keys: key_options.KeyOptions,
    *,
    tsa: str | None,
    certificate: Path | None,
    previous: Path | None,
    policy: Path | None,
    nonce: str,
) -> SigningInputs:
    """Read what the evidence is signed with, before anything is scanned.

    Raises:
        UsageError: a policy without previous evidence.
        InputError, VerificationError: a file, key or address cannot be used, or the previous
            evidence is not trusted.
    """
    sign_timestamp = timestamper(tsa)
    previous_scan = load_previous(previous, policy)
    previous_statement = read_previous_statement(previous)
    key = _provide_key(keys)
    if certificate is not None:
        load_matching_certificate(certificate, key.signers.scan)
    return SigningInputs(
        key=key,
        nonce=nonce,
        timestamper=sign_timestamp,
        certificate=certificate,
        previous_statement=previous_statement,
        previous_scan=previous_scan,
    )


def write_evidence(
    result: Scan, signing: SigningInputs, output: Path | None, emit: Emit
) -> tuple[Report, Path]:
    """Write the evidence file, by default under an unused name of the host and the time."""
    signers, older_scan = signing.key.signers, signing.previous_scan
    report = writer.build_report(result, signers.scan)
    chain = next_chain_link(signing.previous_statement)
    changes = None if older_scan is None else changes_since_previous(older_scan, chain, report)
    options = writer.SigningOptions(
        timestamper=signing.timestamper,
        certificate=signing.certificate,
        chain=chain,
        runner=scanner_identity(result.transport),
        changes=changes,
    )
    default_path = Path(output_files.default_filename(report.findings))
    with (
        contextlib.nullcontext(output)
        if output is not None
        else output_files.unused_path(default_path)
    ) as evidence:
        writer.write_evidence(
            result,
            signers.scan,
            evidence,
            emit,
            nonce=signing.nonce,
            pq_signer=signers.pq,
            options=options,
        )
    return report, evidence


def _provide_key(keys: key_options.KeyOptions) -> SigningKey:
    """Load the key that an option names, or the default key; create the latter on first use."""
    if keys.key is not None:
        return SigningKey(
            name=keys.key,
            signers=key_options.load_signers(keys, keys.key),
            policy=find_policy(keys.key),
        )
    default_key = ensure_scan_key(data_home())
    if default_key.is_new:
        for line in (
            f"created the scan key {default_key.private_key}",
            f"created the trust policy {default_key.policy}",
            f"give the policy and {default_key.public_key} to those who verify the evidence",
        ):
            print_message(stderr, line)
    return SigningKey(
        name=str(default_key.private_key),
        signers=key_options.load_signers(keys, str(default_key.private_key)),
        policy=default_key.policy,
    )
