"""The locked files, and an index that also has a newer release of each of them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardpan.builder.pip import pip
from hardpan.builder.wheels.lock import Entry, load
from hardpan.files import atomic_path, canonical_json, sha256_bytes
from tests.rot.local_index import LocalIndex, newer_release, serving

REPO = Path(__file__).parents[2]
SETUP_LOCKS = tuple(REPO / "requirements" / f"{name}.txt" for name in ("build", "lock", "interop"))
"""What 'make setup' and 'make setup-readers' install."""

BUILT = "pykickstart"
"""The one project of them that is published as source only."""


def locked_files(cache: Path) -> Path:
    """The folder with each file that set-up takes for this Python, downloaded once."""
    told = {"python": sys.version_info[:2], "locks": [path.read_text() for path in SETUP_LOCKS]}
    folder = cache / f"locked-{sha256_bytes(canonical_json(told))[:16]}"
    if not folder.is_dir():
        with atomic_path(folder) as temp:
            temp.mkdir()
            argv: list[str | Path] = ["download", "-q", "--no-deps", "--require-hashes", "-d", temp]
            argv += ["--only-binary", ":all:", "--no-binary", BUILT, "--no-build-isolation"]
            for lock in SETUP_LOCKS:
                pip([*argv, "-r", lock], timeout_s=900)
    return folder


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalIndex]:
    """The locked files and, for every project of every lock file, a newer release."""
    folder = tmp_path_factory.mktemp("index")
    files = sorted(locked_files(REPO / "images" / "cache").iterdir())
    for path in files:
        (folder / path.name).symlink_to(path)
    for entry in every_entry():
        newer_release(folder, entry.name, entry.version)
    with serving(folder, frozenset(path.name for path in files)) as running:
        yield running


def every_entry() -> tuple[Entry, ...]:
    """The entries of all lock files."""
    locks = (
        *sorted((REPO / "requirements").glob("*.txt")),
        *sorted((REPO / "builder" / "stacks" / "locks").glob("*.lock")),
        REPO / "builder" / "layers" / "model.txt",
    )
    return tuple(entry for path in locks for entry in load(path).entries)
