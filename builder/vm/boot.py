"""Boot an installed system and wait for SSH."""

import contextlib
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from hardpan.builder.artifacts import BootedGuest, SshAccess
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.disk_image import create_disk
from hardpan.builder.vm.network import PROXY_URL
from hardpan.builder.vm.probe import Acceleration
from hardpan.builder.vm.qemu import VirtualMachine, free_port, start_vm
from hardpan.core import clock
from hardpan.core.errors import ToolError
from hardpan.core.events import Emit, StageMessage

_BOOT_TIMEOUT_S = 120.0
_POWER_OFF_TIMEOUT_S = 90.0
_BANNER_TIMEOUT_S = 3.0
_BANNER_POLL_S = 1.0
_BANNER_SHARE = 0.1
"""Share of the time since the start that a connection waits for the server's first bytes, if that
is more than ``_BANNER_TIMEOUT_S``: each process of sshd runs OpenSSL's self-tests in FIPS mode, and
from version 9.8 on sshd refuses clients that disconnect too often."""

_HOST_KEYS_TIMEOUT_S = 30.0


@contextlib.contextmanager
def boot(
    spec: VmSpec,
    access: SshAccess,
    acceleration: Acceleration,
    *,
    log: Path,
    emit: Emit,
    overlay: bool,
    overlay_folder: Path | None = None,
    host_keys_timeout_s: float | None = _HOST_KEYS_TIMEOUT_S,
) -> Iterator[BootedGuest]:
    """Boot a guest for the duration of the block and shut it down afterwards.

    The arguments are those of ``boot_machine``, which also gives access to QEMU.
    """
    with boot_machine(
        spec,
        access,
        acceleration,
        log=log,
        emit=emit,
        overlay=overlay,
        overlay_folder=overlay_folder,
        host_keys_timeout_s=host_keys_timeout_s,
    ) as (guest, _machine):
        yield guest


@contextlib.contextmanager
def boot_machine(
    spec: VmSpec,
    access: SshAccess,
    acceleration: Acceleration,
    *,
    log: Path,
    emit: Emit,
    overlay: bool,
    overlay_folder: Path | None = None,
    host_keys_timeout_s: float | None = _HOST_KEYS_TIMEOUT_S,
) -> Iterator[tuple[BootedGuest, VirtualMachine]]:
    """Boot a guest for the duration of the block and shut it down afterwards.

    With ``overlay`` the disk itself is not modified, and the guest is stopped without shutdown. The
    host keys are read from the guest's console, so that the first connection can pin them; with
    ``host_keys_timeout_s`` None they are not awaited. Temporary files are in ``overlay_folder``, or
    next to the disk.

    Raises:
        ToolError: the guest panics, enters an emergency shell, does not respond in time, prints no
            host keys, or does not power off.
    """
    with tempfile.TemporaryDirectory(
        prefix=".boot-", dir=overlay_folder or spec.disk.parent
    ) as workdir:
        guest_spec = replace(spec, ssh_port=free_port())
        if overlay:
            overlay_disk = Path(workdir) / "overlay.qcow2"
            create_disk(overlay_disk, backing=spec.disk)
            guest_spec = replace(guest_spec, disk=overlay_disk)
        with _start_until_ssh(guest_spec, acceleration, log, emit, host_keys_timeout_s) as (
            machine,
            boot_s,
            keys,
        ):
            guest = BootedGuest(
                address="127.0.0.1",
                port=guest_spec.ssh_port,
                user=access.user,
                private_key=access.private_key,
                host_keys=keys,
                accelerator=acceleration.kind,
                boot_s=boot_s,
                proxy=PROXY_URL if guest_spec.allowed_endpoints else "",
            )
            yield guest, machine
            if not overlay:  # a discarded overlay needs no clean shutdown
                machine.power_off(timeout_s=_POWER_OFF_TIMEOUT_S * acceleration.timeout_factor)


@contextlib.contextmanager
def _start_until_ssh(
    spec: VmSpec,
    acceleration: Acceleration,
    log: Path,
    emit: Emit,
    host_keys_timeout_s: float | None,
) -> Iterator[tuple[VirtualMachine, float, tuple[str, ...]]]:
    """Yield a VM that responds on SSH, the boot duration in seconds, and its host keys.

    A guest that panics is restarted, up to ``acceleration.max_attempts`` attempts.
    """
    timeout_factor = acceleration.timeout_factor
    for attempts_left in reversed(range(acceleration.max_attempts)):
        start = clock.monotonic_s()
        with start_vm(spec, acceleration, log=log) as machine:
            try:
                _await_ssh(machine, spec.ssh_port, start, _BOOT_TIMEOUT_S * timeout_factor)
                boot_s = clock.monotonic_s() - start
                keys = machine.console.host_keys
                if host_keys_timeout_s is not None:
                    keys = _await_host_keys(
                        machine, clock.monotonic_s() + host_keys_timeout_s * timeout_factor
                    )
            except ToolError as e:
                if not attempts_left or not machine.has_panicked():
                    raise
                emit(StageMessage(stage="boot", text=f"{e}; retrying"))
                continue
            machine.stop_typing()
            emit(
                StageMessage(
                    stage="boot", text=f"SSH answers after {boot_s:.0f} s ({acceleration.kind})"
                )
            )
            yield machine, boot_s, keys
            return


def _await_ssh(machine: VirtualMachine, port: int, start: float, timeout_s: float) -> None:
    def check_machine() -> None:
        machine.watch()
        _raise_on_failure(machine)

    while not _has_ssh_banner(
        port,
        patience_s=max(_BANNER_TIMEOUT_S, (clock.monotonic_s() - start) * _BANNER_SHARE),
        on_wait=check_machine,
    ):
        check_machine()
        if clock.monotonic_s() > start + timeout_s:
            hint = ""
            if machine.console.passphrase_prompts and machine.keyboard is None:
                hint = "it asks for the passphrase of its disk"
            raise machine.failure("did not answer on SSH in time", hint=hint)


def _await_host_keys(machine: VirtualMachine, deadline: float) -> tuple[str, ...]:
    while not machine.console.host_keys:
        machine.watch()
        _raise_on_failure(machine)
        if clock.monotonic_s() > deadline:
            raise machine.failure("printed no SSH host key on its console")
    return machine.console.host_keys


def _raise_on_failure(machine: VirtualMachine) -> None:
    if machine.console.failure:
        raise machine.failure(f"failed to boot: {machine.console.failure}")
    if machine.has_panicked():
        raise machine.failure("panicked")
    if machine.is_off:
        raise machine.failure(
            f"powered off before SSH responded (QEMU exited with {machine.returncode})"
        )


def _has_ssh_banner(port: int, *, patience_s: float, on_wait: Callable[[], None]) -> bool:
    """Connect once; ``on_wait`` is called while the server is silent."""
    deadline = clock.monotonic_s() + patience_s
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_BANNER_TIMEOUT_S) as s:
            s.settimeout(_BANNER_POLL_S)
            while True:
                try:
                    return s.recv(4) == b"SSH-"
                except TimeoutError:
                    if clock.monotonic_s() > deadline:
                        return False
                on_wait()
    except OSError:
        return False
