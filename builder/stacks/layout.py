"""A stack's virtual environment as files: laid out here, run only on the host."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from hardpan.builder.pip import pip
from hardpan.builder.stacks.model import EPOCH, Files, Recipe, Tree
from hardpan.builder.wheels.lock import normalised
from hardpan.errors import ToolError
from hardpan.files import sha256_file
from hardpan.process import run
from hardpan.profiles.frameworks import HOME

_TIMEOUT_S = 1800
_COMPILE_S = 1800
_QUIET = "hardpan-no-bytecode.pth"
"""Keeps root from writing bytecode beside the sources: rpm and fapolicyd know no such file."""


def lay_out(recipe: Recipe, files: Files, room: Path) -> Tree:
    """The environment below ``room/root``, on the distribution's own Python.

    Raises:
        ToolError: pip refused a wheel; a console script is left out, never an error.
    """
    root = room / "root"
    home = root / HOME / recipe.stack.name
    site = home / f"lib/python{recipe.stack.python}/site-packages"
    site.mkdir(parents=True)
    _install(recipe, files, site, room)
    _interpreter(recipe, home)
    bytecode = _compile(recipe, root, site)
    if not bytecode:
        (site / _QUIET).write_text("import sys; sys.dont_write_bytecode = True\n", "utf-8")
    _settle(root)
    return Tree(root=root, bytecode=bytecode)


def _install(recipe: Recipe, files: Files, site: Path, room: Path) -> None:
    asked = room / "install.txt"
    asked.write_text("".join(_pins(recipe, files)), "utf-8")
    argv: list[str | Path] = ["install", "-q", "--no-deps", "--no-index", "--no-compile"]
    argv += ["--find-links", files.folder.absolute(), "--require-hashes", "-r", asked]
    argv += ["--target", site]
    # Already asked of the target at the download; here pip would ask it of its own Python.
    argv += ["--ignore-requires-python", *recipe.target()]
    # Nothing but the folder counts: a link of the machine's own settings would let others in.
    # pip unpacks into a temporary folder first: beside the target it moves it and copies nothing.
    (room / "tmp").mkdir()
    env = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "TMPDIR": str(room / "tmp")}
    try:
        pip(argv, timeout_s=_TIMEOUT_S, env=env)
    except ToolError as e:
        why = f"{recipe.stack.name}: the locked wheels do not fit together"
        raise ToolError(e.argv, why, tail=e.tail) from e
    # Console scripts name the build machine's Python; 'python3 -m' does the same.
    shutil.rmtree(site / "bin", ignore_errors=True)


def _pins(recipe: Recipe, files: Files) -> Iterator[str]:
    """Each wheel by its digest here, which for one that was built is not the lock's."""
    versions = {entry.name: entry.version for entry in recipe.lock.entries}
    for path in sorted(files.folder.glob("*.whl")):
        name = normalised(path.name.partition("-")[0])
        yield f"{name}=={versions[name]} --hash=sha256:{sha256_file(path)}\n"


def _interpreter(recipe: Recipe, home: Path) -> None:
    seen = "true" if recipe.stack.system_site_packages else "false"
    (home / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = {seen}\n"
        f"version = {recipe.stack.python}\nexecutable = /usr/bin/python{recipe.stack.python}\n",
        "utf-8",
    )
    (home / "bin").mkdir()
    (home / "bin/python3").symlink_to(f"/usr/bin/python{recipe.stack.python}")
    (home / "bin/python").symlink_to("python3")


def interpreter(version: str) -> Path | None:
    """A Python of that version on this machine, to compile with; None when there is none."""
    name = f"python{version}"
    try:
        # pyenv puts stand-ins before what it does not have: only what runs is there.
        run([name, "-c", ""], timeout_s=30, env={"PYENV_VERSION": version})
    except ToolError:
        return None
    return Path(name)


def _compile(recipe: Recipe, root: Path, site: Path) -> bool:
    """Compile every module that compiles, if this machine has the host's version of Python."""
    python = interpreter(recipe.stack.python)
    if python is None:
        return False
    # Unchecked: the host never compares, so it never writes; and no time of day gets in.
    argv: list[str | Path] = [python, "-m", "compileall", "-q", "--invalidation-mode"]
    argv += ["unchecked-hash", "-s", root, "-p", "/", site]
    # 1: some source is no Python of this version, e.g. a template or a test of a syntax error.
    env = {"PYENV_VERSION": recipe.stack.python, "PYTHONHASHSEED": "0"}
    run(argv, timeout_s=_COMPILE_S, ok=(0, 1), env=env)
    return True


def _settle(root: Path) -> None:
    """Modes that let everybody read and nobody write, one time for all."""
    for path in (*_all(root), root):
        if path.is_symlink():
            continue
        runs = path.is_dir() or ".so" in path.suffixes or bool(path.stat().st_mode & 0o100)
        path.chmod(0o755 if runs else 0o644)
    for path in (*_all(root), root):
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


def _all(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            yield Path(folder) / name
