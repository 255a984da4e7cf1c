"""Translation of paramiko and socket exceptions to hardpan errors."""

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import paramiko
from paramiko.ssh_exception import NoValidConnectionsError

from hardpan.core.errors import HardpanError, InputError, TrustError, UnreachableError
from hardpan.ssh.fingerprints import fingerprint
from hardpan.ssh.target import Target
from hardpan.ssh.unsupported import UnsupportedByParamiko

_MAX_NAMES = 6


@dataclass(slots=True)
class LoginAttempts:
    """What a login tried so far."""

    tried: list[str] = field(default_factory=list)
    """Names of the keys that the host rejected."""

    skipped: list[str] = field(default_factory=list)
    """Key files that could not be used, each with the reason."""

    prompts: list[str] = field(default_factory=list)
    """Prompts of keyboard-interactive; text of the host."""


@contextlib.contextmanager
def translate_errors(target: Target, *, passing: type[Exception] | None = None) -> Iterator[None]:
    """Turn the exceptions of paramiko in the block into hardpan errors, except ``passing``.

    paramiko re-raises here what its thread met in data of the host, whatever its type.
    """
    try:
        yield
    except HardpanError:
        raise
    except Exception as e:
        if passing is not None and isinstance(e, passing):
            raise
        raise translate(e, target) from e


def translate(e: Exception, target: Target) -> HardpanError:
    """Return the hardpan error for an exception of paramiko or of a socket."""
    for exception_type, convert in TRANSLATIONS.items():
        if isinstance(e, exception_type):
            return convert(e, target)
    return UnreachableError(f"{target}: {str(e) or type(e).__name__}")


def login_failed(target: Target, attempts: LoginAttempts, allowed: Sequence[str]) -> HardpanError:
    """Return the error for a login that no key or password of the user opens."""
    detail = f"; the host accepts: {', '.join(allowed)}" if allowed else ""
    if attempts.prompts:
        detail += f"; it asked for {', '.join(repr(p.strip()) for p in attempts.prompts[:3])}"
    if attempts.skipped:
        detail += f"; skipped: {'; '.join(attempts.skipped[:_MAX_NAMES])}"
    return UnreachableError(
        f"{target}: login failed with {_describe_credentials(target, attempts)}{detail}",
        hint=_suggest_login(target, attempts, allowed),
    )


def login_cut_off(target: Target, attempts: LoginAttempts) -> HardpanError:
    """Return the error for a host that closes the connection during the login."""
    if not attempts.tried:
        return UnreachableError(f"{target}: the host closed the connection during the login")
    count = len(attempts.tried)
    return UnreachableError(
        f"{target}: the host closed the connection during the login, after {count} keys: "
        f"expected a key of the user among the first (MaxAuthTries of sshd, by default 6)",
        hint="name the key: --identity FILE, or IdentityFile and 'IdentitiesOnly yes' for this "
        "host in ~/.ssh/config; the agent offers all of its keys otherwise",
    )


def _describe_credentials(target: Target, attempts: LoginAttempts) -> str:
    names = [f"the key {target.identity}"] if target.identity else attempts.tried[:_MAX_NAMES]
    if len(attempts.tried) > _MAX_NAMES:
        names.append(f"{len(attempts.tried) - _MAX_NAMES} more")
    if target.password:
        names.append("the password")
    return ", ".join(names) or "no key: neither the agent nor the ssh config has one that fits"


def _suggest_login(target: Target, attempts: LoginAttempts, allowed: Sequence[str]) -> str:
    if any("encrypted" in problem for problem in attempts.skipped):
        return "add the encrypted key to the agent: ssh-add FILE"
    if any("accessible" in problem for problem in attempts.skipped):
        return "make the key private: chmod 600 FILE"
    if allowed and "publickey" not in allowed and not target.password:
        return "the host takes no keys from this user: --ask-ssh-password"
    return "check that the public key is in the user's authorized_keys"


def _host_key_mismatch(e: Exception, target: Target) -> HardpanError:
    offered, expected = getattr(e, "key", None), getattr(e, "expected_key", None)
    fingerprints = [fingerprint(k.asbytes()) if k else "?" for k in (offered, expected)]
    return TrustError(
        f"{target}: the host key is not the expected one: expected {fingerprints[1]}, "
        f"got {fingerprints[0]}",
        hint="another machine answers, or the host was reinstalled; find out which first",
    )


def _login_failed(e: Exception, target: Target) -> HardpanError:
    return login_failed(target, LoginAttempts(), getattr(e, "allowed_types", ()))


def encrypted_key(_: Exception, target: Target) -> HardpanError:
    """Return the error for a private key that needs a passphrase."""
    return InputError(
        f"{target.identity or 'a private key'}: is encrypted",
        hint="add it to the agent with ssh-add",
    )


def _no_common_algorithm(e: Exception, target: Target) -> HardpanError:
    return UnsupportedByParamiko(target, f"an algorithm that both sides have: {e}")


def _timed_out(e: Exception, target: Target) -> HardpanError:
    return UnreachableError(f"{target}: does not answer: {str(e) or 'timed out'}")


def _name_not_resolved(e: Exception, target: Target) -> HardpanError:
    return UnreachableError(
        f"{target}: the name cannot be resolved: {getattr(e, 'strerror', '') or e}",
        hint="check the spelling, HostName in the ssh config, and DNS",
    )


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
    socket.gaierror: _name_not_resolved,
    EOFError: _connection_closed,
    paramiko.SSHException: _connection_closed,
    OSError: _connection_closed,
}
"""Exception type -> translation, subclasses first; a test walks all types of paramiko."""
