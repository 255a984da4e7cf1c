"""Ways to a target (addresses, proxy commands, jump hosts) and messages of failed logins."""

import dataclasses
import getpass
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hardpan.core.errors import InputError, TrustError, UnreachableError
from hardpan.core.process import find_program, run, spawn
from hardpan.ssh.client import connect
from hardpan.ssh.target import parse_target
from hardpan.ssh.transport_kind import TransportKind
from hardpan.ssh.transports import open_connection
from hardpan.ssh.unsupported import UnsupportedByParamiko
from tests.integration.local_sshd import free_port, wait_for_port
from tests.integration.ssh_world import World, build_world

pytestmark = pytest.mark.integration

USER = getpass.getuser()


@dataclass(frozen=True, slots=True)
class Sshd:
    """A running sshd."""

    port: int
    known_hosts: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    Path("/run/sshd").mkdir(exist_ok=True)
    with build_world(tmp_path_factory.mktemp("world")) as result:
        yield result


@contextmanager
def run_sshd(world: World, folder: Path, name: str, *settings: str) -> Iterator[Sshd]:
    """An sshd on 127.0.0.1 and ::1 that accepts ``user_ed25519``."""
    port = free_port()
    config = folder / f"{name}_config"
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        "ListenAddress ::1",
        f"HostKey {world.path('host_ed25519')}",
        f"AuthorizedKeysFile {world.path('user_ed25519')}.pub",
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin yes",
        "PasswordAuthentication no",
        *settings,
    ]
    config.write_text("\n".join(lines) + "\n")
    argv = [find_program("sshd") or "sshd", "-D", "-e", "-f", config]
    known_hosts = folder / f"{name} known hosts"
    key = world.public_key("host_ed25519")
    known_hosts.write_text(f"[127.0.0.1]:{port},[::1]:{port},[localhost]:{port} {key}\n")
    with spawn(argv, log=folder / f"{name}.log"):
        wait_for_port(port)
        yield Sshd(port, known_hosts)


@pytest.fixture(scope="module")
def sshd(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with run_sshd(world, tmp_path_factory.mktemp("sshd"), "first") as result:
        yield result


def write_config(folder: Path, world: World, sshd: Sshd, text: str) -> Path:
    path = folder / "config"
    path.write_text(
        f'{text}\nHost *\n  UserKnownHostsFile "{sshd.known_hosts}" {folder}/none\n'
        f"  GlobalKnownHostsFile none\n  User {USER}\n  Port {sshd.port}\n"
        f"  IdentityAgent none\n  IdentityFile {world.path('user_ed25519')}\n"
    )
    return path


def connect_and_run(destination: str, config: Path) -> str:
    """Run a command through hardpan, after the same through ssh."""
    argv = ["ssh", "-F", config, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    run([*argv, destination, "true"], timeout_s=60)
    with connect(parse_target(destination, ssh_config=config), timeout_s=20) as connection:
        return connection.run("echo $SSH_CONNECTION", timeout_s=20).stdout


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ("HostName ::1", "::1"),
        ("HostName localhost\n AddressFamily inet", "127.0.0.1"),
        ("HostName 127.0.0.1\n BindAddress 127.0.0.9\n ConnectionAttempts 2", "127.0.0.9"),
        ("HostName 127.0.0.1\n ConnectTimeout 5\n Compression yes", "127.0.0.1"),
        ("HostName 127.0.0.1\n Ciphers aes256-gcm@openssh.com", "127.0.0.1"),
        ("HostName 127.0.0.1\n MACs hmac-sha2-512\n Ciphers aes256-ctr", "127.0.0.1"),
        ("HostName 127.0.0.1\n KexAlgorithms ecdh-sha2-nistp384", "127.0.0.1"),
    ],
)
def test_network_settings_are_followed(
    world: World, sshd: Sshd, tmp_path: Path, settings: str, address: str
) -> None:
    config = write_config(tmp_path, world, sshd, f"Host web\n {settings}")

    assert connect_and_run("web", config).split()[0] == address


def test_include_and_match_depend_on_the_typed_user(
    world: World, sshd: Sshd, tmp_path: Path
) -> None:
    (tmp_path / "included").write_text(f"Match user {USER}\n HostName 127.0.0.1\n")
    config = write_config(tmp_path, world, sshd, f"Include {tmp_path}/included")

    assert connect_and_run(f"{USER}@web", config).startswith("127.0.0.1 ")


