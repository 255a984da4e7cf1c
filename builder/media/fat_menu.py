"""Read and write the boot menu in the FAT image of install media with mtools."""

import os
from collections.abc import Sequence
from pathlib import Path

from hardpan.builder.media.boot_menu import FAT_MENU, MAX_MENU_BYTES
from hardpan.builder.media.inspect import MAX_FILE_BYTES, IsoFacts, IsoFile, copy_bytes
from hardpan.core.errors import InputError, ToolError
from hardpan.core.extracted_files import read_bytes
from hardpan.core.limited_process import ProcessLimits, run_limited

EPOCH_S = 1577836800
"""Time of changed files in seconds: 2020-01-01, so that the same inputs give the same bytes."""

_MAX_MTOOLS_MEMORY_BYTES = 1 << 30
_MTOOLS_TIMEOUT_S = 60


def extract_image(iso: Path, facts: IsoFacts, destination: Path) -> Path:
    """Copy the EFI image of an ISO to a new file."""
    copy_bytes(iso, IsoFile(offset=facts.efi_offset, size=facts.efi_size), destination)
    # The ISO that it is written to records the mode, which must not depend on the umask.
    destination.chmod(0o644)
    return destination


def read_menu(image: Path, workdir: Path, name: str) -> bytes:
    """Return the menu in a FAT image, by way of the new file ``name`` in ``workdir``.

    mcopy would create files and folders with untrusted names if the menu were a folder.

    Raises:
        InputError: there is none, or it is too long.
    """
    destination = workdir / name
    _run_mtools(
        ["mtype", "-i", image, FAT_MENU], image, max_bytes=MAX_MENU_BYTES, stdout_file=destination
    )
    return read_bytes(workdir, name, max_bytes=MAX_MENU_BYTES)


def write_menu(image: Path, menu_file: Path) -> None:
    """Replace the menu in a FAT image; the size of the image does not change."""
    # Without -m, mtools stamps the present time into the directory entry.
    os.utime(menu_file, (EPOCH_S, EPOCH_S))
    _run_mtools(
        ["mcopy", "-o", "-m", "-i", image, menu_file, FAT_MENU], image, max_bytes=MAX_FILE_BYTES
    )


def last_line(error: ToolError) -> str:
    """Return the last output line of a program; it may contain untrusted names."""
    lines = error.output_tail.splitlines() or [str(error)]
    return ascii(lines[-1][:200])


def _run_mtools(
    argv: Sequence[str | Path], fat: Path, *, max_bytes: int, stdout_file: Path | None = None
) -> None:
    """Run mtools on a FAT image of the media; ``max_bytes`` limits each written file."""
    size = fat.stat().st_size
    limits = ProcessLimits(max_file_bytes=max_bytes, max_memory_bytes=_MAX_MTOOLS_MEMORY_BYTES)
    try:
        run_limited(
            argv,
            limits=limits,
            timeout_s=_MTOOLS_TIMEOUT_S,
            stdout_file=stdout_file,
            env={"TZ": "UTC"},
        )
    except ToolError as e:
        if "is not installed" in str(e):
            raise
        raise InputError(f"the EFI image: {argv[0]}: no menu at {FAT_MENU}: {last_line(e)}") from e
    if fat.stat().st_size != size:
        raise InputError(f"the EFI image: claims more than its {size} bytes")
