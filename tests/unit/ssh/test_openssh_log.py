"""The log of OpenSSH's client: the verified host key, and the cause of a failure."""

import pytest

from hardpan.core.errors import HardpanError, InputError, TrustError, UnreachableError
from hardpan.ssh.openssh_log import needs_security_key_touch, parse_host_key, translate_log

A = "SHA256:" + "A" * 43
B = "SHA256:" + "B" * 43
CERTIFICATE = "ssh-ed25519-cert-v01@openssh.com"
CONNECTING = "debug1: Connecting to h [192.0.2.1] port 22.\r\n"
KEY_LINE = f"debug1: Server host key: ssh-ed25519 {A}\n"


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (CONNECTING + KEY_LINE + "debug1: Next authentication method: publickey\n", "ssh-ed25519"),
        (KEY_LINE + "debug1: rekey\n" + KEY_LINE, "ssh-ed25519"),
        (
            f'debug1: Server host certificate: ssh-rsa-cert-v01@openssh.com {A}, serial 1 ID "x"\n',
            "ssh-rsa",
        ),
    ],
)
def test_host_key_is_read_from_the_log(log: str, expected: str) -> None:
    assert parse_host_key(log) == (expected, A)


@pytest.mark.parametrize(
    "log",
    [
        "",
        "Server host key: ssh-ed25519 " + A,
        "debug1: Remote: debug1: Server host key: ssh-ed25519 " + A,
        # The server's debug message contains a line end.
        f"debug1: Remote: x\ndebug1: Server host key: ssh-ed25519 {B}\n{KEY_LINE}",
        f"{KEY_LINE}debug1: Remote: x\ndebug1: Server host key: ssh-ed25519 {B}\n",
        f"{KEY_LINE}debug1: Remote: x\ndebug1: Server host key: ssh-rsa {A}\n",
        # The id of a certificate contains one.
        (
            f'debug1: Server host certificate: {CERTIFICATE} {A}, serial 0 ID "\n'
            f'debug1: Server host key: ssh-ed25519 {B}\n" CA\n'
        ),
    ],
)
def test_ambiguous_or_missing_host_key_is_refused(log: str) -> None:
    with pytest.raises(TrustError, match="the host key is ambiguous: expected one"):
        parse_host_key(log)


@pytest.mark.parametrize(
    ("log", "error", "message"),
    [
        (
            KEY_LINE + "No ED25519 host key is known for h and you have requested strict checking."
            "\r\nHost key verification failed.\r\n",
            TrustError,
            f"admin@h:22: unknown host key; it offers ssh-ed25519 {A}",
        ),
        (
            KEY_LINE
            + "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n"
            + "Host key verification failed.\r\n",
            TrustError,
            f"not the expected one: expected the key that known_hosts lists, got {A}",
        ),
        (
            KEY_LINE
            + "@       WARNING: REVOKED HOST KEY DETECTED!               @\r\n"
            + "Host key verification failed.\r\n",
            TrustError,
            f"the host key is revoked: .*, got ssh-ed25519 {A}",
        ),
        (
            KEY_LINE + f"Host key ED25519 {A} revoked by file /etc/ssh/revoked\n",
            TrustError,
            "the host key is revoked",
        ),
        (
            CONNECTING + "KnownHostsCommand failed: exited 1\r\n",
            TrustError,
            "KnownHostsCommand failed: the host key cannot be checked",
        ),
        (
            KEY_LINE
            + f"Error checking host key ED25519 {A} in revoked keys file /r: invalid format"
            "\nHost key verification failed.\r\n",
            TrustError,
            "RevokedHostKeys /r cannot be checked",
        ),
        (
            CONNECTING + KEY_LINE + "admin@h: Permission denied (publickey,password).\r\n",
            UnreachableError,
            r"login failed with the agent; the host accepts: publickey, password \(admin@h: Perm",
        ),
        (
            CONNECTING + 'sign_and_send_pubkey: signing failed for ED25519 "k" from agent: agent '
            "refused operation\nadmin@h: Permission denied (publickey).\r\n",
            UnreachableError,
            "agent refused operation; admin@h: Permission denied",
        ),
        (
            CONNECTING + "Received disconnect from 192.0.2.1 port 22:2: Too many authentication "
            "failures\r\nDisconnected from 192.0.2.1 port 22\r\n",
            UnreachableError,
            "login failed with the agent: the host allows fewer attempts",
        ),
        (
            CONNECTING + "ssh: connect to host h port 22: Connection refused\r\n",
            UnreachableError,
            "refused the connection .*: Connection refused",
        ),
        (
            "ssh: Could not resolve hostname h: Name or service not known\r\n",
            UnreachableError,
            "does not answer: ssh: Could not resolve hostname",
        ),
        (
            CONNECTING + "Connection timed out during banner exchange\r\n",
            UnreachableError,
            "does not answer: Connection timed out during banner exchange",
        ),
        (
            CONNECTING + "Unable to negotiate with 192.0.2.1 port 22: no matching key exchange "
            "method found. Their offer: x\r\n",
            UnreachableError,
            "no matching key exchange method found. Their offer: x",
        ),
        (
            (
                "/home/a/.ssh/config: line 3: Bad configuration option: nope\r\n"
                "/home/a/.ssh/config: terminating, 1 bad configuration options\r\n"
            ),
            InputError,
            "ssh does not accept it: /home/a/.ssh/config: line 3",
        ),
        (CONNECTING, UnreachableError, "ssh ended without a message"),
    ],
)
def test_cause_of_a_failure_selects_the_error(
    log: str, error: type[HardpanError], message: str
) -> None:
    result = translate_log(log, "", target="admin@h:22", credentials="the agent")

    assert type(result) is error
    with pytest.raises(error, match=message):
        raise result


def test_pinned_key_is_expected_whatever_its_type() -> None:
    log = (
        KEY_LINE
        + "No ED25519 host key is known for hardpan-target\nHost key verification failed.\n"
    )
    result = translate_log(log, "", target="h", credentials="", pinned=B)

    assert f"the host key is not the expected one: expected {B}, got {A}" in str(result)


def test_output_of_the_server_selects_no_error() -> None:
    banner = "Bad configuration option: x\nHost key verification failed.\nConnection refused\n"
    result = translate_log(
        CONNECTING + "Connection closed by 192.0.2.1\n", banner, target="h", credentials=""
    )

    assert str(result) == "h: closed the connection (Connection closed by 192.0.2.1)"


def test_message_is_short_and_printable() -> None:
    log = CONNECTING + "\x1b[2Jx" * 5000 + "\n" + "y\u202e\n" * 100
    result = translate_log(log, "", target="h", credentials="")

    assert len(str(result)) < 1500
    assert str(result).isprintable()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            f"debug1: Server accepts key: /root/.ssh/id_sk ED25519-SK {A} explicit authenticator",
            True,
        ),
        (f"debug1: Server accepts key: /root/.ssh/id ED25519 {A} agent", False),
    ],
)
def test_security_key_is_recognized(line: str, expected: bool) -> None:
    assert needs_security_key_touch(f"{KEY_LINE}{line}\n") is expected
