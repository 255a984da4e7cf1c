"""A package that is published as source only, made a wheel of once on this machine."""

import re
import zipfile
from pathlib import Path

from hardpan.builder.pip import pip
from hardpan.builder.stacks.model import EPOCH, Recipe
from hardpan.builder.wheels.lock import Entry
from hardpan.errors import InputError, ToolError, TrustError
from hardpan.events import Emit, Note
from hardpan.files import Sha256, atomic_path, canonical_json, sha256_bytes
from hardpan.process import run
from hardpan.profiles.frameworks import FromSource
from hardpan.profiles.versions import numbers

STAGE = "harden"
_TIMEOUT_S = 5400
_ASK_S = 30
_GLIBC = re.compile(rb"GLIBC_(2\.\d{1,2})\0")
_LIBSTDCXX = re.compile(rb"GLIBCXX_3\.4\.(\d{1,2})\0")
_LIBSTDCXX_NEWEST = {"rocky9": 29, "rocky10": 33, "lab9": 33}
"""Release -> the newest GLIBCXX_3.4.N of its libstdc++: GCC 11 has 29, GCC 14 has 33."""


def wheel_of(
    recipe: Recipe, source: FromSource, entry: Entry, given: Path | None, cache: Path, emit: Emit
) -> tuple[Path, Sha256]:
    """The wheel and the digest of the source it was built from.

    Raises:
        InputError: it would not run on the release.
        ToolError: it cannot be had or built.
        TrustError: the source is not the locked one.
    """
    if len(entry.sha256s) != 1:
        raise InputError(
            f"{entry.name}: expected one digest in the lock, that of the source,"
            f" found {len(entry.sha256s)}: it has wheels, so it need not be built"
        )
    (digest,) = entry.sha256s
    folder = cache / "sources" / f"{entry.name}-{_key(source, digest)}"
    if not folder.is_dir():
        emit(Note(stage=STAGE, text=f"{entry.name} {entry.version}: building from source"))
        with atomic_path(folder) as temp:
            temp.mkdir()
            _build(source, entry, given, temp)
            _only(temp, entry)
    wheel = _only(folder, entry)
    fits(wheel, recipe)
    return wheel, Sha256(digest)


def fits(wheel: Path, recipe: Recipe) -> None:
    """Pass if the release's libraries are new enough for what this machine's compiler made.

    Raises:
        InputError: they are not.
    """
    glibc: tuple[int, ...] = (2, 0)
    cxx = 0
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if ".so" not in member.filename:
                continue
            data = archive.read(member)
            glibc = max([glibc, *(numbers(v.decode()) for v in _GLIBC.findall(data))])
            cxx = max([cxx, *(int(v) for v in _LIBSTDCXX.findall(data))])
    newest = _LIBSTDCXX_NEWEST[recipe.release]
    if glibc > numbers(recipe.glibc) or cxx > newest:
        raise InputError(
            f"{wheel.name}: expected glibc {recipe.glibc} and GLIBCXX_3.4.{newest} or older,"
            f" which {recipe.release} has, found {glibc[0]}.{glibc[1]} and GLIBCXX_3.4.{cxx}",
            hint="build on a machine that is as old as the release, e.g. on the release itself",
        )


def _key(source: FromSource, digest: str) -> str:
    told = {"source": digest, "cmake": list(source.cmake), "compiler": _compiler()}
    return sha256_bytes(canonical_json(told))[:16]


def _compiler() -> str:
    said = run(["g++", "--version"], timeout_s=_ASK_S, hint="a source needs g++, cmake and ninja")
    return said.stdout.splitlines()[0]


def _build(source: FromSource, entry: Entry, given: Path | None, to: Path) -> None:
    asked = to / "requirements.txt"
    asked.write_text(f"{entry.name}=={entry.version} --hash=sha256:{min(entry.sha256s)}\n", "utf-8")
    argv: list[str | Path] = ["wheel", "-q", "--no-deps", "--require-hashes", "-r", asked]
    argv += ["--no-binary", entry.name, "-w", to]
    argv += ["--no-index", "--find-links", given.absolute()] if given else []
    env = {
        "CMAKE_ARGS": " ".join(f"-D{flag}" for flag in source.cmake),
        "SOURCE_DATE_EPOCH": str(EPOCH),
    }
    try:
        pip(argv, timeout_s=_TIMEOUT_S, env=env)
    except ToolError as e:
        if "DO NOT MATCH THE HASHES" in e.tail:
            raise TrustError(f"{entry.name}: the source is not the locked one") from e
        hint = "it needs g++, cmake and ninja; a given wheelhouse has to hold its build tools too"
        raise ToolError(e.argv, f"could not build {entry.name}", tail=e.tail, hint=hint) from e
    asked.unlink()


def _only(folder: Path, entry: Entry) -> Path:
    found = sorted(folder.glob("*.whl"))
    if len(found) != 1:
        raise ToolError(["pip"], f"left {len(found)} wheels of {entry.name}, expected one")
    return found[0]
