"""The transport against a real sshd."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardpan.core.errors import InputError, ToolError, TrustError, UnreachableError
from hardpan.core.events import Record, RemoteCommandEnded, observe
from hardpan.core.process import run
from hardpan.ssh.connection import Connection
from hardpan.ssh.destination import Destination
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.local_target import find_local_target
from hardpan.ssh.target import Target, parse_target
from hardpan.ssh.transport_kind import TransportKind
from hardpan.ssh.transports import open_connection
from tests.integration.local_sshd import free_port, local_sshd

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with local_sshd(tmp_path_factory.mktemp("sshd")) as result:
        yield result


SSH_TRANSPORTS = (TransportKind.PARAMIKO, TransportKind.OPENSSH)


@pytest.fixture(params=SSH_TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> TransportKind:
    return TransportKind(request.param)


@pytest.fixture(params=[*SSH_TRANSPORTS, TransportKind.LOCAL])
def connection(request: pytest.FixtureRequest, target: Target) -> Iterator[Connection]:
    is_local = request.param is TransportKind.LOCAL
    chosen_target = find_local_target() if is_local else target
    with open_connection(chosen_target, timeout_s=20, transport=request.param) as result:
        assert result.transport.kind is request.param
        yield result


@pytest.fixture
def other_key(tmp_path: Path) -> str:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], timeout_s=30)
    return " ".join((tmp_path / "other.pub").read_text().split()[:2])


def connect_once(target: Target, transport: TransportKind = TransportKind.PARAMIKO) -> Connection:
    with open_connection(target, timeout_s=20, transport=transport) as result:
        return result


def test_host_key_fingerprint_matches_ssh_keygen(transport: TransportKind, target: Target) -> None:
    assert target.identity is not None
    output = run(["ssh-keygen", "-lf", target.identity.parent / "host.pub"], timeout_s=30).stdout

    host_key = connect_once(target, transport).host_key
    assert host_key.fingerprint == output.split()[1]
    assert (host_key.kind, host_key.trust) == ("ssh-ed25519", "pinned")
    guest = dataclasses.replace(target, pinned_by=HostKeyTrust.BUILT_IMAGE)
    assert connect_once(guest, transport).host_key.trust is HostKeyTrust.BUILT_IMAGE


def test_trust_new_host_key_does_not_change_listed_trust(
    transport: TransportKind, target: Target, tmp_path: Path
) -> None:
    assert target.identity is not None
    listed = tmp_path / "listed"
    name = f"[{target.host}]:{target.port}"
    listed.write_text(f"{name} {(target.identity.parent / 'host.pub').read_text()}")
    listed_target = dataclasses.replace(target, host_keys=(), known_hosts=(listed,))

    assert (
        connect_once(dataclasses.replace(target, trust_new_host_key=True), transport).host_key.trust
        == "pinned"
    )
    assert connect_once(
        dataclasses.replace(listed_target, trust_new_host_key=True), transport
    ).host_key.trust == ("known_hosts")


def test_changed_host_key_is_refused_before_login(
    transport: TransportKind, target: Target, other_key: str
) -> None:
    with pytest.raises(TrustError, match="got SHA256:"):
        connect_once(dataclasses.replace(target, host_keys=(other_key,)), transport)


def test_changed_host_key_is_refused_despite_trust_flag(
    transport: TransportKind, target: Target, other_key: str
) -> None:
    changed = dataclasses.replace(target, host_keys=(other_key,), trust_new_host_key=True)

    with pytest.raises(TrustError, match="the host key is not the expected one"):
        connect_once(changed, transport)


def test_unknown_host_key_is_refused_and_displayed(
    transport: TransportKind, target: Target
) -> None:
    with pytest.raises(TrustError, match="unknown host key; it offers ssh-ed25519 SHA256:"):
        connect_once(dataclasses.replace(target, host_keys=()), transport)


def test_trust_on_first_use_is_recorded(transport: TransportKind, target: Target) -> None:
    result = connect_once(
        dataclasses.replace(target, host_keys=(), trust_new_host_key=True), transport
    )

    assert result.host_key.trust == "first_use"


def test_known_hosts_file_is_trusted(
    transport: TransportKind, target: Target, tmp_path: Path
) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{target.port} {target.host_keys[0]}\n")

    result = connect_once(
        dataclasses.replace(target, host_keys=(), known_hosts=(known_hosts,)), transport
    )

    assert result.host_key.trust == "known_hosts"


@pytest.mark.parametrize(
    "line",
    [
        b"@cert-authority *.example.com ssh-ed25519 %(other)s",
        b"@cert-authority * ssh-ed25519 %(other)s",
        b"@revoked * ssh-ed25519 %(other)s",
        b"example.net ssh-ed25519 notbase64!!",
        b"[127.0.0.1]:%(port)d ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA",
        b"[127.0.0.1]:%(port)d sk-ssh-ed25519@openssh.com %(other)s",
        b"example.net ssh-ed25519 %(other)s # B\xfcro",
    ],
)
def test_unrelated_known_hosts_lines_do_not_prevent_login(
    transport: TransportKind, target: Target, tmp_path: Path, other_key: str, line: bytes
) -> None:
    known_hosts = tmp_path / "known_hosts"
    unrelated_line = line % {b"other": other_key.split()[1].encode(), b"port": target.port}
    known_hosts.write_bytes(
        unrelated_line + f"\n[127.0.0.1]:{target.port} {target.host_keys[0]}\n".encode()
    )

    result = connect_once(
        dataclasses.replace(target, host_keys=(), known_hosts=(known_hosts,)), transport
    )

    assert result.host_key.trust == "known_hosts"


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("flag", [True, False])
def test_revoked_host_key_is_refused(
    transport: TransportKind, target: Target, tmp_path: Path, listed: bool, flag: bool
) -> None:
    (key,) = target.host_keys
    plain, revoked = tmp_path / "known_hosts", tmp_path / "ssh_known_hosts"
    plain.write_text(f"[127.0.0.1]:{target.port} {key}\n" if listed else "")
    revoked.write_text(f"@revoked * {key}\n")
    files = (plain, revoked)

    with pytest.raises(TrustError, match=r"the host key is revoked: .* got ssh-ed25519 SHA256:"):
        connect_once(
            dataclasses.replace(target, host_keys=(), known_hosts=files, trust_new_host_key=flag),
            transport,
        )


@pytest.mark.parametrize(
    "pinned",
    [
        "ssh-foo AAAAC3NzaC1lZDI1NTE5AAAAIMWLhenlMNkgezhirinoY1lKdhQOhMR7STj8gegngR3o",
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIMWLhenl",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMWLhenlMNkgezhirinoY1lKd",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMWLhenlMNkgezhirinoY1lKdhQOhMR7STj8gegngR3oA",
    ],
)
def test_unusable_pinned_key_is_refused(target: Target, pinned: str) -> None:
    pinned_target = parse_target(
        f"127.0.0.1:{target.port}", identity=target.identity, host_keys=[pinned]
    )

    with pytest.raises(InputError, match="cannot be used: expected an ssh-ed25519"):
        connect_once(pinned_target)


def test_ssh_config_is_resolved_by_openssh(
    transport: TransportKind, target: Target, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host web\n HostName 127.0.0.1\n Port {target.port}\n User {target.user}\n"
        f" IdentityFile {target.identity}\n"
    )

    configured = parse_target("web", ssh_config=config, host_keys=target.host_keys)

    assert connect_once(configured, transport).host_key.trust == "pinned"


def test_closed_port_is_unreachable(transport: TransportKind, target: Target) -> None:
    port = free_port()
    typed = Destination(user=target.user, host=target.host, port=str(port))

    with pytest.raises(UnreachableError, match="refused the connection"):
        connect_once(dataclasses.replace(target, port=port, typed=typed), transport)


def test_unauthorized_key_is_unreachable(
    transport: TransportKind, target: Target, tmp_path: Path
) -> None:
    run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "k"], timeout_s=30)

    with pytest.raises(UnreachableError, match="login failed with the key"):
        connect_once(dataclasses.replace(target, identity=tmp_path / "k"), transport)


def test_argv_is_passed_unchanged(connection: Connection) -> None:
    arguments = ["a b", "it's", "$HOME", "`id`", "", "*", "ü"]

    output = connection.run(["printf", "%s\\n", *arguments], timeout_s=20).stdout

    assert output == "".join(w + "\n" for w in arguments)


def test_ten_megabytes_of_stderr_do_not_block(connection: Connection) -> None:
    result = connection.run("head -c 10000000 /dev/zero >&2; echo done", timeout_s=60)

    assert (len(result.stderr), result.stdout) == (10_000_000, "done\n")


@pytest.mark.parametrize("stream", ["", " >&2"])
def test_endless_output_is_ended(connection: Connection, stream: str) -> None:
    with pytest.raises(ToolError, match="sent more than 1 MiB"):
        connection.run(f"yes{stream}", timeout_s=60, max_bytes=1 << 20)


def test_timeout_ends_the_command_on_the_target(connection: Connection) -> None:
    with pytest.raises(ToolError, match=r"did not end within 1 s"):
        connection.run("sleep 7654321", timeout_s=1)

    assert connection.run("ps ax | grep '[s]leep 7654321' || true", timeout_s=20).stdout == ""


def test_background_child_does_not_block_the_command(connection: Connection) -> None:
    start = time.monotonic()

    assert connection.run("sleep 30 & echo done", timeout_s=25).stdout == "done\n"
    assert time.monotonic() - start < 15


def test_commands_are_published_by_name(connection: Connection) -> None:
    records: list[Record] = []

    with observe(records.append):
        connection.run("exit 3", timeout_s=20, ok=None)
        connection.run(["printf", "a secret"], timeout_s=20)

    commands = [r for r in records if isinstance(r, RemoteCommandEnded)]
    assert [(r.target, r.command, r.exit_status) for r in commands] == [
        *((str(connection.target), "exit", 3), (str(connection.target), "printf", 0)),
    ]


def test_exit_status_and_signals_are_reported(connection: Connection) -> None:
    assert connection.run("exit 2", timeout_s=20, ok=(0, 2)).exit_status == 2
    with pytest.raises(ToolError, match="exited with 3"):
        connection.run("echo why >&2; exit 3", timeout_s=20)
    with pytest.raises(ToolError, match="was ended by a signal"):
        connection.run("kill -SEGV $$", timeout_s=20)


def test_file_round_trips(connection: Connection, tmp_path: Path) -> None:
    data, path = bytes(range(256)) * 9000, tmp_path / "a 'file'"

    connection.write_file(data, str(path), timeout_s=60, mode=0o640)

    assert path.stat().st_mode & 0o777 == 0o640
    assert connection.read_file(str(path), timeout_s=60, max_bytes=len(data)) == data
    with pytest.raises(ToolError, match="is longer than"):
        connection.read_file(str(path), timeout_s=60, max_bytes=len(data) - 1)


def test_stderr_lines_are_delivered_immediately(connection: Connection, tmp_path: Path) -> None:
    lines: list[str] = []

    def record_line(line: str) -> None:
        lines.append(line)
        (tmp_path / line).touch()

    # The second line is written only after the first was heard.
    wait = f"until [ -e '{tmp_path}/one' ]; do sleep .05; done"
    connection.run(f"echo one >&2; {wait}; echo two >&2", timeout_s=20, on_line=record_line)

    assert lines == ["one", "two"]


def test_many_commands_share_a_connection(connection: Connection) -> None:
    outputs: list[str] = []
    threads = [
        threading.Thread(
            target=lambda n=n: outputs.append(
                connection.run(["echo", str(n)], timeout_s=30).stdout.strip()
            )
        )
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outputs) == [str(n) for n in range(6)]


PASSWORD = "correct horse battery"


@pytest.mark.parametrize(
    "command",
    [
        f"echo '{PASSWORD}'",
        f"printf '%s' '{PASSWORD}' | base64",
        f"printf 'x%s' '{PASSWORD}' | od -An -v -tx1 | tr -d '\n'",
        f"printf '%s\n' '{PASSWORD}' | rev",
        f"echo '{PASSWORD}' >&2",
    ],
)
def test_password_in_target_output_is_redacted(
    transport: TransportKind, target: Target, command: str
) -> None:
    lines: list[str] = []
    plain = (PASSWORD, PASSWORD[::-1], PASSWORD.encode().hex(" "), "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5")

    with open_connection(
        target, timeout_s=20, sudo_password=PASSWORD, transport=transport
    ) as connection:
        output = connection.run(command, timeout_s=20, on_line=lines.append)

    received = f"{output.stdout}\n{output.stderr}\n{lines}"
    assert "[redacted]" in received
    assert [form for form in plain if form in received] == []


def test_password_in_failure_message_is_redacted(transport: TransportKind, target: Target) -> None:
    with (
        open_connection(
            target, timeout_s=20, sudo_password=PASSWORD, transport=transport
        ) as connection,
        pytest.raises(ToolError) as caught,
    ):
        connection.run(f"echo '{PASSWORD}' >&2; exit 3", timeout_s=20)

    assert caught.value.output_tail == "[redacted]"


def test_archive_output_is_not_redacted(transport: TransportKind, target: Target) -> None:
    with open_connection(
        target, timeout_s=20, sudo_password=PASSWORD, transport=transport
    ) as connection:
        output = connection.run(f"echo '{PASSWORD}'", timeout_s=20, is_archive=True)

    assert output.data == f"{PASSWORD}\n".encode()
    assert output.secrets.filter_bytes(output.data) == b"[redacted]\n"
