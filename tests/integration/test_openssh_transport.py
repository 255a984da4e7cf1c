"""The system's ssh as transport: settings, hostile servers, lost connections, and its clean-up."""

import contextlib
import dataclasses
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from hardpan.core.errors import TrustError, UnreachableError
from hardpan.core.events import Event, StageMessage, discard
from hardpan.core.process import run
from hardpan.ssh import openssh
from hardpan.ssh.openssh import connect_openssh
from hardpan.ssh.target import Target, parse_target
from hardpan.ssh.transport_kind import TransportKind
from hardpan.ssh.transports import open_connection
from hardpan.ssh.unsupported import UnsupportedByParamiko
from tests.integration.local_sshd import local_sshd

pytestmark = pytest.mark.integration
OTHER = "SHA256:" + "B" * 43


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with local_sshd(tmp_path_factory.mktemp("sshd"), changes={"MaxSessions": 2}) as result:
        yield result


@pytest.fixture
def private_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder in which control sockets are created."""
    folder = Path("/run") / f"hardpan-test-{os.getpid()}"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    folder.rmdir()


def _find_ssh_processes(folder: Path) -> list[str]:
    output = run(["ps", "axo", "args"], timeout_s=30).stdout
    return [line for line in output.splitlines() if str(folder) in line]


def test_connection_leaves_no_process_and_no_file(target: Target, private_folder: Path) -> None:
    with connect_openssh(target, timeout_s=20, emit=discard) as connection:
        (folder,) = private_folder.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert connection.run(["echo", "x"], timeout_s=20).stdout == "x\n"
        assert _find_ssh_processes(folder) != []

    assert list(private_folder.iterdir()) == []
    assert _find_ssh_processes(folder) == []


def test_failed_login_leaves_no_file(target: Target, private_folder: Path) -> None:
    unknown = dataclasses.replace(target, host_keys=(), known_hosts=())
    with (
        pytest.raises(TrustError),
        connect_openssh(unknown, timeout_s=20, emit=discard),
    ):
        pass

    assert list(private_folder.iterdir()) == []


def test_configuration_cannot_weaken_the_connection(target: Target, tmp_path: Path) -> None:
    config, marker = tmp_path / "config", tmp_path / "marker"
    config.write_text(
        f"Host web\n HostName 127.0.0.1\n Port {target.port}\n User {target.user}\n"
        f" IdentityFile {target.identity}\n StrictHostKeyChecking no\n ForwardAgent yes\n"
        f" PermitLocalCommand yes\n LocalCommand touch {marker}\n RemoteCommand touch {marker}\n"
        f" ControlMaster auto\n ControlPath {tmp_path}/s\n ControlPersist yes\n RequestTTY force\n"
        f" ForkAfterAuthentication yes\n LogLevel QUIET\n LocalForward {tmp_path}/l 127.0.0.1:1\n"
        " NoHostAuthenticationForLocalhost yes\n"
    )
    listed_keys = tmp_path / "known hosts"
    listed_keys.write_text(f"[127.0.0.1]:{target.port} {target.host_keys[0]}\n")
    accepted = parse_target("web", ssh_config=config, known_hosts=listed_keys)
    empty = tmp_path / "empty"
    empty.touch()

    with connect_openssh(accepted, timeout_s=20, emit=discard) as connection:
        output = connection.run('echo "agent=$SSH_AUTH_SOCK"; tty', timeout_s=20, ok=(0, 1))
        assert output.stdout == "agent=\nnot a tty\n"
        assert connection.host_key.trust == "known_hosts"
    with (
        pytest.raises(TrustError, match="unknown host key; it offers ssh-ed25519 SHA256:"),
        connect_openssh(
            parse_target("web", ssh_config=config, known_hosts=empty), timeout_s=20, emit=discard
        ),
    ):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config", "empty", "known hosts"]


def test_jump_host_and_certificate(target: Target, tmp_path: Path) -> None:
    assert target.identity is not None
    folder = tmp_path / "inner"
    folder.mkdir()
    ca = tmp_path / "ca"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", ca], timeout_s=30)
    certificate = folder / "host-cert.pub"
    listed_keys = tmp_path / "known"

    def sign_host_key() -> None:
        sign = ["ssh-keygen", "-q", "-s", ca, "-I", "host", "-h", "-n", "inner"]
        run([*sign, folder / "host.pub"], timeout_s=30)

    with local_sshd(
        folder, changes={"HostCertificate": certificate}, prepare=sign_host_key
    ) as inner:
        config = tmp_path / "config"
        config.write_text(
            f"Host jump\n Port {target.port}\n IdentityFile {target.identity}\n"
            f"Host inner\n Port {inner.port}\n IdentityFile {inner.identity}\n ProxyJump jump\n"
            f" HostKeyAlias inner\n"
            f"Host *\n HostName 127.0.0.1\n User {target.user}\n UserKnownHostsFile {listed_keys}\n"
        )
        listed_keys.write_text(
            f"[127.0.0.1]:{target.port} {target.host_keys[0]}\n"
            f"@cert-authority inner {ca.with_suffix('.pub').read_text()}"
        )
        with connect_openssh(
            parse_target("inner", ssh_config=config), timeout_s=20, emit=discard
        ) as connection:
            port = connection.run('echo "${SSH_CONNECTION##* }"', timeout_s=20).stdout.strip()
            key = connection.host_key

    expected = run(["ssh-keygen", "-lf", folder / "host.pub"], timeout_s=30).stdout.split()[1]
    assert port == str(inner.port)
    assert (key.kind, key.fingerprint, key.trust) == ("ssh-ed25519", expected, "known_hosts")


def test_key_exchange_that_paramiko_lacks_uses_the_system_ssh(tmp_path: Path) -> None:
    changes = {"KexAlgorithms": "sntrup761x25519-sha512@openssh.com"}
    events: list[Event] = []

    with local_sshd(tmp_path, changes=changes) as target:
        with open_connection(target, timeout_s=20, emit=events.append) as connection:
            assert connection.run(["echo", "x"], timeout_s=20).stdout == "x\n"
            choice = connection.transport
        with (
            pytest.raises(UnsupportedByParamiko),
            open_connection(target, timeout_s=20, transport=TransportKind.PARAMIKO),
        ):
            pass

    assert choice.kind is TransportKind.OPENSSH
    assert choice.reason.startswith("paramiko cannot open this connection: it needs ")
    assert [event for event in events if isinstance(event, StageMessage)] == [
        StageMessage(stage="connect", text=f"{choice.reason}; the system's ssh is used")
    ]


def test_exit_status_of_ssh_itself_is_not_a_lost_connection(target: Target) -> None:
    with connect_openssh(target, timeout_s=20, emit=discard) as connection:
        assert connection.run("exit 255", timeout_s=20, ok=(255,)).exit_status == 255
        assert connection.run(["true"], timeout_s=20).exit_status == 0


def test_lost_connection_ends_the_command(target: Target) -> None:
    with connect_openssh(target, timeout_s=20, emit=discard) as connection:
        start = time.monotonic()
        with pytest.raises(UnreachableError, match="closed in the middle of a command"):
            connection.run(f"kill -KILL {_find_connection_process(target)}; sleep 20", timeout_s=25)
        with pytest.raises(UnreachableError):
            connection.run(["true"], timeout_s=5)

    assert time.monotonic() - start < 20


def test_refused_session_is_reported(target: Target) -> None:
    failures: list[Exception] = []

    with connect_openssh(target, timeout_s=20, emit=discard) as connection:

        def sleep() -> None:
            try:
                connection.run(["sleep", "3"], timeout_s=20)
            except UnreachableError as e:
                failures.append(e)

        threads = [threading.Thread(target=sleep) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [str(e) for e in failures] == [f"{target}: refused a session"]


def test_command_sees_the_end_of_the_connection(target: Target, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    ended = threading.Event()

    def close(connection_transport: Callable[[], None]) -> None:
        while not marker.exists():
            time.sleep(0.05)
        connection_transport()
        ended.set()

    with connect_openssh(target, timeout_s=20, emit=discard) as connection:
        closer = threading.Thread(target=close, args=(connection._transport.close,))
        closer.start()
        with pytest.raises(UnreachableError):
            connection.run(
                f"touch {marker}; cat >/dev/null; rm {marker}",
                timeout_s=30,
                kill_on_disconnect=True,
            )
        closer.join()

    for _ in range(100):
        if not marker.exists():
            break
        time.sleep(0.05)
    assert not marker.exists()


class HostileServer(paramiko.ServerInterface):
    """Accepts every key and sends ``texts`` as SSH_MSG_DEBUG before it does."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self._texts = texts
        self.transport: paramiko.Transport | None = None

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def get_banner(self) -> tuple[str, str]:
        return ("\n".join((*self._texts[:3], "Host key verification failed.\n")), "en")

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        assert self.transport is not None
        for text in self._texts:
            message = paramiko.Message()
            message.add_byte(paramiko.common.cMSG_DEBUG)
            message.add_boolean(False)
            message.add_string(text)
            message.add_string("")
            with contextlib.suppress(OSError, EOFError):
                self.transport._send_user_message(message)  # type: ignore[attr-defined]
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED


