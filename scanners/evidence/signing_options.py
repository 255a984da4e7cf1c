"""What a person may add to evidence: a timestamp, a place in a row, who scanned."""

import getpass
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hardpan.core.errors import InputError, TrustError
from hardpan.scanners.collect.host import derive_machine_id_hmac
from hardpan.scanners.evidence.statement.predicate_extensions import (
    ChainLink,
    ScannerIdentity,
)
from hardpan.scanners.evidence.verify.verifier import read_unverified
from hardpan.scanners.report.model.display_text import replace_control_characters
from hardpan.signing import check_tsa_url, request_timestamp
from hardpan.ssh.transport_kind import TransportChoice

TIMESTAMP_HELP = (
    "RFC 3161 authority that dates the signature: the one address that signing ever calls."
)
_MACHINE_ID = Path("/etc/machine-id")


def timestamper(url: str | None) -> Callable[[bytes], bytes] | None:
    """How to get a token from the authority at ``url``; None without one.

    Raises:
        InputError: it is not the address of a timestamp authority.
    """
    if not url:
        return None
    check_tsa_url(url)
    return partial(request_timestamp, url)


def next_chain_link(previous: Path | None, host_identity: str) -> ChainLink:
    """The place after ``previous`` in the row of the host's statements; the first without one.

    ``host_identity`` is ``HostPart.identity`` of the new scan.

    Raises:
        InputError: it is not evidence, or is another host's.
    """
    if previous is None:
        return ChainLink(sequence=1, previous_statement_sha256=None)
    try:
        opened = read_unverified(previous)
    except TrustError as e:
        reason = str(e).removeprefix(f"{previous}: ")
        raise InputError(f"{previous}: cannot be followed: {reason}") from e
    predicate = opened.statement.predicate
    if not host_identity:
        raise InputError(
            f"{previous}: cannot be followed: the host has neither a host key nor a machine id"
        )
    if predicate.target.host.identity != host_identity:
        raise InputError(f"{previous}: is about another host ({predicate.target.host.hostname})")
    sequence = predicate.chain.sequence if predicate.chain else 1
    return ChainLink(sequence=sequence + 1, previous_statement_sha256=opened.statement_sha256)


def scanner_identity(transport: TransportChoice) -> ScannerIdentity:
    """This station, as it describes itself, and the transport of the scan."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    try:
        station = derive_machine_id_hmac(_MACHINE_ID.read_text("ascii").strip())
    except (OSError, ValueError):
        station = ""
    return ScannerIdentity(
        user=user,
        station=station,
        python=platform.python_version(),
        transport=transport.kind.value,
        transport_reason=replace_control_characters(transport.reason),
    )