@pytest.mark.parametrize("program", ["sshd", "socat", "nc"])
def test_proxy_command_carries_the_connection(
    world: World, sshd: Sshd, tmp_path: Path, program: str
) -> None:
    if find_program(program) is None:
        pytest.skip(f"{program} is not installed")
    sshd_config = next(sshd.known_hosts.parent.glob("first_config"))
    commands = {
        "sshd": f"{find_program('sshd')} -i -f {sshd_config}",
        "socat": "socat - TCP:%h:%p",
        "nc": "nc %h %p",
    }
    config = write_config(
        tmp_path, world, sshd, f"Host web\n HostName 127.0.0.1\n ProxyCommand {commands[program]}"
    )

    assert connect_and_run("web", config) != ""


def test_failed_proxy_command_is_named_with_its_message(
    world: World, sshd: Sshd, tmp_path: Path
) -> None:
    command = "sh -c 'echo no route >&2; exit 3'"
    config = write_config(tmp_path, world, sshd, f"Host web\n ProxyCommand {command}")

    with pytest.raises(UnreachableError, match=r"ProxyCommand .* no SSH connection: no route"):
        connect_once(config)


def connect_once(config: Path, destination: str = "web") -> None:
    with connect(parse_target(destination, ssh_config=config), timeout_s=20):
        pass


def test_jump_hosts_are_checked_and_chained(world: World, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first, second, last = (
            stack.enter_context(run_sshd(world, tmp_path, name))
            for name in ("first", "second", "last")
        )
        config = write_config(
            tmp_path,
            world,
            last,
            f"Host web\n HostName 127.0.0.1\n ProxyJump gate,127.0.0.1:{second.port}\n"
            f"Match originalhost gate\n HostName ::1\n Port {first.port}\n"
            f'Match all\n UserKnownHostsFile "{tmp_path}/all"',
        )
        servers = (first, second, last)
        (tmp_path / "all").write_text("".join(s.known_hosts.read_text() for s in servers))

        assert connect_and_run("web", config).split()[-1] == str(last.port)

        (tmp_path / "all").write_text(first.known_hosts.read_text() + last.known_hosts.read_text())
        with pytest.raises(TrustError, match=rf"127.0.0.1:{second.port}: unknown host key"):
            connect_once(config)


def test_jump_host_without_forwarding_is_named(world: World, tmp_path: Path) -> None:
    with run_sshd(world, tmp_path, "gate", "AllowTcpForwarding no") as gate:
        config = write_config(
            tmp_path, world, gate, f"Host web\n HostName 127.0.0.1\n ProxyJump [::1]:{gate.port}"
        )

        with pytest.raises(UnreachableError, match="cannot be reached from the jump host"):
            connect_once(config)


def test_agent_with_too_many_keys_names_cause_and_remedy(world: World, tmp_path: Path) -> None:
    with run_sshd(world, tmp_path, "few", "MaxAuthTries 3") as sshd:
        agent = world.folder / "full.sock"
        config = tmp_path / "config"
        config.write_text(
            f"Host web\n HostName 127.0.0.1\n Port {sshd.port}\n User {USER}\n"
            f' IdentityAgent {agent}\n UserKnownHostsFile "{sshd.known_hosts}"\n'
        )

        with pytest.raises(UnreachableError, match=r"after 3 keys: .*MaxAuthTries") as caught:
            connect_once(config)
        assert "IdentitiesOnly yes" in caught.value.hint

        target = parse_target("web", ssh_config=config, identity=world.path("user_ed25519"))
        with connect(target, timeout_s=20) as connection:
            assert connection.host_key.trust == "known_hosts"


@pytest.mark.parametrize(
    ("setting", "problem", "hint"),
    [
        ("IdentityFile {locked}", "is encrypted and not in the agent", "ssh-add"),
        ("IdentityFile {open}", "is accessible to group or others .mode 0644.", "chmod 600"),
        ("IdentityFile {garbage}", "is not a private key that can be used", "authorized_keys"),
        ("IdentityFile {missing}", "neither the agent nor the ssh config", "authorized_keys"),
        (
            "IdentityFile {spare_1}",
            "login failed with .*spare_1; the host accepts: .*publickey",
            "",
        ),
    ],
)
def test_failed_login_names_the_cause(
    world: World, sshd: Sshd, tmp_path: Path, setting: str, problem: str, hint: str
) -> None:
    files = {name: str(world.path(name)) for name in ("locked", "spare_1")}
    for name, text in {"open": world.path("spare_2").read_text(), "garbage": "no key\n"}.items():
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o644 if name == "open" else 0o600)
        files[name] = str(path)
    line = setting.format(missing=tmp_path / "missing", **files)
    config = tmp_path / "config"
    config.write_text(
        f"Host web\n HostName 127.0.0.1\n Port {sshd.port}\n User {USER}\n {line}\n"
        f' IdentityAgent none\n UserKnownHostsFile "{sshd.known_hosts}"\n'
    )

    with pytest.raises(UnreachableError, match=problem) as caught:
        connect_once(config)
    assert hint in caught.value.hint


