from pathlib import Path

import pytest

from hardpan.builder.media.inspect import check_iso_size
from hardpan.core.errors import InputError


def image(tmp_path: Path, *, blocks: int, size: int, last_sector: int = 0) -> Path:
    data = bytearray(size)
    if last_sector:
        data[512:520] = b"EFI PART"
        data[544:552] = last_sector.to_bytes(8, "little")
    data[32768:32774] = b"\x01CD001"
    data[32848:32852] = blocks.to_bytes(4, "little")
    path = tmp_path / "x.iso"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("blocks", "last_sector", "least"), [(20, 0, 40960), (20, 96, 49664), (25, 96, 51200)]
)
def test_iso_of_declared_size_is_accepted_and_shorter_is_not(
    tmp_path: Path, blocks: int, last_sector: int, least: int
) -> None:
    for size in (least, least + 1):
        check_iso_size(image(tmp_path, blocks=blocks, size=size, last_sector=last_sector))

    short = image(tmp_path, blocks=blocks, size=least - 1, last_sector=last_sector)
    with pytest.raises(InputError, match=f"expected {least} bytes, got {least - 1}: "):
        check_iso_size(short)


@pytest.mark.parametrize(
    ("blocks", "last_sector", "least"), [(21, 0, 43008), (20, 80, 41472), (1 << 31, 0, 1 << 42)]
)
def test_truncated_iso_is_rejected(
    tmp_path: Path, blocks: int, last_sector: int, least: int
) -> None:
    path = image(tmp_path, blocks=blocks, size=40960, last_sector=last_sector)

    with pytest.raises(InputError) as caught:
        check_iso_size(path)

    assert f"expected {least} bytes, got 40960: the ISO is truncated" in str(caught.value)
    assert "download it again" in caught.value.hint


def test_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a regular file, got a folder"):
        check_iso_size(tmp_path)
