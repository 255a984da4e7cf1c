"""The wheels of a stack: downloaded or taken from a folder, each held against its lock."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from hardpan.builder.pip import pip
from hardpan.builder.stacks.model import Files, Recipe
from hardpan.builder.stacks.source import wheel_of
from hardpan.builder.wheels.lock import Entry, normalised, requirements
from hardpan.errors import InputError, ResourceError, ToolError, TrustError
from hardpan.events import Emit, Note, Progress
from hardpan.files import Sha256, atomic_path, canonical_json, sha256_bytes, sha256_file
from hardpan.profiles.frameworks import Stack

STAGE = "harden"
_TIMEOUT_S = 3600
_AT_ONCE = 4
"""Wheels that one pip gets: what it got is kept when the next ones fail, and progress is told."""

_NOT_THE_SAME = ("DO NOT MATCH THE HASHES", "Expected sha256")
_FULL = "No space left on device"


def gather(recipe: Recipe, cache: Path, emit: Emit) -> Files:
    """One wheel for each locked package.

    Raises:
        InputError: a given folder lacks some.
        TrustError: a file is not the locked one.
        ToolError: the download failed, the disk is full, or a package could not be built.
    """
    given = wheelhouse(recipe.stack)
    if given is not None:
        _whole(given, recipe)
    folder = cache / "wheelhouse" / _key(recipe)
    wanted = [e for e in recipe.lock.entries if e.name not in recipe.from_source]
    if not folder.is_dir():
        name = recipe.stack.name
        emit(Note(stage=STAGE, text=f"{name}: getting {len(wanted)} wheels by their digests"))
        with atomic_path(folder) as temp:
            temp.mkdir()
            for kept in _kept(recipe, wanted, given, cache, temp.parent / "coming", emit):
                os.link(kept, temp / kept.name)
            _hold(wanted, temp)
    built: dict[str, Sha256] = {}
    with_built = cache / "wheelhouse" / f"{folder.name}-with-built"
    for source in recipe.stack.sources:
        entry = next(e for e in recipe.lock.entries if e.name == normalised(source.name))
        wheel, digest = wheel_of(recipe, source, entry, given, cache, emit)
        with atomic_path(with_built) as temp:
            shutil.copytree(with_built if built else folder, temp, copy_function=os.link)
            shutil.copyfile(wheel, temp / wheel.name)
        built[entry.name] = digest
    return Files(folder=with_built if built else folder, built=built)


def lacking(recipe: Recipe, cache: Path) -> int:
    """How many of the locked packages have no wheel in the cache."""
    return sum(not _is_kept(recipe, entry, cache) for entry in recipe.lock.entries)


def _is_kept(recipe: Recipe, entry: Entry, cache: Path) -> bool:
    if entry.name in recipe.from_source:
        return any((cache / "sources").glob(f"{entry.name}-*"))
    whole = cache / "wheelhouse" / _key(recipe)
    return whole.is_dir() or (cache / "wheels" / _place(recipe, entry)).is_dir()


def wheelhouse(stack: Stack) -> Path | None:
    """The folder that a stack's files are taken from; None where they are downloaded.

    Raises:
        InputError: it is not there.
    """
    if not stack.wheelhouse:
        return None
    folder = Path(stack.wheelhouse)
    if not folder.is_dir():
        raise InputError(f"{stack.name}: wheelhouse: expected a folder, found no {folder}")
    return folder


def _key(recipe: Recipe) -> str:
    told = {"lock": recipe.lock.sha256, "target": recipe.target()}
    told["from_source"] = sorted(recipe.from_source)
    return f"{recipe.stack.name}-{sha256_bytes(canonical_json(told))[:16]}"


def _place(recipe: Recipe, entry: Entry) -> str:
    told = {"allowed": sorted(entry.sha256s), "target": recipe.target()}
    return f"{entry.name}-{sha256_bytes(canonical_json(told))[:16]}"


def _kept(
    recipe: Recipe, wanted: list[Entry], given: Path | None, cache: Path, room: Path, emit: Emit
) -> Iterator[Path]:
    """Each wheel where it is kept for every stack that locks the same files for the same target."""
    places = {e.name: cache / "wheels" / _place(recipe, e) for e in wanted}
    todo = [e for e in wanted if not places[e.name].is_dir()]
    for first in range(0, len(todo), _AT_ONCE):
        some = todo[first : first + _AT_ONCE]
        done = len(wanted) - len(todo) + first
        names = f"{recipe.stack.name}: {', '.join(entry.name for entry in some)}"
        emit(Progress(stage=STAGE, done=done, total=len(wanted), text=names))
        room.mkdir()
        _download(recipe, some, given, room)
        for name, wheel in _hold(some, room).items():
            with atomic_path(places[name]) as place:
                place.mkdir()
                wheel.rename(place / wheel.name)
        room.rmdir()
    for place in places.values():
        yield next(place.iterdir())


def _download(recipe: Recipe, wanted: list[Entry], given: Path | None, to: Path) -> None:
    asked = to / "requirements.txt"
    asked.write_text(requirements(wanted), "utf-8")
    argv: list[str | Path] = ["download", "-q", "--no-deps", "--require-hashes", "-r", asked]
    # What pip keeps of its own would be a second copy of gigabytes.
    argv += ["--no-cache-dir", "-d", to, *recipe.target()]
    argv += ["--no-index", "--find-links", given.absolute()] if given else []
    try:
        pip(argv, timeout_s=_TIMEOUT_S, env={"TMPDIR": str(to)})
    except ToolError as e:
        names = ", ".join(entry.name for entry in wanted)
        if any(words in e.tail for words in _NOT_THE_SAME):
            raise TrustError(
                f"{recipe.stack.name}: a downloaded file is not the locked one:"
                f" {' '.join(e.tail.split())[-600:]}"
            ) from e
        if _FULL in e.tail:
            raise ResourceError(
                f"{recipe.stack.name}: {to.parents[1]}: no space left for {names}",
                hint="free some space or choose another --cache; what is there stays there",
            ) from e
        hint = "a lock for another index needs that index in pip's settings (PIP_INDEX_URL)"
        why = f"{recipe.stack.name}: no wheels of {names}"
        raise ToolError(e.argv, why, tail=e.tail, hint=hint) from e
    asked.unlink()


def _whole(folder: Path, recipe: Recipe) -> None:
    """Pass if a given folder has a locked file for every entry."""
    there: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.endswith((".whl", ".tar.gz", ".zip")) and path.is_file():
            there.setdefault(_package(path.name), []).append(path)
    missing: list[str] = []
    other: list[str] = []
    for entry in recipe.lock.entries:
        found = there.get(entry.name, [])
        if any(sha256_file(path) in entry.sha256s for path in found):
            continue
        same = [p for p in found if _version(p.name) == entry.version.lower()]
        (other if same else missing).append(f"{entry.name} {entry.version}")
    if other:
        raise TrustError(
            f"{folder}: {', '.join(other)}: expected a digest that the lock allows, found another"
        )
    if missing:
        raise InputError(
            f"{folder}: expected every locked file, found none for {len(missing)} of"
            f" {len(recipe.lock.entries)}: {', '.join(missing)}",
            hint="'pip download' with the same lock fills it on a connected machine",
        )


def _hold(wanted: list[Entry], folder: Path) -> dict[str, Path]:
    """The one locked file of each entry, if the folder has that and nothing else."""
    files = {path.name: sha256_file(path) for path in sorted(folder.iterdir())}
    held: dict[str, Path] = {}
    for entry in wanted:
        mine = [n for n in files if _package(n) == entry.name]
        if len(mine) != 1 or files[mine[0]] not in entry.sha256s:
            raise TrustError(f"{entry.name} {entry.version}: found {mine or 'none'}, not locked")
        del files[mine[0]]
        held[entry.name] = folder / mine[0]
    if files:
        raise TrustError(f"{', '.join(files)}: nobody asked for it")
    return held


def _package(file: str) -> str:
    if file.endswith(".whl"):
        return normalised(file.partition("-")[0])
    return normalised(file.rpartition("-")[0])


def _version(file: str) -> str:
    if file.endswith(".whl"):
        return file.split("-")[1].lower()
    return file.rpartition("-")[2].removesuffix(".tar.gz").removesuffix(".zip").lower()
