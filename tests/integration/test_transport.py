"""The transport against a real sshd."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardpan.errors import InputError, ToolError, TrustError, UnreachableError
from hardpan.events import Record, RemoteCommandEnded, observed
from hardpan.process import run
from hardpan.scanners.model import HostKeyTrust
from hardpan.scanners.target import Target, parse
from hardpan.scanners.transport import Transport, connect
from tests.integration.local_sshd import free_port, local_sshd

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with local_sshd(tmp_path_factory.mktemp("sshd")) as found:
        yield found


@pytest.fixture
def via(target: Target) -> Iterator[Transport]:
    with connect(target, timeout_s=20) as found:
        yield found


@pytest.fixture
def other_key(tmp_path: Path) -> str:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], timeout_s=30)
    return " ".join((tmp_path / "other.pub").read_text().split()[:2])


def reach(target: Target) -> Transport:
    with connect(target, timeout_s=20) as found:
        return found


def test_the_pinned_key_is_named_as_ssh_keygen_names_it(via: Transport, target: Target) -> None:
    assert target.identity is not None
    said = run(["ssh-keygen", "-lf", target.identity.parent / "host.pub"], timeout_s=30).stdout

    assert via.host_key.fingerprint == said.split()[1]
    assert (via.host_key.kind, via.host_key.trust) == ("ssh-ed25519", "pinned")
    guest = dataclasses.replace(target, pinned_by=HostKeyTrust.BUILT_IMAGE)
    assert reach(guest).host_key.trust is HostKeyTrust.BUILT_IMAGE


def test_flag_for_first_use_does_not_hide_that_the_key_was_known(
    target: Target, tmp_path: Path
) -> None:
    assert target.identity is not None
    listed = tmp_path / "listed"
    name = f"[{target.host}]:{target.port}"
    listed.write_text(f"{name} {(target.identity.parent / 'host.pub').read_text()}")
    known = dataclasses.replace(target, host_keys=(), known_hosts=(listed,))

    assert reach(dataclasses.replace(target, trust_new_host_key=True)).host_key.trust == "pinned"
    assert reach(dataclasses.replace(known, trust_new_host_key=True)).host_key.trust == (
        "known_hosts"
    )


def test_a_changed_host_key_ends_before_the_login(target: Target, other_key: str) -> None:
    with pytest.raises(TrustError, match="offered SHA256:"):
        reach(dataclasses.replace(target, host_keys=(other_key,)))


def test_a_changed_host_key_is_refused_even_with_the_flag(target: Target, other_key: str) -> None:
    odd = dataclasses.replace(target, host_keys=(other_key,), trust_new_host_key=True)

    with pytest.raises(TrustError, match="the host key is not the expected one"):
        reach(odd)


def test_an_unknown_host_key_is_refused_and_shown(target: Target) -> None:
    with pytest.raises(TrustError, match="unknown host key; it offers ssh-ed25519 SHA256:"):
        reach(dataclasses.replace(target, host_keys=()))


def test_first_use_is_believed_only_with_the_flag_and_that_is_recorded(target: Target) -> None:
    found = reach(dataclasses.replace(target, host_keys=(), trust_new_host_key=True))

    assert found.host_key.trust == "first_use"


def test_a_known_hosts_file_is_believed(target: Target, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{target.port} {target.host_keys[0]}\n")

    found = reach(dataclasses.replace(target, host_keys=(), known_hosts=(known,)))

    assert found.host_key.trust == "known_hosts"


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
def test_a_line_for_something_else_does_not_stop_the_login(
    target: Target, tmp_path: Path, other_key: str, line: bytes
) -> None:
    known = tmp_path / "known_hosts"
    odd = line % {b"other": other_key.split()[1].encode(), b"port": target.port}
    known.write_bytes(odd + f"\n[127.0.0.1]:{target.port} {target.host_keys[0]}\n".encode())

    found = reach(dataclasses.replace(target, host_keys=(), known_hosts=(known,)))

    assert found.host_key.trust == "known_hosts"


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("flag", [True, False])
def test_a_revoked_host_key_is_refused(
    target: Target, tmp_path: Path, listed: bool, flag: bool
) -> None:
    (key,) = target.host_keys
    plain, revoked = tmp_path / "known_hosts", tmp_path / "ssh_known_hosts"
    plain.write_text(f"[127.0.0.1]:{target.port} {key}\n" if listed else "")
    revoked.write_text(f"@revoked * {key}\n")
    files = (plain, revoked)

    with pytest.raises(TrustError, match=r"the host key is revoked: .* got ssh-ed25519 SHA256:"):
        reach(dataclasses.replace(target, host_keys=(), known_hosts=files, trust_new_host_key=flag))


@pytest.mark.parametrize(
    "pinned",
    [
        "ssh-foo AAAAC3NzaC1lZDI1NTE5AAAAIMWLhenlMNkgezhirinoY1lKdhQOhMR7STj8gegngR3o",
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIMWLhenl",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMWLhenlMNkgezhirinoY1lKd",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMWLhenlMNkgezhirinoY1lKdhQOhMR7STj8gegngR3oA",
    ],
)
def test_a_pinned_key_that_cannot_be_checked_is_refused(target: Target, pinned: str) -> None:
    where = parse(f"127.0.0.1:{target.port}", identity=target.identity, host_keys=[pinned])

    with pytest.raises(InputError, match="cannot be used: expected an ssh-ed25519"):
        reach(where)


def test_settings_come_from_an_ssh_config_as_ssh_reads_it(target: Target, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host web\n HostName 127.0.0.1\n Port {target.port}\n User {target.user}\n"
        f" IdentityFile {target.identity}\n"
    )

    found = parse("web", ssh_config=config, host_keys=target.host_keys)

    assert reach(found).host_key.trust == "pinned"


def test_a_closed_port_is_unreachable(target: Target) -> None:
    with pytest.raises(UnreachableError, match="refused the connection"):
        reach(dataclasses.replace(target, port=free_port()))


def test_a_key_that_is_not_authorized_is_unreachable(target: Target, tmp_path: Path) -> None:
    run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "k"], timeout_s=30)

    with pytest.raises(UnreachableError, match="no login with the key"):
        reach(dataclasses.replace(target, identity=tmp_path / "k"))


def test_an_argv_arrives_as_it_was(via: Transport) -> None:
    words = ["a b", "it's", "$HOME", "`id`", "", "*", "ü"]

    said = via.run(["printf", "%s\\n", *words], timeout_s=20).stdout

    assert said == "".join(w + "\n" for w in words)


def test_ten_megabytes_of_stderr_do_not_stop_it(via: Transport) -> None:
    found = via.run("head -c 10000000 /dev/zero >&2; echo done", timeout_s=60)

    assert (len(found.stderr), found.stdout) == (10_000_000, "done\n")


@pytest.mark.parametrize("stream", ["", " >&2"])
def test_an_endless_stream_is_cut_off(via: Transport, stream: str) -> None:
    with pytest.raises(ToolError, match="said more than 1 MiB"):
        via.run(f"yes{stream}", timeout_s=60, max_bytes=1 << 20)


def test_what_runs_too_long_is_ended_there_too(via: Transport) -> None:
    with pytest.raises(ToolError, match=r"did not end within 1 s"):
        via.run("sleep 7654321", timeout_s=1)

    assert via.run("ps ax | grep '[s]leep 7654321' || true", timeout_s=20).stdout == ""


def test_a_child_that_is_left_behind_does_not_hold_it(via: Transport) -> None:
    began = time.monotonic()

    assert via.run("sleep 30 & echo done", timeout_s=25).stdout == "done\n"
    assert time.monotonic() - began < 15


def test_every_command_is_published_by_its_name(via: Transport, target: Target) -> None:
    seen: list[Record] = []

    with observed(seen.append):
        via.run("exit 3", timeout_s=20, ok=None)
        via.run(["printf", "a secret"], timeout_s=20)

    commands = [r for r in seen if isinstance(r, RemoteCommandEnded)]
    assert [(r.target, r.command, r.exit_status) for r in commands] == [
        *((str(target), "exit", 3), (str(target), "printf", 0)),
    ]


def test_exit_codes_and_signals_are_told(via: Transport) -> None:
    assert via.run("exit 2", timeout_s=20, ok=(0, 2)).rc == 2
    with pytest.raises(ToolError, match="exited with 3"):
        via.run("echo why >&2; exit 3", timeout_s=20)
    with pytest.raises(ToolError, match="was ended by a signal"):
        via.run("kill -SEGV $$", timeout_s=20)


def test_a_file_goes_there_and_comes_back(via: Transport, tmp_path: Path) -> None:
    data, path = bytes(range(256)) * 9000, tmp_path / "a 'file'"

    via.put(data, str(path), timeout_s=60, mode=0o640)

    assert path.stat().st_mode & 0o777 == 0o640
    assert via.get(str(path), timeout_s=60, max_bytes=len(data)) == data
    with pytest.raises(ToolError, match="is longer than"):
        via.get(str(path), timeout_s=60, max_bytes=len(data) - 1)


def test_lines_are_heard_as_they_come(via: Transport, tmp_path: Path) -> None:
    heard: list[str] = []

    def hear(line: str) -> None:
        heard.append(line)
        (tmp_path / line).touch()

    # The second line is written only after the first was heard.
    wait = f"until [ -e '{tmp_path}/one' ]; do sleep .05; done"
    via.run(f"echo one >&2; {wait}; echo two >&2", timeout_s=20, on_line=hear)

    assert heard == ["one", "two"]


def test_many_commands_share_one_connection(via: Transport) -> None:
    said: list[str] = []
    threads = [
        threading.Thread(
            target=lambda n=n: said.append(via.run(["echo", str(n)], timeout_s=30).stdout.strip())
        )
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(said) == [str(n) for n in range(6)]


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
def test_password_that_a_target_sends_back_is_removed(target: Target, command: str) -> None:
    heard: list[str] = []
    plain = (PASSWORD, PASSWORD[::-1], PASSWORD.encode().hex(" "), "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5")

    with connect(target, timeout_s=20, sudo_password=PASSWORD) as via:
        output = via.run(command, timeout_s=20, on_line=heard.append)

    told = f"{output.stdout}\n{output.stderr}\n{heard}"
    assert "[redacted]" in told
    assert [form for form in plain if form in told] == []


def test_password_in_the_message_of_a_failure_is_removed(target: Target) -> None:
    with (
        connect(target, timeout_s=20, sudo_password=PASSWORD) as via,
        pytest.raises(ToolError) as caught,
    ):
        via.run(f"echo '{PASSWORD}' >&2; exit 3", timeout_s=20)

    assert caught.value.tail == "[redacted]"


def test_archive_is_left_as_it_is_for_who_unpacks_it(target: Target) -> None:
    with connect(target, timeout_s=20, sudo_password=PASSWORD) as via:
        output = via.run(f"echo '{PASSWORD}'", timeout_s=20, is_archive=True)

    assert output.data == f"{PASSWORD}\n".encode()
    assert output.secrets.data(output.data) == b"[redacted]\n"
