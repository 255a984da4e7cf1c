"""Create, copy and check qcow2 disk images with ``qemu-img``."""

import os
from pathlib import Path

from hardpan.builder.vm.devices import FILE_SYSTEM_BLOCK_BYTES
from hardpan.core.process import run

_CONVERT_TIMEOUT_S = 1800


def create_disk(path: Path, *, size_mib: int = 0, backing: Path | None = None) -> None:
    """Create an empty qcow2, or an overlay of ``backing``."""
    argv = ["qemu-img", "create", "-q", "-f", "qcow2"]
    if backing is not None:
        run([*argv, "-b", backing.absolute(), "-F", "qcow2", path], timeout_s=60)
    else:
        run([*argv, path, f"{size_mib}M"], timeout_s=60)


def create_overlay(path: Path, *, backing: Path, size_mib: int) -> None:
    """Create an empty overlay of ``backing``, which is named relative to the folder of ``path``.

    ``backing`` need not exist yet. Its smallest unit is a block of the guest's file systems, so
    that each block that the guest discards reads as zeroes.
    """
    name = os.path.relpath(backing.absolute(), path.absolute().parent)
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", name, "-F", "qcow2"]
    options = f"cluster_size={FILE_SYSTEM_BLOCK_BYTES}"
    run([*argv, "-o", options, path, f"{size_mib}M"], timeout_s=60)


def copy_disk(source: Path, destination: Path, *, cluster_bytes: int | None = None) -> None:
    """Copy the guest-visible content of a qcow2, without discarded blocks and stale clusters.

    ``cluster_bytes`` is the smallest unit that a guest can discard in the copy; with QEMU's
    default of 64 KiB, a freed block remains while another block of its cluster is in use.
    """
    argv = ["qemu-img", "convert", "-q", "-f", "qcow2", "-O", "qcow2"]
    if cluster_bytes is not None:
        argv += ["-o", f"cluster_size={cluster_bytes}"]
    run([*argv, source, destination], timeout_s=_CONVERT_TIMEOUT_S)


def check_disk(path: Path) -> None:
    """Check a disk with ``qemu-img check``.

    Raises:
        ToolError: the disk is damaged.
    """
    run(["qemu-img", "check", "-q", path], timeout_s=300)
