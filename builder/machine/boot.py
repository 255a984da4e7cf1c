"""An installed system, booted and answering on SSH."""

import contextlib
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hardpan import clock
from hardpan.builder.machine.probe import Acceleration
from hardpan.builder.machine.qemu import PROXY, Machine, Spec, create_disk, free_port, running
from hardpan.builder.receipts import Access, Guest
from hardpan.errors import ToolError
from hardpan.events import Emit, Note

_BOOT_S = 120.0
_OFF_S = 90.0
_BANNER_S = 3.0
_KEYS_S = 30.0


@contextlib.contextmanager
def booted(
    spec: Spec,
    access: Access,
    acceleration: Acceleration,
    *,
    log: Path,
    emit: Emit,
    overlay: bool,
) -> Iterator[Guest]:
    """A guest for the length of the block, powered off in order afterwards.

    With ``overlay`` the disk itself is not written to, and the guest's end is
    the plug. The host keys come from the guest's own console, so the first
    connection can already pin them.

    Raises:
        ToolError: it panics, stops in an emergency shell, does not answer in
            time, tells no host keys, or does not power off.
    """
    with tempfile.TemporaryDirectory(prefix=".boot-", dir=spec.disk.parent) as room:
        used = replace(spec, ssh_port=free_port())
        if overlay:
            layer = Path(room) / "overlay.qcow2"
            create_disk(layer, backing=spec.disk)
            used = replace(used, disk=layer)
        with _answering(used, acceleration, log, emit) as (machine, boot_s, keys):
            yield Guest(
                address="127.0.0.1",
                port=used.ssh_port,
                user=access.user,
                private_key=access.private_key,
                host_keys=keys,
                accelerator=acceleration.kind,
                boot_s=boot_s,
                proxy=PROXY if used.reaches else "",
            )
            if not overlay:  # what is thrown away need not be in order
                machine.power_off(timeout_s=_OFF_S * acceleration.patience)


@contextlib.contextmanager
def _answering(
    spec: Spec, acceleration: Acceleration, log: Path, emit: Emit
) -> Iterator[tuple[Machine, float, tuple[str, ...]]]:
    """A machine that answers on SSH, how many seconds that took, and its host keys.

    One that panics is started as often as ``acceleration.starts`` says.
    """
    patience = acceleration.patience
    for left in reversed(range(acceleration.starts)):
        began = clock.monotonic()
        with running(spec, acceleration, log=log) as machine:
            try:
                _await_ssh(machine, spec.ssh_port, began + _BOOT_S * patience)
                boot_s = clock.monotonic() - began
                keys = _await_host_keys(machine, clock.monotonic() + _KEYS_S * patience)
            except ToolError as e:
                if not left or not machine.panicked():
                    raise
                emit(Note(stage="boot", text=f"{e}; starting it once more"))
                continue
            emit(Note(stage="boot", text=f"SSH answers after {boot_s:.0f} s ({acceleration.kind})"))
            yield machine, boot_s, keys
            return


def _await_ssh(machine: Machine, port: int, end: float) -> None:
    while not _has_banner(port):
        machine.watch()
        _raise_on_failure(machine)
        if clock.monotonic() > end:
            raise machine.failure("did not answer on SSH in time")


def _await_host_keys(machine: Machine, end: float) -> tuple[str, ...]:
    while not machine.console.host_keys:
        machine.watch()
        _raise_on_failure(machine)
        if clock.monotonic() > end:
            raise machine.failure("told no SSH host key on its console")
    return machine.console.host_keys


def _raise_on_failure(machine: Machine) -> None:
    if machine.console.failure:
        raise machine.failure(f"failed to boot: {machine.console.failure}")
    if machine.panicked():
        raise machine.failure("panicked")
    if machine.is_off:
        raise machine.failure(f"went off before it answered (QEMU ended {machine.returncode})")


def _has_banner(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_BANNER_S) as s:
            return s.recv(4) == b"SSH-"
    except OSError:
        return False
