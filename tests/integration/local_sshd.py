"""A real sshd on a loopback port, with keys of its own, for the length of a block."""

import contextlib
import getpass
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from hardpan.core.process import find_program, run, spawn
from hardpan.ssh.target import Target, parse_target


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextlib.contextmanager
def local_sshd(
    folder: Path,
    *,
    replacement: tuple[str | Path, Path] | None = None,
    changes: Mapping[str, object] | None = None,
    prepare: Callable[[], None] | None = None,
) -> Iterator[Target]:
    """Yield it as a target.

    ``replacement`` puts a file in place of a program, for it alone; ``changes`` are settings of
    sshd_config; ``prepare`` runs once its keys exist.
    """
    for name in ("host", "user"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], timeout_s=30)
    if prepare is not None:
        prepare()
    port = free_port()
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "user.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
        "PasswordAuthentication": "no",
        **(changes or {}),
    }
    config = folder / "sshd_config"
    config.write_text("".join(f"{k} {v}\n" for k, v in settings.items()))
    Path("/run/sshd").mkdir(exist_ok=True)
    argv = [find_program("sshd") or "sshd", "-D", "-e", "-f", config]
    if replacement:
        name, other = replacement
        script = 'mount --bind "$0" "$1" && shift && exec "$@"'
        program_path = find_program(name) if isinstance(name, str) else name
        argv = ["unshare", "-m", "sh", "-c", script, other, str(program_path), *argv]
    with spawn(argv, log=folder / "sshd.log"):
        wait_for_port(port)
        yield parse_target(
            f"{getpass.getuser()}@127.0.0.1:{port}",
            identity=folder / "user",
            host_keys=[(folder / "host.pub").read_text()],
        )


def wait_for_port(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError("sshd did not start")
