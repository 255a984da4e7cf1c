"""Remove disks from the cache folder that recent builds did not use.

A disk is a base install or an overlay of one. Each build uses one chain of them: the base install,
an overlay for each layer, and one for sysprep. The last chains of each profile are kept, whether
their builds have ended or were interrupted. Below a base install that another build has locked,
nothing is removed.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hardpan.builder import stages
from hardpan.builder.build_plan import BuildPlan
from hardpan.builder.vm.qcow2_header import read_backing_path
from hardpan.core.errors import InputError, ResourceError
from hardpan.core.events import StageMessage
from hardpan.core.file_lock import LOCK_NAME, lock_folder
from hardpan.core.files import temporary_folder
from hardpan.core.stage_cache import read_record

MAX_CHAINS_PER_PROFILE = 3
"""Chains of disks that stay in the cache for each profile."""

_STAGE = "cache"
_RECORDS = "*.stage.json"
_REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDisk:
    """A disk in the cache: the folder of a stage's result."""

    folder: Path
    backing: Path | None
    """Folder of its backing file, whether it exists or not; None for a base install."""

    used_ns: int
    """When a build last used it, in nanoseconds since 1970."""

    profile: str
    """Profile of a base install; empty for an overlay, and where no record has it."""

    allocated_bytes: int


def remove_old_disks(plan: BuildPlan, base_folder: Path) -> None:
    """Remove the disks that the last builds of each profile did not use, and report that.

    ``base_folder`` has the base install of this build, which has locked it.
    """
    removed_bytes: list[int] = []
    for root in sorted({root for _, root in _find_old_disks(plan.cache_folder)}):
        with contextlib.ExitStack() as stack:
            if root != base_folder and root.is_dir():
                lock = lock_folder(
                    root, command=plan.command, stage=_STAGE, emit=plan.emit, may_wait=False
                )
                try:
                    stack.enter_context(lock)
                except (ResourceError, InputError):
                    continue
            # Another build may have used one of them before it was locked.
            for disk, disk_root in _find_old_disks(plan.cache_folder):
                if disk_root != root:
                    continue
                try:
                    _remove(disk)
                except OSError as e:
                    text = f"{disk.folder}: cannot be removed: {e.strerror}"
                    plan.emit(StageMessage(stage=_STAGE, text=text))
                    break
                removed_bytes.append(disk.allocated_bytes)
    if removed_bytes:
        count, size_mib = len(removed_bytes), sum(removed_bytes) >> 20
        text = (
            f"removed {count} disk{'s' * (count > 1)} of earlier builds, {size_mib} MiB;"
            f" the last {MAX_CHAINS_PER_PROFILE} builds of each profile are kept"
        )
        plan.emit(StageMessage(stage=_STAGE, text=text))


def list_disks(cache_folder: Path) -> dict[Path, StoredDisk]:
    """Return the disks by their folder; folders without a readable disk are left out."""
    parents = (cache_folder / stages.INSTALLS_FOLDER, cache_folder / stages.LAYERS_FOLDER)
    folders = (path for parent in parents for path in parent.glob("[!.]*") if path.is_dir())
    disks = (_read_disk(folder) for folder in folders)
    return {disk.folder: disk for disk in disks if disk is not None}


def select_old_disks(disks: Mapping[Path, StoredDisk]) -> list[tuple[StoredDisk, Path]]:
    """Return the disks to remove, each before its backing file, with the folder of its base.

    An overlay whose backing file is missing can never be used again: a new disk has other bytes.
    """
    chains: dict[Path, list[Path]] = {folder: list(_chain(disks, folder)) for folder in disks}
    backings = {disk.backing for disk in disks.values()}
    tips: dict[str, list[StoredDisk]] = {}
    for folder, disk in disks.items():
        base = disks.get(chains[folder][-1])
        if folder not in backings and base is not None:
            tips.setdefault(base.profile, []).append(disk)
    recent = {
        folder
        for group in tips.values()
        for tip in sorted(group, key=lambda disk: disk.used_ns)[-MAX_CHAINS_PER_PROFILE:]
        for folder in chains[tip.folder]
    }
    old = [folder for folder in disks if folder not in recent]
    old.sort(key=lambda folder: (-len(chains[folder]), folder))
    return [(disks[folder], chains[folder][-1]) for folder in old]


def _find_old_disks(cache_folder: Path) -> list[tuple[StoredDisk, Path]]:
    return select_old_disks(list_disks(cache_folder))


def _chain(disks: Mapping[Path, StoredDisk], folder: Path) -> Iterator[Path]:
    """Yield the folders of a disk and of its backing files; the last one may be missing."""
    seen: set[Path] = set()
    current: Path | None = folder
    while current is not None and current not in seen:
        yield current
        seen.add(current)
        current = disks[current].backing if current in disks else None


def _read_disk(folder: Path) -> StoredDisk | None:
    records = [path for path in folder.glob(_RECORDS) if path.is_file()]
    try:
        (image,) = folder.glob("*.qcow2")
        backing = read_backing_path(image)
        status = image.stat()
        used_ns = max((path.stat().st_mtime_ns for path in records), default=status.st_mtime_ns)
    except (ValueError, InputError, OSError):
        return None
    return StoredDisk(
        folder=folder,
        backing=backing.parent if backing else None,
        used_ns=used_ns,
        profile=_read_profile(records),
        allocated_bytes=status.st_blocks * 512,
    )


def _read_profile(records: Iterable[Path]) -> str:
    for path in records:
        record = read_record(path)
        result = record.get("result") if record else None
        if isinstance(result, dict) and isinstance(result.get("profile"), str):
            return str(result["profile"])
    return ""


def _remove(disk: StoredDisk) -> None:
    """Remove a disk at once; the next removal removes what a killed process has left.

    The folder of a base install stays, with its lock: another process may wait for it.
    """
    with temporary_folder(disk.folder.parent / _REMOVED) as folder:
        if disk.backing is not None:
            disk.folder.rename(folder / disk.folder.name)
            return
        for path in sorted(disk.folder.iterdir(), key=lambda path: path.suffix != ".json"):
            if path.name != LOCK_NAME:
                path.rename(folder / path.name)