@contextlib.contextmanager
def _serve(folder: Path, texts: tuple[str, ...]) -> Iterator[Target]:
    host, user = paramiko.ECDSAKey.generate(), paramiko.RSAKey.generate(2048)
    user.write_private_key_file(str(folder / "key"))
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            server = paramiko.Transport(connection)
            server.add_server_key(host)
            interface = HostileServer(texts)
            interface.transport = server
            with contextlib.suppress(paramiko.SSHException, EOFError):
                server.start_server(server=interface)
            ended.wait(30)
            server.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Target(
            host="127.0.0.1",
            port=listener.getsockname()[1],
            user="root",
            identity=folder / "key",
            host_keys=(f"{host.get_name()} {host.get_base64()}",),
        )
        ended.set()
        thread.join(20)


def test_banner_cannot_change_key_or_outcome(tmp_path: Path) -> None:
    with (
        _serve(tmp_path, ()) as target,
        connect_openssh(target, timeout_s=20, emit=discard) as connection,
    ):
        assert connection.host_key.kind == "ecdsa-sha2-nistp256"
        assert connection.host_key.trust == "pinned"


def test_server_cannot_imitate_another_host_key(tmp_path: Path) -> None:
    text = f"x\ndebug1: Server host key: ssh-ed25519 {OTHER}\n"
    with (
        _serve(tmp_path, (text,)) as target,
        pytest.raises(TrustError, match="the host key is ambiguous: expected one, got 2"),
        connect_openssh(target, timeout_s=20, emit=discard),
    ):
        pass


def test_endless_log_ends_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openssh, "_MAX_LOG_BYTES", 64 << 10)
    with (
        _serve(tmp_path, ("x" * 800,) * 500) as target,
        pytest.raises(UnreachableError, match="sent more than 65536 bytes before the login"),
        connect_openssh(target, timeout_s=20, emit=discard),
    ):
        pass


def _find_connection_process(target: Target) -> str:
    """Return the id of sshd's process for the established connection of ``target``."""
    return (
        f"$(ss -Htnp 'sport = :{target.port}' | sed -n 's/.*pid=\\([0-9]*\\),.*/\\1/p' | head -1)"
    )
