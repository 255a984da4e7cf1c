"""What a guest has freed and discarded is not in the copy that becomes the image: real qemu-img."""

from pathlib import Path

import pytest

from hardpan.builder.vm.devices import FILE_SYSTEM_BLOCK_BYTES
from hardpan.builder.vm.disk_image import copy_disk, create_disk
from hardpan.core.process import run

pytestmark = pytest.mark.integration

KEY = b"z" * 512
"""Stands for a block of a removed private key; its neighbours are in use."""

USED = b"a" * 512


def run_qemu_io(disk: Path, *commands: str) -> None:
    argv = ["qemu-io", "-f", "qcow2", "-d", "unmap"]
    for command in commands:
        argv += ["-c", command]
    run([*argv, disk], timeout_s=60)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A disk with a key in one block, all other blocks of its 64 KiB in use."""
    disk = tmp_path / "base.qcow2"
    create_disk(disk, size_mib=16)
    run_qemu_io(disk, "write -P 0x61 1M 64k", "write -P 0x7a 1028k 4k")
    return disk


@pytest.mark.parametrize(
    ("cluster_bytes", "is_left"),
    [(FILE_SYSTEM_BLOCK_BYTES, False), (None, True)],
    ids=["4 KiB", "64 KiB"],
)
def test_freed_block_is_not_copied_with_small_clusters(
    tmp_path: Path, base: Path, cluster_bytes: int | None, is_left: bool
) -> None:
    """QEMU drops a discard of less than a cluster: with its default the block is still there."""
    work, image = tmp_path / "work", tmp_path / "image.qcow2"
    copy_disk(base, work, cluster_bytes=cluster_bytes)
    run_qemu_io(work, "discard 1028k 4k")

    copy_disk(work, image)

    data = image.read_bytes()
    assert (KEY in data) is is_left
    assert USED in data
    if not is_left:
        run_qemu_io(image, "read -P 0x61 1M 4k", "read -P 0 1028k 4k", "read -P 0x61 1032k 56k")


def test_stale_clusters_are_not_copied(tmp_path: Path, base: Path) -> None:
    """A cluster that QEMU frees may keep its bytes in the file."""
    stale = tmp_path / "stale.qcow2"
    stale.write_bytes(base.read_bytes() + KEY * 128)
    image = tmp_path / "image.qcow2"

    copy_disk(stale, image)

    assert stale.read_bytes().endswith(KEY)
    assert not image.read_bytes().endswith(KEY)
    assert image.read_bytes().count(KEY) == 4096 // len(KEY)


def test_copy_preserves_content_and_size(tmp_path: Path, base: Path) -> None:
    copy_disk(base, tmp_path / "work", cluster_bytes=FILE_SYSTEM_BLOCK_BYTES)
    copy_disk(tmp_path / "work", tmp_path / "image.qcow2")

    comparison = run(
        ["qemu-img", "compare", "-q", base, tmp_path / "image.qcow2"], timeout_s=60, ok=(0, 1)
    )
    assert comparison.returncode == 0
    info = run(["qemu-img", "info", tmp_path / "image.qcow2"], timeout_s=60).stdout
    assert "virtual size: 16 MiB" in info
    assert "cluster_size: 65536" in info
