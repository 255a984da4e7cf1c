"""Download the wheels of a stack, or copy them from a folder, and verify each by its lock."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from hardpan.builder.pip import run_pip
from hardpan.builder.python_stacks.model import LockedStack, StackWheels
from hardpan.builder.python_stacks.source import build_wheel
from hardpan.builder.wheel_audit.lock import LockEntry, format_requirements
from hardpan.core.errors import InputError, ResourceError, ToolError, TrustError
from hardpan.core.events import Emit, StageMessage, StageProgress
from hardpan.core.files import Sha256, atomic_path, canonical_json, sha256_bytes, sha256_file
from hardpan.profiles.schema.frameworks import Stack

STAGE = "harden"
_TIMEOUT_S = 3600
_BATCH_SIZE = 4
"""Wheels per pip process: finished batches survive a later failure and show progress."""

_HASH_MISMATCH_MARKERS = ("DO NOT MATCH THE HASHES", "Expected sha256")
_DISK_FULL_MARKER = "No space left on device"


def download_wheels(locked_stack: LockedStack, cache: Path, emit: Emit) -> StackWheels:
    """Return one wheel for each locked package.

    Raises:
        InputError: the wheelhouse folder lacks a locked file.
        TrustError: a file is not the locked one.
        ToolError: the download failed, the disk is full, or a package could not be built.
    """
    source_folder = find_wheelhouse(locked_stack.stack)
    if source_folder is not None:
        _require_complete(source_folder, locked_stack)
    folder = cache / "wheelhouse" / _cache_key(locked_stack)
    entries = [e for e in locked_stack.lock.entries if e.name not in locked_stack.source_packages]
    if not folder.is_dir():
        name = locked_stack.stack.name
        emit(StageMessage(stage=STAGE, text=f"{name}: downloading {len(entries)} wheels"))
        with atomic_path(folder) as temp:
            temp.mkdir()
            for cached_wheel in _cached_wheels(
                locked_stack, entries, source_folder, cache, temp.parent / "coming", emit
            ):
                os.link(cached_wheel, temp / cached_wheel.name)
            _verify_against_lock(entries, temp)
    source_digests: dict[str, Sha256] = {}
    folder_with_built = cache / "wheelhouse" / f"{folder.name}-with-built"
    for source in locked_stack.stack.sources:
        entry = next(
            e for e in locked_stack.lock.entries if e.name == canonicalize_name(source.name)
        )
        wheel, digest = build_wheel(locked_stack, source, entry, source_folder, cache, emit)
        with atomic_path(folder_with_built) as temp:
            shutil.copytree(
                folder_with_built if source_digests else folder, temp, copy_function=os.link
            )
            shutil.copyfile(wheel, temp / wheel.name)
        source_digests[entry.name] = digest
    return StackWheels(
        folder=folder_with_built if source_digests else folder, source_digests=source_digests
    )


def count_missing(locked_stack: LockedStack, cache: Path) -> int:
    """Count the locked packages without a wheel in the cache."""
    return sum(not _is_cached(locked_stack, entry, cache) for entry in locked_stack.lock.entries)


def _is_cached(locked_stack: LockedStack, entry: LockEntry, cache: Path) -> bool:
    if entry.name in locked_stack.source_packages:
        return any((cache / "sources").glob(f"{entry.name}-*"))
    complete_folder = cache / "wheelhouse" / _cache_key(locked_stack)
    return complete_folder.is_dir() or (cache / "wheels" / _wheel_key(locked_stack, entry)).is_dir()


def find_wheelhouse(stack: Stack) -> Path | None:
    """Return the folder of a stack's wheels, or None if they are downloaded.

    Raises:
        InputError: the folder does not exist.
    """
    if not stack.wheelhouse:
        return None
    folder = Path(stack.wheelhouse)
    if not folder.is_dir():
        raise InputError(f"{stack.name}: wheelhouse: expected a folder, got no {folder}")
    return folder


def _cache_key(locked_stack: LockedStack) -> str:
    inputs = {"lock": locked_stack.lock.sha256, "target": locked_stack.pip_target_arguments()}
    inputs["from_source"] = sorted(locked_stack.source_packages)
    return f"{locked_stack.stack.name}-{sha256_bytes(canonical_json(inputs))[:16]}"


def _wheel_key(locked_stack: LockedStack, entry: LockEntry) -> str:
    inputs = {"allowed": sorted(entry.sha256s), "target": locked_stack.pip_target_arguments()}
    return f"{entry.name}-{sha256_bytes(canonical_json(inputs))[:16]}"


def _cached_wheels(
    locked_stack: LockedStack,
    entries: list[LockEntry],
    source_folder: Path | None,
    cache: Path,
    workdir: Path,
    emit: Emit,
) -> Iterator[Path]:
    """Yield each wheel in the cache, which all stacks with the same lock entry and target share."""
    folder_by_name = {e.name: cache / "wheels" / _wheel_key(locked_stack, e) for e in entries}
    missing = [e for e in entries if not folder_by_name[e.name].is_dir()]
    for offset in range(0, len(missing), _BATCH_SIZE):
        batch = missing[offset : offset + _BATCH_SIZE]
        done_count = len(entries) - len(missing) + offset
        names = f"{locked_stack.stack.name}: {', '.join(entry.name for entry in batch)}"
        emit(StageProgress(stage=STAGE, completed=done_count, total=len(entries), text=names))
        workdir.mkdir()
        _download(locked_stack, batch, source_folder, workdir)
        for name, wheel in _verify_against_lock(batch, workdir).items():
            with atomic_path(folder_by_name[name]) as folder:
                folder.mkdir()
                wheel.rename(folder / wheel.name)
        workdir.rmdir()
    for folder in folder_by_name.values():
        yield next(folder.iterdir())


def _download(
    locked_stack: LockedStack,
    entries: list[LockEntry],
    source_folder: Path | None,
    target_folder: Path,
) -> None:
    requirements_file = target_folder / "requirements.txt"
    requirements_file.write_text(format_requirements(entries), "utf-8")
    argv: list[str | Path] = [
        "download",
        "-q",
        "--no-deps",
        "--require-hashes",
        "-r",
        requirements_file,
    ]
    # pip's own cache would be a second copy of gigabytes.
    argv += ["--no-cache-dir", "-d", target_folder, *locked_stack.pip_target_arguments()]
    argv += ["--no-index", "--find-links", source_folder.absolute()] if source_folder else []
    try:
        run_pip(argv, timeout_s=_TIMEOUT_S, env={"TMPDIR": str(target_folder)})
    except ToolError as e:
        names = ", ".join(entry.name for entry in entries)
        if any(marker in e.output_tail for marker in _HASH_MISMATCH_MARKERS):
            raise TrustError(
                f"{locked_stack.stack.name}: a downloaded file is not the locked one:"
                f" {' '.join(e.output_tail.split())[-600:]}"
            ) from e
        if _DISK_FULL_MARKER in e.output_tail:
            raise ResourceError(
                f"{locked_stack.stack.name}: {target_folder.parents[1]}: no space left for {names}",
                hint="free some space or choose another --cache; downloaded files are reused",
            ) from e
        hint = "a lock for another index needs that index in pip's settings (PIP_INDEX_URL)"
        reason = f"{locked_stack.stack.name}: no wheels of {names}"
        raise ToolError(e.argv, reason, output_tail=e.output_tail, hint=hint) from e
    requirements_file.unlink()


def _require_complete(folder: Path, locked_stack: LockedStack) -> None:
    """Require that a wheelhouse folder has a locked file for every entry."""
    paths_by_name: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.endswith((".whl", ".tar.gz", ".zip")) and path.is_file():
            paths_by_name.setdefault(_package_name(path.name), []).append(path)
    missing: list[str] = []
    mismatches: list[str] = []
    for entry in locked_stack.lock.entries:
        paths = paths_by_name.get(entry.name, [])
        if any(sha256_file(path) in entry.sha256s for path in paths):
            continue
        same_version = [p for p in paths if _package_version(p.name) == entry.version.lower()]
        (mismatches if same_version else missing).append(f"{entry.name} {entry.version}")
    if mismatches:
        raise TrustError(
            f"{folder}: {', '.join(mismatches)}: expected a digest from the lock, got another one"
        )
    if missing:
        raise InputError(
            f"{folder}: expected every locked file, got none for {len(missing)} of"
            f" {len(locked_stack.lock.entries)}: {', '.join(missing)}",
            hint="'pip download' with the same lock fills it on a connected machine",
        )


def _verify_against_lock(entries: list[LockEntry], folder: Path) -> dict[str, Path]:
    """Return the locked file of each entry; the folder must contain nothing else.

    Raises:
        TrustError: a file is missing, has another digest, or is in no lock entry.
    """
    files = {path.name: sha256_file(path) for path in sorted(folder.iterdir())}
    path_by_name: dict[str, Path] = {}
    for entry in entries:
        matches = [n for n in files if _package_name(n) == entry.name]
        if len(matches) != 1 or files[matches[0]] not in entry.sha256s:
            raise TrustError(f"{entry.name} {entry.version}: found {matches or 'none'}, not locked")
        del files[matches[0]]
        path_by_name[entry.name] = folder / matches[0]
    if files:
        raise TrustError(f"{', '.join(files)}: not in the lock")
    return path_by_name


def _package_name(file: str) -> str:
    if file.endswith(".whl"):
        return canonicalize_name(file.partition("-")[0])
    return canonicalize_name(file.rpartition("-")[0])


def _package_version(file: str) -> str:
    if file.endswith(".whl"):
        return file.split("-")[1].lower()
    return file.rpartition("-")[2].removesuffix(".tar.gz").removesuffix(".zip").lower()
