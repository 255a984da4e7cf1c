"""A package that is published as source only, made a wheel of once on this machine.

pip would install the newest build tools that the index has. They come out of a lock instead, into
an environment of their own, and pip builds without an isolated one: the same source gives the same
wheel whatever was released since.
"""

import re
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from hardpan.builder.pip import pip
from hardpan.builder.stacks.model import EPOCH, Recipe
from hardpan.builder.wheels.archive import opened
from hardpan.builder.wheels.lock import Entry, Lock, requirements
from hardpan.builder.wheels.model import Limits
from hardpan.errors import InputError, ToolError, TrustError
from hardpan.events import Emit, Note
from hardpan.files import Sha256, atomic_path, canonical_json, sha256_bytes
from hardpan.process import run
from hardpan.profiles.frameworks import FromSource
from hardpan.profiles.versions import numbers

STAGE = "harden"
_TIMEOUT_S = 5400
_TOOLS_S = 600
_ASK_S = 30
MAX_LIBRARY_BYTES = 1 << 30
"""Of one library that was built here."""

_OTHER = "DO NOT MATCH THE HASHES"
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
    tools = recipe.tools[source.name]
    folder = cache / "sources" / f"{entry.name}-{_key(source, digest, tools)}"
    if not folder.is_dir():
        emit(Note(stage=STAGE, text=f"{entry.name} {entry.version}: building from source"))
        with atomic_path(folder) as temp:
            temp.mkdir()
            _build(source, entry, tools, given, temp)
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
    with wheel.open("rb") as file:
        archive, problems = opened(file, Limits())
        if archive is None:
            raise InputError(f"{wheel.name}: cannot be read: {problems[0]}")
        for member in archive.members:
            if ".so" not in member.filename:
                continue
            if member.file_size > MAX_LIBRARY_BYTES:
                raise InputError(
                    f"{wheel.name}: {member.filename!a}: expected at most {MAX_LIBRARY_BYTES}"
                    f" bytes, got {member.file_size}"
                )
            data = archive.whole(member)
            glibc = max([glibc, *(numbers(v.decode()) for v in _GLIBC.findall(data))])
            cxx = max([cxx, *(int(v) for v in _LIBSTDCXX.findall(data))])
    newest = _LIBSTDCXX_NEWEST[recipe.release]
    if glibc > numbers(recipe.glibc) or cxx > newest:
        raise InputError(
            f"{wheel.name}: expected glibc {recipe.glibc} and GLIBCXX_3.4.{newest} or older,"
            f" which {recipe.release} has, found {glibc[0]}.{glibc[1]} and GLIBCXX_3.4.{cxx}",
            hint="build on a machine that is as old as the release, e.g. on the release itself",
        )


def _key(source: FromSource, digest: str, tools: Lock) -> str:
    told = {"source": digest, "cmake": list(source.cmake), "compiler": _compiler()}
    told["tools"] = tools.sha256
    return sha256_bytes(canonical_json(told))[:16]


def _compiler() -> str:
    said = run(["g++", "--version"], timeout_s=_ASK_S, hint="a source needs g++, cmake and ninja")
    return said.stdout.splitlines()[0]


def _build(source: FromSource, entry: Entry, tools: Lock, given: Path | None, to: Path) -> None:
    where: list[str | Path] = ["--no-index", "--find-links", given.absolute()] if given else []
    with tempfile.TemporaryDirectory(prefix="hardpan-source-") as name:
        room = Path(name)
        python = _environment(tools, where, source, room)
        asked = room / "requirements.txt"
        asked.write_text(requirements([entry]), "utf-8")
        argv: list[str | Path] = ["--python", python, "wheel", "-q", "--no-deps"]
        argv += ["--no-build-isolation", "--use-pep517", "--require-hashes", "-r", asked]
        argv += ["--no-binary", entry.name, "-w", to, *where]
        env = {
            "CMAKE_ARGS": " ".join(f"-D{flag}" for flag in source.cmake),
            "SOURCE_DATE_EPOCH": str(EPOCH),
        }
        try:
            pip(argv, timeout_s=_TIMEOUT_S, env=env)
        except ToolError as e:
            if _OTHER in e.tail:
                raise TrustError(f"{entry.name}: the source is not the locked one") from e
            hint = f"it needs g++, cmake, ninja and what builds it in the lock {source.build_lock}"
            raise ToolError(e.argv, f"could not build {entry.name}", tail=e.tail, hint=hint) from e


def _environment(tools: Lock, where: Sequence[str | Path], source: FromSource, room: Path) -> Path:
    """The Python of a fresh environment in which the locked build tools and nothing else are."""
    venv.create(room / "tools", symlinks=True)
    python = room / "tools/bin/python"
    asked = room / "tools.txt"
    asked.write_text(requirements(tools.entries), "utf-8")
    argv: list[str | Path] = ["--python", python, "install", "-q", "--no-deps"]
    argv += ["--require-hashes", "--only-binary", ":all:", "-r", asked, *where]
    try:
        pip(argv, timeout_s=_TOOLS_S)
    except ToolError as e:
        if _OTHER in e.tail:
            raise TrustError(f"{source.name}: a build tool is not the locked one") from e
        hint = f"a given wheelhouse has to hold the files of the lock {source.build_lock}, too"
        why = f"could not get the build tools of {source.name}"
        raise ToolError(e.argv, why, tail=e.tail, hint=hint) from e
    return python


def _only(folder: Path, entry: Entry) -> Path:
    found = sorted(folder.glob("*.whl"))
    if len(found) != 1:
        raise ToolError(["pip"], f"left {len(found)} wheels of {entry.name}, expected one")
    return found[0]
