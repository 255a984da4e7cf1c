"""A server that is not what it should be, and the real program on a real pseudo-terminal."""

import contextlib
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from hardpan import cli
from hardpan.core.process import run
from tests.tools.terminal_capture import (
    HOSTILE_LINES,
    HOSTILE_TEXT,
    PLANTED_TEXT,
    find_control_characters,
    find_forged_lines,
    run_on_terminal,
)

pytestmark = pytest.mark.integration

HOSTILE = HOSTILE_LINES.encode()
SINGLE_LINE = HOSTILE_TEXT.encode().replace(b"\0", b"")
VERSION = b"SSH-2.0-OpenSSH_9.2"
_LISTS = (
    b"curve25519-sha256",
    *(b"ssh-ed25519", b"aes128-ctr", b"aes128-ctr"),
    *(b"hmac-sha2-256", b"hmac-sha2-256", b"none", b"none", b"", b""),
)


def ssh_packet(payload: bytes) -> bytes:
    """A binary packet before encryption, RFC 4253 section 6."""
    padding = 8 - (len(payload) + 5) % 8 + 8
    return struct.pack("!IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def ssh_string(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


def kexinit(*lists: bytes) -> bytes:
    return ssh_packet(b"\x14" + bytes(16) + b"".join(map(ssh_string, lists)) + b"\0" + bytes(4))


def disconnect(reason: bytes) -> bytes:
    return ssh_packet(b"\x01" + struct.pack("!I", 2) + ssh_string(reason) + ssh_string(b""))


def debug_message(message: bytes) -> bytes:
    return ssh_packet(b"\x04\x01" + ssh_string(message) + ssh_string(b""))


SERVERS = {
    "number of the version": b"SSH-" + SINGLE_LINE + b"-x\r\n",
    "software of the version": b"SSH-2.0-" + SINGLE_LINE + b"\r\n",
    "comment of the version": VERSION + b" " + SINGLE_LINE + b"\r\n",
    "lines before the version": SINGLE_LINE + b"\r\nSSH-1.0-x\r\n",
    "lines and no version": (SINGLE_LINE + b"\r\n") * 101,
    "end before the version": SINGLE_LINE,
    "bytes that are no text": b"\x9b2J\xff\xfe\x85" + PLANTED_TEXT.encode() + b"\r\n",
    "reason of a disconnect": VERSION + b"\r\n" + disconnect(HOSTILE),
    "debug message": VERSION + b"\r\n" + debug_message(HOSTILE) + disconnect(HOSTILE),
    "name of a key exchange": VERSION + b"\r\n" + kexinit(HOSTILE, *_LISTS[1:]),
    "name of a cipher": VERSION + b"\r\n" + kexinit(*_LISTS[:2], HOSTILE, *_LISTS[3:]),
    "name of a host key": VERSION + b"\r\n" + kexinit(_LISTS[0], HOSTILE, *_LISTS[2:]),
    "unknown message": VERSION + b"\r\n" + ssh_packet(b"\xc8" + HOSTILE),
}


@contextlib.contextmanager
def serve_bytes(data: bytes) -> Iterator[int]:
    """Yield the port of a server that sends ``data`` on each connection, and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                with contextlib.suppress(OSError), listener.accept()[0] as connection:
                    connection.sendall(data)
                    connection.settimeout(0.5)
                    connection.recv(1 << 16)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(1 << 16)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            ended.set()
            thread.join()


def run_program_on_terminal(argv: list[str], folder: Path) -> tuple[int, str]:
    """The exit code of the program itself, and all that comes on its terminal."""
    primary, secondary = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "xterm"}
    environment |= {"LC_ALL": "C.UTF-8", "COLUMNS": "200"}
    with subprocess.Popen(
        [sys.executable, "-m", "hardpan", *argv],
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        env=environment,
        start_new_session=True,
    ) as program:
        os.close(secondary)
        pieces, end = [], time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([primary], [], [], 0.2)[0]:
                try:
                    pieces.append(os.read(primary, 1 << 16))
                except OSError:  # all that wrote to it have ended
                    break
        code = program.wait(timeout=30)
    os.close(primary)
    return code, b"".join(pieces).decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("name", SERVERS)
def test_server_text_before_authentication_is_sanitized(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_bytes(
        b"[127.0.0.1]:1 " + HOSTILE.replace(b"\n", b"") + b"\n" + HOSTILE + b"\n"
    )

    with serve_bytes(SERVERS[name]) as port:
        argv = ["-v", "smoke", f"root@127.0.0.1:{port}", "--known-hosts", str(known_hosts)]
        code, screen = run_on_terminal(lambda: cli.run(argv), monkeypatch)

    assert code == 5
    assert "error: root@127.0.0.1" in screen
    assert PLANTED_TEXT in screen or name not in ("number of the version", "lines and no version")
    assert find_control_characters(screen) == set()
    assert find_forged_lines(screen) == []


class HostileServer(paramiko.ServerInterface):
    """A server whose key is the known one; ``lets_in`` says how far it goes."""

    def __init__(self, *, is_login_accepted: bool) -> None:
        self.is_login_accepted = is_login_accepted

    def get_allowed_auths(self, username: str) -> str:
        return "publickey" if self.is_login_accepted else HOSTILE_LINES

    def get_banner(self) -> tuple[str, str]:
        return HOSTILE_LINES, HOSTILE_LINES

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL if self.is_login_accepted else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        channel.sendall_stderr(HOSTILE)
        channel.sendall(HOSTILE)
        channel.send_exit_status(1)
        channel.shutdown(2)
        return True


@pytest.mark.parametrize("lets_in", [False, True])
def test_server_text_after_key_check_is_sanitized(
    lets_in: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, host_key_file = tmp_path / "key", tmp_path / "host"
    for path in (key, host_key_file):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], timeout_s=30)
    host_key = paramiko.Ed25519Key(filename=str(host_key_file))
    known_hosts = tmp_path / "known_hosts"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        known_hosts.write_text(
            f"[127.0.0.1]:{port} {host_key.get_name()} {host_key.get_base64()}\n"
        )

        def serve() -> None:
            served = paramiko.Transport(listener.accept()[0])
            served.add_server_key(host_key)
            with contextlib.suppress(paramiko.SSHException, EOFError):
                served.start_server(server=HostileServer(is_login_accepted=lets_in))
            served.join(20)
            served.close()

        thread = threading.Thread(target=serve)
        thread.start()
        argv = ["-v", "smoke", f"root@127.0.0.1:{port}", "--identity", str(key)]
        argv += ["--known-hosts", str(known_hosts)]
        code, screen = run_on_terminal(lambda: cli.run(argv), monkeypatch)
        thread.join()

    assert code in (1, 4, 5)
    assert PLANTED_TEXT in screen
    assert find_control_characters(screen) == set()
    assert find_forged_lines(screen) == []


def test_program_emits_only_its_colour_codes(tmp_path: Path) -> None:
    name = tmp_path / os.fsdecode(b"\x1b]0;x\x07\xff" + "\u202e".encode())
    name.mkdir()

    code, screen = run_program_on_terminal(["wheels", "audit", str(name)], tmp_path)

    assert code == 3
    assert "\x1b[1;31m" in screen
    assert r"\x1b]0;x\x07\udcff\u202e" in screen
    assert find_control_characters(screen) == set()


def test_program_sanitizes_server_text_on_a_terminal(tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.touch()
    with serve_bytes(SERVERS["lines and no version"]) as port:
        argv = ["smoke", f"root@127.0.0.1:{port}", "--known-hosts", str(known_hosts)]
        code, screen = run_program_on_terminal(argv, tmp_path)

    assert code == 5
    assert "\x1b[1;31merror: root@127.0.0.1" in screen
    assert PLANTED_TEXT in screen
    assert find_control_characters(screen) == set()
