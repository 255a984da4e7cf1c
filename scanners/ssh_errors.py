"""What paramiko and sockets raise, as errors of ours: one table, the special ones first.

The only other room that knows paramiko, beside ``transport``.
"""

import base64
import hashlib
import socket
from collections.abc import Callable

import paramiko
from paramiko.ssh_exception import NoValidConnectionsError

from hardpan.errors import HardpanError, InputError, TrustError, UnreachableError
from hardpan.scanners.target import Target


def fingerprint(key: bytes) -> str:
    """``SHA256:…`` of a public key blob, as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def mapped(e: Exception, target: Target) -> HardpanError:
    """The error of ours that an exception of paramiko or of a socket stands for."""
    for kind, make in FOREIGN.items():
        if isinstance(e, kind):
            return make(e, target)
    return UnreachableError(f"{target}: {str(e) or type(e).__name__}")


def _changed(e: Exception, target: Target) -> HardpanError:
    offered, wanted = getattr(e, "key", None), getattr(e, "expected_key", None)
    said = [fingerprint(k.asbytes()) if k else "?" for k in (offered, wanted)]
    return TrustError(
        f"{target}: the host key is not the expected one: expected {said[1]}, offered {said[0]}",
        hint="another machine answers there, or it was installed anew; find out which first",
    )


def _no_login(e: Exception, target: Target) -> HardpanError:
    allowed = ", ".join(getattr(e, "allowed_types", ()))
    with_what = f"the key {target.identity}" if target.identity else "the agent and ~/.ssh"
    detail = f"; the host takes: {allowed}" if allowed else ""
    return UnreachableError(
        f"{target}: no login with {with_what}{detail}",
        hint="is the public key in the user's authorized_keys there?",
    )


def locked_key(_: Exception, target: Target) -> HardpanError:
    """A private key that needs a passphrase."""
    return InputError(
        f"{target.identity or 'a private key'}: is encrypted",
        hint="add it to the agent with ssh-add, and leave --identity away",
    )


def _no_common(e: Exception, target: Target) -> HardpanError:
    return UnreachableError(f"{target}: no algorithm in common: {e}")


def _silent(e: Exception, target: Target) -> HardpanError:
    return UnreachableError(f"{target}: does not answer: {str(e) or 'time is up'}")


def _refused(e: Exception, target: Target) -> HardpanError:
    return UnreachableError(
        f"{target}: refused the connection ({getattr(e, 'strerror', '') or e})",
        hint="is sshd running there, and is the port right?",
    )


def _broken(e: Exception, target: Target) -> HardpanError:
    return UnreachableError(f"{target}: {str(e) or 'the connection was closed'}")


FOREIGN: dict[type[Exception], Callable[[Exception, Target], HardpanError]] = {
    paramiko.BadHostKeyException: _changed,
    paramiko.PasswordRequiredException: locked_key,
    paramiko.AuthenticationException: _no_login,
    paramiko.BadAuthenticationType: _no_login,
    paramiko.ssh_exception.PartialAuthentication: _no_login,
    paramiko.ssh_exception.UnableToAuthenticate: _no_login,
    paramiko.ssh_exception.IncompatiblePeer: _no_common,
    paramiko.ssh_exception.MessageOrderError: _broken,
    paramiko.ChannelException: _broken,
    paramiko.ProxyCommandFailure: _broken,
    paramiko.ssh_exception.CouldNotCanonicalize: _broken,
    paramiko.ConfigParseError: _broken,
    NoValidConnectionsError: _refused,
    ConnectionRefusedError: _refused,
    TimeoutError: _silent,
    socket.gaierror: _silent,
    EOFError: _broken,
    paramiko.SSHException: _broken,
    OSError: _broken,
}
"""Foreign exception -> what we make of it, the special ones first; a test walks paramiko's."""
