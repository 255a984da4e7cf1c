"""Translation of paramiko and socket exceptions to hardpan errors."""

import base64
import hashlib
import socket
from collections.abc import Callable

import paramiko
from paramiko.ssh_exception import NoValidConnectionsError

from hardpan.core.errors import HardpanError, InputError, TrustError, UnreachableError
from hardpan.ssh.target import Target


def fingerprint(key: bytes) -> str:
    """``SHA256:…`` of a public key blob, as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def translate(e: Exception, target: Target) -> HardpanError:
    """Return the hardpan error for an exception of paramiko or of a socket."""
    for exception_type, convert in TRANSLATIONS.items():
        if isinstance(e, exception_type):
            return convert(e, target)
    return UnreachableError(f"{target}: {str(e) or type(e).__name__}")


def _host_key_mismatch(e: Exception, target: Target) -> HardpanError:
    offered, expected = getattr(e, "key", None), getattr(e, "expected_key", None)
    fingerprints = [fingerprint(k.asbytes()) if k else "?" for k in (offered, expected)]
    return TrustError(
        f"{target}: the host key is not the expected one: expected {fingerprints[1]}, "
        f"got {fingerprints[0]}",
        hint="another machine answers, or the host was reinstalled; find out which first",
    )


def _login_failed(e: Exception, target: Target) -> HardpanError:
    allowed = ", ".join(getattr(e, "allowed_types", ()))
    credentials = f"the key {target.identity}" if target.identity else "the agent and ~/.ssh"
    detail = f"; the host accepts: {allowed}" if allowed else ""
    return UnreachableError(
        f"{target}: login failed with {credentials}{detail}",
        hint="check that the public key is in the user's authorized_keys",
    )


def encrypted_key(_: Exception, target: Target) -> HardpanError:
    """Return the error for a private key that needs a passphrase."""
    return InputError(
        f"{target.identity or 'a private key'}: is encrypted",
        hint="add it to the agent with ssh-add and omit --identity",
    )


def _no_common_algorithm(e: Exception, target: Target) -> HardpanError:
    return UnreachableError(f"{target}: no algorithm in common: {e}")


def _timed_out(e: Exception, target: Target) -> HardpanError:
    return UnreachableError(f"{target}: does not answer: {str(e) or 'timed out'}")


def _connection_refused(e: Exception, target: Target) -> HardpanError:
    return UnreachableError(
        f"{target}: refused the connection ({getattr(e, 'strerror', '') or e})",
        hint="check that sshd runs on the host and that the port is correct",
    )


def _connection_closed(e: Exception, target: Target) -> HardpanError:
    return UnreachableError(f"{target}: {str(e) or 'the connection was closed'}")


TRANSLATIONS: dict[type[Exception], Callable[[Exception, Target], HardpanError]] = {
    paramiko.BadHostKeyException: _host_key_mismatch,
    paramiko.PasswordRequiredException: encrypted_key,
    paramiko.AuthenticationException: _login_failed,
    paramiko.BadAuthenticationType: _login_failed,
    paramiko.ssh_exception.PartialAuthentication: _login_failed,
    paramiko.ssh_exception.UnableToAuthenticate: _login_failed,
    paramiko.ssh_exception.IncompatiblePeer: _no_common_algorithm,
    paramiko.ssh_exception.MessageOrderError: _connection_closed,
    paramiko.ChannelException: _connection_closed,
    paramiko.ProxyCommandFailure: _connection_closed,
    paramiko.ssh_exception.CouldNotCanonicalize: _connection_closed,
    paramiko.ConfigParseError: _connection_closed,
    NoValidConnectionsError: _connection_refused,
    ConnectionRefusedError: _connection_refused,
    TimeoutError: _timed_out,
    socket.gaierror: _timed_out,
    EOFError: _connection_closed,
    paramiko.SSHException: _connection_closed,
    OSError: _connection_closed,
}
"""Exception type -> translation, subclasses first; a test walks all types of paramiko."""
