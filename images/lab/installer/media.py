# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's command line, and the kickstart that it names."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from .plan import InstallError
from .proc import run

REPO = Path("/run/install/repo")
_ROOM = Path("/run/install/kickstart")


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """What the installer was started with."""

    cmdline: str
    kickstart: str
    """The value of ``inst.ks=``."""

    fips: bool
    strict: bool
    """``inst.ksstrict``."""

    keep_kickstart: bool
    """False with ``inst.nosave=input_ks`` (or all, or all_ks)."""


def boot(cmdline: str) -> Boot:
    """Read the kernel's command line.

    Raises:
        InstallError: it names no kickstart.
    """
    words = [w.partition("=") for w in shlex.split(cmdline)]
    given = {key: value for key, _, value in words}
    if not given.get("inst.ks"):
        raise InstallError("no kickstart: the kernel command line has no inst.ks=")
    unsaved = {x for key, _, value in words if key == "inst.nosave" for x in value.split(",")}
    return Boot(
        cmdline=cmdline.strip(),
        kickstart=given["inst.ks"],
        fips=given.get("fips") == "1",
        strict="inst.ksstrict" in given,
        keep_kickstart=not unsaved & {"input_ks", "all_ks", "all"},
    )


def source(value: str) -> tuple[str, str]:
    """A kickstart's address as the device that holds it (empty: the media) and its path.

    Raises:
        InstallError: it is of a kind that is not implemented.
    """
    scheme, _, rest = value.partition(":")
    if scheme == "hd":
        device, _, path = rest.partition(":")
        if device and path.startswith("/"):
            return device, path
    elif scheme == "file" and rest.lstrip("/"):
        return "", f"/{rest.lstrip('/')}"
    raise InstallError(
        f"inst.ks={value}: expected hd:LABEL=NAME:/PATH, hd:UUID=ID:/PATH, hd:DEVICE:/PATH "
        "or file:///PATH"
    )


def fetch(value: str) -> str:
    """The kickstart's text.

    Raises:
        InstallError: the device or the file is not there, or is not text.
    """
    device, path = source(value)
    if not device:
        return _read(Path(path), value)
    found = run(["findfs", _tag(device)], timeout_s=60, ok=None)
    if found.rc:
        raise InstallError(f"inst.ks={value}: there is no device {device}")
    node = found.out.strip()
    mounts = [x.split(" ") for x in Path("/proc/self/mounts").read_text("utf-8").splitlines()]
    if any(m[0] == node and m[1] == str(REPO) for m in mounts):
        return _read(REPO / path.lstrip("/"), value)
    _ROOM.mkdir(parents=True, exist_ok=True)
    run(["mount", "-o", "ro", node, str(_ROOM)], timeout_s=60)
    try:
        return _read(_ROOM / path.lstrip("/"), value)
    finally:
        run(["umount", str(_ROOM)], timeout_s=60)


def _tag(device: str) -> str:
    if device.startswith(("LABEL=", "UUID=", "/dev/")):
        return device
    return f"/dev/{device}"


def _read(path: Path, value: str) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as e:
        raise InstallError(f"inst.ks={value}: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise InstallError(f"inst.ks={value}: not UTF-8 text") from e
