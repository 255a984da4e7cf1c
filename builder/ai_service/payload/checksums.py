"""Whether a model's files are the ones that were put there."""

import hashlib
from pathlib import Path


def verify_checksums(folder: Path) -> None:
    """Pass if every file of the model is the one in its list of digests.

    Raises:
        ValueError: one is not.
    """
    for line in (folder / "SHA256SUMS").read_text("ascii").splitlines():
        digest, _, name = line.partition("  ")
        with (folder / name).open("rb") as f:
            if hashlib.file_digest(f, "sha256").hexdigest() != digest:
                raise ValueError(f"{folder / name} is not the file that SHA256SUMS names")
