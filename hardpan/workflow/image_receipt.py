"""The receipt of an image: its files with format, sizes and digest, as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from hardpan.builder.artifacts import ImageFile
from hardpan.core.files import write_atomic

RECEIPT_SUFFIX = ".images.json"


def describe_files(files: Sequence[ImageFile]) -> list[dict[str, object]]:
    """Return the receipt's entries; sizes are bytes."""
    return [
        {
            "format": file.format,
            "file": file.path.name,
            "sha256": file.sha256,
            "media_type": file.media_type,
            "virtual_bytes": file.virtual_bytes,
            "file_bytes": file.file_bytes,
            "allocated_bytes": file.allocated_bytes,
        }
        for file in files
    ]


def write_receipt(files: Sequence[ImageFile], name: str, output_folder: Path) -> Path:
    """Write the receipt of the image of the profile ``name`` and return its path."""
    path = output_folder / f"{name}{RECEIPT_SUFFIX}"
    write_atomic(path, json.dumps({"images": describe_files(files)}, indent=1) + "\n")
    return path