def test_encrypted_identity_works_through_the_agent_only(
    world: World, sshd: Sshd, tmp_path: Path
) -> None:
    config = write_config(tmp_path, world, sshd, "Host web\n HostName 127.0.0.1")
    target = parse_target("web", ssh_config=config, identity=world.path("locked"))

    with pytest.raises(InputError, match="locked is encrypted"), connect(target, timeout_s=20):
        pass

    key = tmp_path / "encrypted"
    key.write_bytes(world.path("user_ed25519").read_bytes())
    key.chmod(0o600)
    run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", key], timeout_s=30)
    with_agent = dataclasses.replace(target.settings, agent_socket=str(world.folder / "agent.sock"))
    with connect(
        dataclasses.replace(target, identity=key, settings=with_agent), timeout_s=20
    ) as connection:
        assert connection.host_key.trust == "known_hosts"


def test_public_identity_selects_the_key_of_the_agent(
    world: World, sshd: Sshd, tmp_path: Path
) -> None:
    config = write_config(
        tmp_path, world, sshd, f"Host web\n IdentityAgent {world.folder}/full.sock"
    )
    target = parse_target(
        "127.0.0.1", ssh_config=config, identity=Path(f"{world.path('user_ed25519')}.pub")
    )
    settings = dataclasses.replace(target.settings, agent_socket=str(world.folder / "full.sock"))

    with connect(dataclasses.replace(target, settings=settings), timeout_s=20) as connection:
        assert connection.host_key.trust == "known_hosts"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("NoSuchOption yes", "ssh does not accept it: .*Bad configuration option"),
        ("IdentityFile /k/%z", "unknown token '%z'"),
        ("IdentityFile /k/${NO_SUCH_VARIABLE}", "the variable NO_SUCH_VARIABLE is not set"),
        ("KnownHostsCommand /bin/echo %z", "unknown token '%z'"),
    ],
)
def test_invalid_configuration_is_an_input_error(
    world: World, sshd: Sshd, tmp_path: Path, text: str, problem: str
) -> None:
    config = write_config(tmp_path, world, sshd, f"Host web\n {text}")

    with pytest.raises(InputError, match=problem):
        parse_target("web", ssh_config=config)


@pytest.mark.parametrize("name", ["no-such-host.invalid", "127.0.0.1"])
def test_unresolvable_name_is_named(world: World, sshd: Sshd, tmp_path: Path, name: str) -> None:
    config = write_config(tmp_path, world, sshd, "AddressFamily inet6")

    with pytest.raises(UnreachableError, match="the name cannot be resolved"):
        connect_once(config, name)


@pytest.mark.parametrize(
    "setting",
    [
        "Ciphers chacha20-poly1305@openssh.com",
        "KexAlgorithms sntrup761x25519-sha512@openssh.com",
        "MACs umac-128-etm@openssh.com\nCiphers aes256-ctr",
    ],
)
def test_algorithm_that_paramiko_lacks_is_left_to_the_system_ssh(
    world: World, tmp_path: Path, setting: str
) -> None:
    with run_sshd(world, tmp_path, "modern", setting) as sshd:
        config = write_config(tmp_path, world, sshd, "")
        target = parse_target("127.0.0.1", ssh_config=config)

        with pytest.raises(UnsupportedByParamiko, match="an algorithm that both sides have"):
            connect_once(config, "127.0.0.1")
        with open_connection(target, timeout_s=20) as connection:
            assert connection.run("echo done", timeout_s=20).stdout == "done\n"
            assert connection.transport.kind is TransportKind.OPENSSH
