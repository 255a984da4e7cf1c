"""Open a connection with the transport that the target needs, or that the user chose."""

import contextlib
from collections.abc import Iterator

from hardpan.core.errors import InputError
from hardpan.core.events import Emit, StageMessage, discard
from hardpan.core.process import find_program
from hardpan.ssh.client import connect
from hardpan.ssh.connection import Connection
from hardpan.ssh.local import connect_local
from hardpan.ssh.local_target import LOCAL, AnyTarget, LocalTarget
from hardpan.ssh.openssh import connect_openssh
from hardpan.ssh.transport_kind import TransportKind
from hardpan.ssh.unsupported import UnsupportedByParamiko

_FORCED = "--transport openssh"

CONNECT_TIMEOUT_S = 180.0
"""Time limit of the login to a host that is scanned."""


@contextlib.contextmanager
def open_connection(
    target: AnyTarget,
    *,
    timeout_s: float,
    sudo_password: str = "",
    transport: TransportKind = TransportKind.AUTO,
    emit: Emit = discard,
) -> Iterator[Connection]:
    """Open an authenticated connection to the target for the length of the block.

    ``auto`` uses paramiko, and the system's ssh if paramiko cannot open the connection; an event
    then names the reason, and the connection records it.

    Raises:
        TrustError: the host key is not the pinned or listed one.
        UnreachableError: refused, no answer within ``timeout_s``, no login, or hung up.
        InputError: a key or configuration file cannot be used, or the transport does not fit the
            target.
        ToolError: the system's ssh is needed and missing.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(target, LocalTarget):
            _require_local(transport)
            yield stack.enter_context(connect_local(target, sudo_password=sudo_password))
            return
        for note in target.notes:
            emit(StageMessage(stage="connect", text=note))
        if transport is TransportKind.OPENSSH:
            yield stack.enter_context(
                connect_openssh(
                    target,
                    timeout_s=timeout_s,
                    sudo_password=sudo_password,
                    emit=emit,
                    reason=_FORCED,
                )
            )
            return
        try:
            connection = stack.enter_context(
                connect(target, timeout_s=timeout_s, sudo_password=sudo_password)
            )
        except UnsupportedByParamiko as e:
            if transport is TransportKind.PARAMIKO or find_program("ssh") is None:
                raise
            reason = f"paramiko cannot open this connection: it needs {e.reason}"
            emit(StageMessage(stage="connect", text=f"{reason}; the system's ssh is used"))
            connection = stack.enter_context(
                connect_openssh(
                    target,
                    timeout_s=timeout_s,
                    sudo_password=sudo_password,
                    emit=emit,
                    reason=reason,
                )
            )
        yield connection


def _require_local(transport: TransportKind) -> None:
    if transport not in (TransportKind.AUTO, TransportKind.LOCAL):
        raise InputError(
            f"{LOCAL} transport {transport}: expected auto for this machine, which needs no SSH"
        )
