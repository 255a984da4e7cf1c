"""What a person may add to evidence: a timestamp, a place in a row, who scanned."""

import getpass
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hardpan.errors import InputError, TrustError
from hardpan.scanners.collect.host import app_specific
from hardpan.scanners.evidence.bindings import Chain, Runner
from hardpan.scanners.evidence.verify import open_unverified
from hardpan.signing import ask, check_address

TIMESTAMP_HELP = (
    "RFC 3161 authority that dates the signature: the one address that signing ever calls."
)
_MACHINE_ID = Path("/etc/machine-id")


def stamp(url: str | None) -> Callable[[bytes], bytes] | None:
    """How to get a token from the authority at ``url``; None without one.

    Raises:
        InputError: nothing can be asked for there.
    """
    if not url:
        return None
    check_address(url)
    return partial(ask, url)


def following(previous: Path | None, host_key: str) -> Chain:
    """The place after ``previous`` in the row of the host's statements; the first without one.

    Raises:
        InputError: it is not evidence, or is another host's.
    """
    if previous is None:
        return Chain(sequence=1, previous_statement_sha256=None)
    try:
        opened = open_unverified(previous)
    except TrustError as e:
        reason = str(e).removeprefix(f"{previous}: ")
        raise InputError(f"{previous}: cannot be followed: {reason}") from e
    last = opened.statement.predicate
    if last.target.host.host_key_sha256 != host_key:
        raise InputError(f"{previous}: is about another host ({last.target.host.hostname})")
    place = last.chain.sequence if last.chain else 1
    return Chain(sequence=place + 1, previous_statement_sha256=opened.statement_sha256)


def runner() -> Runner:
    """This station, as it describes itself."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    try:
        station = app_specific(_MACHINE_ID.read_text("ascii").strip())
    except (OSError, ValueError):
        station = ""
    return Runner(user=user, station=station, python=platform.python_version(), transport="ssh")
