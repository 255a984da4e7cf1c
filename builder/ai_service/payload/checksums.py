"""Verify the files of a model."""

import hashlib
from pathlib import Path


def verify_checksums(folder: Path) -> None:
    """Verify every file listed in the model's SHA256SUMS.

    Raises:
        ValueError: a digest does not match.
    """
    for line in (folder / "SHA256SUMS").read_text("ascii").splitlines():
        digest, _, name = line.partition("  ")
        with (folder / name).open("rb") as f:
            if hashlib.file_digest(f, "sha256").hexdigest() != digest:
                raise ValueError(f"{folder / name} does not match SHA256SUMS")
