"""The image that ``make demo`` built, for tests that boot it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hardpan.builder.artifacts import BootedGuest, SshAccess
from hardpan.builder.vm.boot import boot
from hardpan.builder.vm.command_line import VmSpec
from hardpan.builder.vm.probe import detect_acceleration
from hardpan.core.events import discard
from hardpan.core.xdg import data_home
from hardpan.ssh.client import connect
from hardpan.ssh.connection import Connection
from hardpan.ssh.target import from_guest
from hardpan.workflow.keyring import find_operator_key
from tests.integration.conftest import REPO

BUILD_USER = "steward"
_DEFAULT_IMAGE = REPO / "images/out/demo/lab-stig.qcow2"


def find_image() -> Path:
    """Return the image that HARDPAN_IMAGE names, or the demo's."""
    path = Path(os.environ.get("HARDPAN_IMAGE", _DEFAULT_IMAGE))
    assert path.is_file(), f"{path}: no image: run 'make demo', or name one with HARDPAN_IMAGE"
    return path


def find_access() -> SshAccess:
    """Return the login of the image: the key that HARDPAN_IDENTITY names, or the key of builds."""
    named = os.environ.get("HARDPAN_IDENTITY")
    access = find_operator_key(BUILD_USER, Path(named) if named else None, data_home())
    assert access is not None, "no key of builds: name the image's key with HARDPAN_IDENTITY"
    return access


@contextmanager
def booted(spec: VmSpec, access: SshAccess, folder: Path) -> Iterator[BootedGuest]:
    """Boot a disk behind an overlay."""
    with boot(
        spec,
        access,
        detect_acceleration(),
        log=folder / "console.log",
        emit=discard,
        overlay=True,
        overlay_folder=folder,
    ) as guest:
        yield guest


@contextmanager
def connected(guest: BootedGuest) -> Iterator[Connection]:
    """Log in to a guest; its host keys are those of its console."""
    with connect(from_guest(guest), timeout_s=60) as connection:
        yield connection


def read(connection: Connection, script: str) -> str:
    """Run a shell script as root and return its output without surrounding blanks."""
    output = connection.run(script, timeout_s=180, sudo=True)
    return output.data.decode().strip()


def make_spec(disk: Path, **fields: object) -> VmSpec:
    """Return a guest like the one that the lab's profiles are built in."""
    spec = VmSpec(disk=disk, vcpus=2, memory_mib=2560, firmware="bios")
    return replace(spec, **fields)  # type: ignore[arg-type]
