"""An image in the formats of other hypervisors and clouds: real qemu-img."""

import hashlib
from pathlib import Path
from typing import IO, Any

import pytest

from hardpan.builder.artifacts import DiskImage
from hardpan.builder.image_formats import write_formats
from hardpan.builder.vm.disk_format import DISK_FORMATS, convert_image, describe_image
from hardpan.builder.vm.disk_image import copy_disk, create_disk
from hardpan.core.errors import ToolError
from hardpan.core.events import discard
from hardpan.core.files import MiB, sha256_file
from hardpan.core.process import run
from hardpan.profiles.loader.profile_file import load_profile

pytestmark = pytest.mark.integration

SIZE_MIB = 256
DATA_MIB = 6
"""Six blocks of random bytes, far apart; the rest of the disk was never written."""

CONVERTED = [name for name in DISK_FORMATS if name != "qcow2"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image as the build leaves it; some of what was written is discarded again."""
    folder = tmp_path_factory.mktemp("image")
    random, work = folder / "random", folder / "work.qcow2"
    random.write_bytes(b"".join(hashlib.sha512(b"%d" % n).digest() for n in range(1 << 14)))
    create_disk(work, size_mib=SIZE_MIB)
    argv = ["qemu-io", "-f", "qcow2", "-d", "unmap"]
    for block in range(DATA_MIB):
        argv += ["-c", f"write -s {random} {block * 40}M 1M"]
    argv += ["-c", "write -P 0x61 210M 16M", "-c", "discard 210M 16M"]
    run([*argv, work], timeout_s=60)
    copy_disk(work, folder / "image.qcow2")
    return folder / "image.qcow2"


@pytest.mark.parametrize("name", CONVERTED)
def test_converted_image_has_the_same_content(image: Path, tmp_path: Path, name: str) -> None:
    disk_format = DISK_FORMATS[name]
    destination = tmp_path / f"image{disk_format.suffix}"
    percentages: list[int] = []

    file = convert_image(image, destination, disk_format, percentages.append)

    comparison = run(
        ["qemu-img", "compare", "-f", "qcow2", "-F", disk_format.driver, image, destination],
        timeout_s=60,
        ok=(0, 1),
    )
    assert comparison.returncode == 0
    assert file.virtual_bytes == SIZE_MIB << 20
    assert file.file_bytes == destination.stat().st_size
    assert file.sha256 == hashlib.sha256(destination.read_bytes()).hexdigest()
    assert percentages[-1] == 100
    assert destination.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [destination.name]


@pytest.mark.parametrize("name", DISK_FORMATS)
def test_only_blocks_in_use_take_space(image: Path, tmp_path: Path, name: str) -> None:
    disk_format = DISK_FORMATS[name]
    destination = tmp_path / f"image{disk_format.suffix}"

    file = convert_image(image, destination, disk_format, lambda _: None)

    # Random bytes cannot be compressed. VHDX has a log and a region table of 1 MiB each.
    assert DATA_MIB << 20 <= file.allocated_bytes < (DATA_MIB + 5) << 20
    is_sparse = disk_format.driver == "raw"
    assert (file.file_bytes == SIZE_MIB << 20) is is_sparse


def test_vmdk_is_a_compressed_stream_for_scsi(image: Path, tmp_path: Path) -> None:
    """VMware imports only streamOptimized disks, and attaches IDE disks without SCSI commands."""
    destination = tmp_path / "image.vmdk"
    convert_image(image, destination, DISK_FORMATS["vmdk"], lambda _: None)

    descriptor = destination.read_bytes()[:4096]
    assert b'createType="streamOptimized"' in descriptor
    assert b'ddb.adapterType = "lsilogic"' in descriptor
    assert b'SPARSE "image.vmdk"' in descriptor  # not the name of a temporary file


@pytest.mark.parametrize("name", [name for name in CONVERTED if DISK_FORMATS[name].has_check])
def test_converted_image_is_checked(
    image: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise ToolError(["qemu-img", "check", str(path)], "exited with 2")

    monkeypatch.setattr("hardpan.builder.vm.disk_format.check_disk", refuse)

    with pytest.raises(ToolError, match="qemu-img exited with 2"):
        convert_image(image, tmp_path / "image", DISK_FORMATS[name], lambda _: None)

    assert list(tmp_path.iterdir()) == []


def test_failed_conversion_leaves_the_previous_file(tmp_path: Path) -> None:
    broken, destination = tmp_path / "broken.qcow2", tmp_path / "image.raw"
    broken.write_bytes(b"QFI\xfb" + bytes(4096))
    destination.write_bytes(b"the previous image")

    with pytest.raises(ToolError, match="exited with 1") as caught:
        convert_image(broken, destination, DISK_FORMATS["raw"], lambda _: None)

    assert "qemu-img: " in caught.value.output_tail
    assert destination.read_bytes() == b"the previous image"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.qcow2", "image.raw"]


def test_sizes_of_a_file_in_another_format_are_not_described(image: Path) -> None:
    with pytest.raises(ToolError, match="qemu-img"):
        describe_image(image, DISK_FORMATS["vhdx"], sha256="")


def test_raw_image_is_read_once_for_its_digest(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sparse file of hundreds of gigabytes takes minutes to read; an unchanged one is not."""
    disk = DiskImage(
        path=image, virtual_size_mib=MiB(SIZE_MIB), sha256=sha256_file(image), duration_s=1.0
    )
    names, file_digest = [], hashlib.file_digest

    def count(file: IO[bytes], *arguments: Any) -> Any:
        names.append(Path(file.name).name)
        return file_digest(file, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", count)
    profile = load_profile("lab-stig")

    first = write_formats(profile, disk, ("qcow2", "raw"), tmp_path, discard)
    assert names == ["lab-stig.raw"]
    assert write_formats(profile, disk, ("qcow2", "raw"), tmp_path, discard) == first
    assert names == ["lab-stig.raw"]
