import inspect

import paramiko
import pytest
from paramiko import ssh_exception

from hardpan.core.errors import HardpanError, InputError, TrustError, UnreachableError
from hardpan.ssh.errors import TRANSLATIONS, translate
from hardpan.ssh.fingerprints import fingerprint
from hardpan.ssh.target import Target

TARGET = Target(host="host", user="me")
EXCEPTION_TYPES = [
    c for _, c in inspect.getmembers(ssh_exception, inspect.isclass) if issubclass(c, Exception)
]


@pytest.mark.parametrize("kind", EXCEPTION_TYPES)
def test_every_paramiko_exception_is_translated(kind: type[Exception]) -> None:
    assert kind in TRANSLATIONS


@pytest.mark.parametrize("kind", EXCEPTION_TYPES)
def test_specific_exception_precedes_its_base(kind: type[Exception]) -> None:
    exception = kind.__new__(kind)

    first = next(k for k in TRANSLATIONS if isinstance(exception, k))

    assert TRANSLATIONS[first] is TRANSLATIONS[kind]


@pytest.mark.parametrize(
    ("foreign", "error_type", "message"),
    [
        (paramiko.AuthenticationException(), UnreachableError, "login failed with no key"),
        (paramiko.PasswordRequiredException(), InputError, "is encrypted"),
        (paramiko.SSHException("Error reading banner"), UnreachableError, "reading banner"),
        (paramiko.BadAuthenticationType("", ["publickey"]), UnreachableError, "accepts: publickey"),
        (ConnectionRefusedError(111, "refused"), UnreachableError, "refused the connection"),
        (TimeoutError(), UnreachableError, "does not answer: timed out"),
        (EOFError(), UnreachableError, "the connection was closed"),
        (OSError(113, "No route to host"), UnreachableError, "No route to host"),
    ],
)
def test_foreign_exception_is_translated(
    foreign: Exception, error_type: type[HardpanError], message: str
) -> None:
    result = translate(foreign, TARGET)

    assert type(result) is error_type
    assert message in str(result)


def test_changed_host_key_is_trust_error_with_fingerprints() -> None:
    old, new = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()

    result = translate(paramiko.BadHostKeyException("host", new, old), TARGET)

    assert isinstance(result, TrustError)
    assert f"expected {fingerprint(old.asbytes())}" in str(result)
    assert f"got {fingerprint(new.asbytes())}" in str(result)
