"""Which disks of earlier builds are removed from the cache, and which never are."""

import json
import os
import struct
from collections.abc import Iterable
from pathlib import Path

import pytest

from hardpan.builder import disk_cache
from hardpan.builder.build_plan import BuildPlan
from hardpan.builder.disk_cache import MAX_CHAINS_PER_PROFILE, remove_old_disks
from hardpan.core.events import Event, StageMessage
from hardpan.core.file_lock import LOCK_NAME, lock_folder
from hardpan.profiles.loader.profile_file import load_profile
from tests.unit.builder import build_stand_ins
from tests.unit.builder.build_stand_ins import harden, make_base, make_plan

PROFILE = load_profile("lab-stig")


def write_image(path: Path, backing: Path | None) -> None:
    """Write the header of a qcow2 image, as ``create_overlay`` does: the name is relative."""
    name = os.path.relpath(backing, path.parent).encode() if backing else b""
    header = struct.pack(">4sIQI", b"QFI\xfb", 3, 104 if name else 0, len(name))
    path.write_bytes(header.ljust(104, b"\0") + name)


class Cache:
    """A cache folder; each disk that is stored was used one second after the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Event] = []
        self.second = 1_000_000_000
        self.plan: BuildPlan = make_plan(folder.parent, PROFILE, (), emit=self.events.append)
        self.plan.output_folder.mkdir()

    def add_base(self, name: str, profile: str = "p") -> Path:
        """Store a base install; return its folder."""
        folder = self.folder / "installs" / name
        folder.mkdir(parents=True)
        write_image(folder / "base.qcow2", None)
        (folder / LOCK_NAME).touch()
        self._write_record(folder / "install.stage.json", {"profile": profile})
        return folder

    def add_overlay(self, name: str, backing: Path) -> Path:
        """Store an overlay of the disk in the folder ``backing``; return its folder."""
        folder = self.folder / "layers" / name
        folder.mkdir(parents=True)
        image = "base.qcow2" if backing.parent.name == "installs" else "disk.qcow2"
        write_image(folder / "disk.qcow2", backing / image)
        self._write_record(folder / "layer-x.stage.json", {})
        return folder

    def add_chains(self, base: Path, names: Iterable[str]) -> list[Path]:
        """Store overlays of ``base``."""
        return [self.add_overlay(name, base) for name in names]

    def use(self, folder: Path) -> None:
        """Set the time of the last use of a disk."""
        self.second += 1
        (record,) = folder.glob("*.stage.json")
        os.utime(record, (self.second, self.second))

    def remove(self, base: Path) -> list[str]:
        """Remove the old disks as a build on ``base`` does; return what is left."""
        remove_old_disks(self.plan, base)
        return self.names

    @property
    def names(self) -> list[str]:
        """The folders that have a disk, sorted by name."""
        return sorted(path.parent.name for path in self.folder.glob("*/*/*.qcow2"))

    @property
    def messages(self) -> list[str]:
        """What was reported."""
        return [e.text for e in self.events if isinstance(e, StageMessage)]

    def _write_record(self, path: Path, result: dict[str, object]) -> None:
        path.write_text(json.dumps({"result": result}))
        self.use(path.parent)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_last_chains_stay_with_their_backing_files(cache: Cache) -> None:
    base = cache.add_base("B")
    first = cache.add_overlay("first", base)
    cache.add_chains(first, "abcde")

    assert cache.remove(base) == ["B", "c", "d", "e", "first"]
    assert len("cde") == MAX_CHAINS_PER_PROFILE
    assert cache.messages == [
        "removed 2 disks of earlier builds, 0 MiB; the last 3 builds of each profile are kept"
    ]


def test_nothing_is_removed_or_reported_below_the_limit(cache: Cache) -> None:
    base = cache.add_base("B")
    cache.add_chains(base, "abc")

    assert cache.remove(base) == ["B", "a", "b", "c"]
    assert cache.messages == []


def test_disk_that_was_used_again_stays(cache: Cache) -> None:
    base = cache.add_base("B")
    oldest, *_ = cache.add_chains(base, "abcd")
    cache.use(oldest)

    assert cache.remove(base) == ["B", "a", "c", "d"]


def test_old_base_install_is_removed_with_its_overlays(cache: Cache) -> None:
    for number in range(MAX_CHAINS_PER_PROFILE + 1):
        base = cache.add_base(f"B{number}")
        cache.add_overlay(f"b{number}", cache.add_overlay(f"a{number}", base))

    names = cache.remove(base)

    assert names == ["B1", "B2", "B3", "a1", "a2", "a3", "b1", "b2", "b3"]
    # Another process may wait for the lock.
    assert [path.name for path in (cache.folder / "installs/B0").iterdir()] == [LOCK_NAME]


def test_interrupted_build_counts_as_a_chain(cache: Cache) -> None:
    """Its base install has no overlay yet."""
    base = cache.add_base("B")
    cache.add_chains(base, "abc")
    cache.add_base("C")

    assert cache.remove(base) == ["B", "C", "b", "c"]


def test_limit_is_for_each_profile(cache: Cache) -> None:
    base, other = cache.add_base("B"), cache.add_base("C", profile="q")
    cache.add_chains(other, ["x"])
    cache.add_chains(base, "abcd")

    assert cache.remove(base) == ["B", "C", "b", "c", "d", "x"]


def test_locked_base_install_keeps_all_its_overlays(cache: Cache) -> None:
    old, base = cache.add_base("A"), cache.add_base("B")
    cache.add_chains(old, "ab")
    cache.add_chains(base, "cdef")

    with lock_folder(old, command="x", stage="harden", emit=lambda _event: None):
        assert cache.remove(base) == ["A", "B", "a", "b", "d", "e", "f"]
    assert cache.remove(base) == ["B", "d", "e", "f"]


def test_disk_that_another_build_uses_before_the_lock_stays(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, base = cache.add_base("A"), cache.add_base("B")
    (overlay,) = cache.add_chains(old, "a")
    cache.add_chains(base, "bcd")
    cache.use(old)
    lock = disk_cache.lock_folder

    def use_and_lock(folder: Path, **options: object) -> object:
        cache.use(overlay)
        return lock(folder, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(disk_cache, "lock_folder", use_and_lock)

    assert cache.remove(base) == ["A", "B", "a", "b", "c", "d"]
    assert "b" not in cache.remove(base)


def test_overlay_without_its_backing_file_is_removed(cache: Cache) -> None:
    base = cache.add_base("B")
    middle = cache.add_overlay("middle", base)
    cache.add_overlay("last", middle)
    (middle / "disk.qcow2").unlink()
    lost = cache.add_base("lost")
    cache.add_overlay("orphan", lost)
    (lost / "base.qcow2").unlink()

    assert cache.remove(base) == ["B"]


def test_folder_that_is_no_disk_is_left_alone(cache: Cache) -> None:
    base = cache.add_base("B")
    cache.add_chains(base, "abcd")
    for name in (".work.abcdefgh", "unreadable"):
        (cache.folder / "layers" / name).mkdir()
        (cache.folder / "layers" / name / "disk.qcow2").write_bytes(b"text")

    assert cache.remove(base) == [".work.abcdefgh", "B", "b", "c", "d", "unreadable"]


def test_disk_that_cannot_be_removed_is_reported(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = cache.add_base("B")
    oldest, *_ = cache.add_chains(base, "abcd")

    def refuse(_path: Path) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(disk_cache, "temporary_folder", refuse)

    assert cache.remove(base) == ["B", "a", "b", "c", "d"]
    assert cache.messages == [f"{oldest}: cannot be removed: Permission denied"]


def test_build_removes_old_disks_after_it_has_written_the_image(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = build_stand_ins.install(monkeypatch)
    old = cache.add_base("A")
    cache.add_chains(old, "abcd")
    plan = make_plan(cache.folder.parent, PROFILE, ("ml_cpu",), emit=cache.events.append)

    image = harden(plan, make_base(cache.folder.parent), guest)

    assert image.disk.path.is_file()
    assert not (cache.folder / "layers" / "a").exists()
    assert len(list((cache.folder / "layers").glob("[bcd]"))) == MAX_CHAINS_PER_PROFILE
