"""Damaged trees of ISO 9660: the walk ends, within its limits."""

from pathlib import Path

from hypothesis import strategies as st

from hardpan.builder.media.iso9660 import check_folders
from tests.fuzz.target import FuzzTarget, mutate_samples
from tests.unit.media.tiny_iso import VALID_IMAGE, both_endian, record

_PIECES = (
    *(bytes([c]) for c in b"\0\1\2\x22\x80\xff"),
    *(record(b"A", block) for block in (0, 16, 30, 31, 35, 0x7FFFFFFF)),
    record(b"F;1", 40, 0xFFFFFFFF, folder=False),
    *(
        b"CL\x0c\x01" + both_endian(30),
        b"CE\x1c\x01" + both_endian(40) + both_endian(0) + both_endian(2048),
    ),
)
_FIRST = 16 * 2048


def target(folder: Path) -> FuzzTarget:
    """Images whose descriptors and folders are damaged."""
    path = folder / "x.iso"

    def check(data: bytes) -> str:
        path.write_bytes(VALID_IMAGE[:_FIRST] + data)
        check_folders(path)
        return "accepted"

    return FuzzTarget(
        name="iso_folders",
        inputs=st.one_of(
            mutate_samples([VALID_IMAGE[_FIRST:]], _PIECES), mutate_samples([VALID_IMAGE[_FIRST:]])
        ),
        check=check,
        max_input_s=5.0,
    )
