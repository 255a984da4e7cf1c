"""What a person may add to evidence: a timestamp, a place in a row, who scanned."""

import getpass
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import Sha256
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousStatement:
    """The statement of a host that the next one follows; it is not verified."""

    path: Path
    hostname: str
    host_identity: str
    """``HostPart.identity`` of its host."""

    sequence: int
    statement_sha256: Sha256

    def require_host(self, host_identity: str) -> None:
        """Pass if the statement is about this host.

        Raises:
            InputError: it is about another host, or the host has no identity.
        """
        if not host_identity:
            raise InputError(
                f"{self.path}: cannot be followed: the host has neither a host key nor a machine id"
            )
        if self.host_identity != host_identity:
            raise InputError(
                f"{self.path}: is about another host ({self.hostname}): expected "
                f"{host_identity}, got {self.host_identity or 'no identity'}",
                hint="--previous is the last evidence of the host that is scanned",
            )


def read_previous_statement(path: Path | None) -> PreviousStatement | None:
    """Read the statement in ``path``; None without a path.

    Raises:
        InputError: it is not evidence.
    """
    if path is None:
        return None
    try:
        opened = read_unverified(path)
    except TrustError as e:
        reason = str(e).removeprefix(f"{path}: ")
        raise InputError(f"{path}: cannot be followed: {reason}") from e
    predicate = opened.statement.predicate
    return PreviousStatement(
        path=path,
        hostname=predicate.target.host.hostname,
        host_identity=predicate.target.host.identity,
        sequence=predicate.chain.sequence if predicate.chain else 1,
        statement_sha256=opened.statement_sha256,
    )


def next_chain_link(previous: PreviousStatement | None) -> ChainLink:
    """Return the position after ``previous`` in the chain of a host's statements.

    Without one it is the first.
    """
    if previous is None:
        return ChainLink(sequence=1, previous_statement_sha256=None)
    return ChainLink(
        sequence=previous.sequence + 1, previous_statement_sha256=previous.statement_sha256
    )


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
