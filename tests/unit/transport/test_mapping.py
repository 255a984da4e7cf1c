import inspect

import paramiko
import pytest
from paramiko import ssh_exception

from hardpan.errors import HardpanError, InputError, TrustError, UnreachableError
from hardpan.scanners.ssh_errors import FOREIGN, fingerprint, mapped
from hardpan.scanners.target import Target

TARGET = Target(host="host", user="me")
KINDS = [
    c for _, c in inspect.getmembers(ssh_exception, inspect.isclass) if issubclass(c, Exception)
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_exception_of_paramiko_is_mapped(kind: type[Exception]) -> None:
    assert kind in FOREIGN


@pytest.mark.parametrize("kind", KINDS)
def test_a_special_exception_is_reached_before_its_base(kind: type[Exception]) -> None:
    made = kind.__new__(kind)

    first = next(k for k in FOREIGN if isinstance(made, k))

    assert FOREIGN[first] is FOREIGN[kind]


@pytest.mark.parametrize(
    ("foreign", "ours", "words"),
    [
        (paramiko.AuthenticationException(), UnreachableError, "no login with the agent"),
        (paramiko.PasswordRequiredException(), InputError, "is encrypted"),
        (paramiko.SSHException("Error reading banner"), UnreachableError, "reading banner"),
        (paramiko.BadAuthenticationType("", ["publickey"]), UnreachableError, "takes: publickey"),
        (ConnectionRefusedError(111, "refused"), UnreachableError, "refused the connection"),
        (TimeoutError(), UnreachableError, "does not answer: time is up"),
        (EOFError(), UnreachableError, "the connection was closed"),
        (OSError(113, "No route to host"), UnreachableError, "No route to host"),
    ],
)
def test_a_foreign_exception_becomes_ours(
    foreign: Exception, ours: type[HardpanError], words: str
) -> None:
    made = mapped(foreign, TARGET)

    assert type(made) is ours
    assert words in str(made)


def test_a_changed_host_key_is_trust_broken_and_shows_both_fingerprints() -> None:
    old, new = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()

    made = mapped(paramiko.BadHostKeyException("host", new, old), TARGET)

    assert isinstance(made, TrustError)
    assert f"expected {fingerprint(old.asbytes())}" in str(made)
    assert f"offered {fingerprint(new.asbytes())}" in str(made)
