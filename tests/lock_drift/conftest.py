"""The locked files, and an index that also has a newer release of each of them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardpan.builder.pip import run_pip
from hardpan.builder.wheel_audit.lock import LockEntry, load_lock
from hardpan.core.files import atomic_path, canonical_json, sha256_bytes
from tests.lock_drift.local_index import LocalIndex, make_newer_release, serve

REPO = Path(__file__).parents[2]
SETUP_LOCKS = tuple(REPO / "requirements" / f"{name}.txt" for name in ("build", "lock", "interop"))
"""What 'make setup' and 'make setup-interop' install."""

_MIN_LOCKS = 9
"""A renamed folder would leave its locks out without a failure."""

SOURCE_PACKAGE = "pykickstart"
"""The one project of them that is published as source only."""


def download_locked_files(cache: Path) -> Path:
    """The folder with each file that set-up takes for this Python, downloaded once."""
    inputs = {"python": sys.version_info[:2], "locks": [path.read_text() for path in SETUP_LOCKS]}
    folder = cache / f"locked-{sha256_bytes(canonical_json(inputs))[:16]}"
    if not folder.is_dir():
        with atomic_path(folder) as temp:
            temp.mkdir()
            argv: list[str | Path] = ["download", "-q", "--no-deps", "--require-hashes", "-d", temp]
            argv += [
                "--only-binary",
                ":all:",
                "--no-binary",
                SOURCE_PACKAGE,
                "--no-build-isolation",
            ]
            for lock in SETUP_LOCKS:
                run_pip([*argv, "-r", lock], timeout_s=900)
    return folder


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalIndex]:
    """The locked files and, for every project of every lock file, a newer release."""
    folder = tmp_path_factory.mktemp("index")
    files = sorted(download_locked_files(REPO / "images" / "cache").iterdir())
    for path in files:
        (folder / path.name).symlink_to(path)
    for name, version in sorted({(entry.name, entry.version) for entry in list_entries()}):
        make_newer_release(folder, name, version)
    with serve(folder, frozenset(path.name for path in files)) as running:
        yield running


def list_entries() -> tuple[LockEntry, ...]:
    """The entries of all lock files."""
    locks = (
        *sorted((REPO / "requirements").glob("*.txt")),
        *sorted((REPO / "builder" / "python_stacks" / "locks").glob("*.lock")),
        REPO / "builder" / "ai_models" / "embedding.txt",
    )
    assert len(locks) >= _MIN_LOCKS
    return tuple(entry for path in locks for entry in load_lock(path).entries)
