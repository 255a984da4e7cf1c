# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's command line, and the kickstart that it names."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from .plan import InstallError
from .process import run

REPO = Path("/run/install/repo")
_MOUNT_POINT = Path("/run/install/kickstart")


@dataclass(frozen=True, slots=True, kw_only=True)
class BootOptions:
    """What the installer was started with."""

    cmdline: str
    kickstart: str
    """The value of ``inst.ks=``."""

    fips: bool
    strict: bool
    """``inst.ksstrict``."""

    save_input_kickstart: bool = True
    """False with ``inst.nosave=input_ks``, ``all_ks`` or ``all``."""

    save_output_kickstart: bool = True
    """False with ``inst.nosave=output_ks``, ``all_ks`` or ``all``."""

    save_logs: bool = True
    """False with ``inst.nosave=logs`` or ``all``."""


def parse_boot_options(cmdline: str) -> BootOptions:
    """Read the kernel's command line.

    Raises:
        InstallError: it names no kickstart.
    """
    arguments = [w.partition("=") for w in shlex.split(cmdline)]
    values = {key: value for key, _, value in arguments}
    if not values.get("inst.ks"):
        raise InstallError("no kickstart: the kernel command line has no inst.ks=")
    unsaved = {x for key, _, value in arguments if key == "inst.nosave" for x in value.split(",")}
    return BootOptions(
        cmdline=cmdline.strip(),
        kickstart=values["inst.ks"],
        fips=values.get("fips") == "1",
        strict="inst.ksstrict" in values,
        save_input_kickstart=not unsaved & {"input_ks", "all_ks", "all"},
        save_output_kickstart=not unsaved & {"output_ks", "all_ks", "all"},
        save_logs=not unsaved & {"logs", "all"},
    )


def parse_kickstart_source(value: str) -> tuple[str, str]:
    """A kickstart's address as the device that holds it (empty: the media) and its path.

    Raises:
        InstallError: it is of a kind that is not implemented.
    """
    scheme, _, location = value.partition(":")
    if scheme == "hd":
        device, _, path = location.partition(":")
        if device and path.startswith("/"):
            return device, path
    elif scheme == "file" and location.lstrip("/"):
        return "", f"/{location.lstrip('/')}"
    raise InstallError(
        f"inst.ks={value}: expected hd:LABEL=NAME:/PATH, hd:UUID=ID:/PATH, hd:DEVICE:/PATH "
        "or file:///PATH"
    )


def read_kickstart(value: str) -> str:
    """The kickstart's text.

    Raises:
        InstallError: the device or the file is not there, or is not text.
    """
    device, path = parse_kickstart_source(value)
    if not device:
        return _read_text(Path(path), value)
    result = run(["findfs", _to_findfs_tag(device)], timeout_s=60, ok=None)
    if result.exit_status:
        raise InstallError(f"inst.ks={value}: there is no device {device}")
    node = result.output.strip()
    mounts = [x.split(" ") for x in Path("/proc/self/mounts").read_text("utf-8").splitlines()]
    if any(m[0] == node and m[1] == str(REPO) for m in mounts):
        return _read_text(REPO / path.lstrip("/"), value)
    _MOUNT_POINT.mkdir(parents=True, exist_ok=True)
    run(["mount", "-o", "ro", node, str(_MOUNT_POINT)], timeout_s=60)
    try:
        return _read_text(_MOUNT_POINT / path.lstrip("/"), value)
    finally:
        run(["umount", str(_MOUNT_POINT)], timeout_s=60)


def _to_findfs_tag(device: str) -> str:
    if device.startswith(("LABEL=", "UUID=", "/dev/")):
        return device
    return f"/dev/{device}"


def _read_text(path: Path, value: str) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as e:
        raise InstallError(f"inst.ks={value}: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise InstallError(f"inst.ks={value}: not UTF-8 text") from e
