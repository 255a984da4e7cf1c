# SPDX-License-Identifier: GPL-2.0-or-later
"""The image on the media: the base root with the installer in it, as one squashfs.

It is both the environment that the installer runs in and the payload that it
unpacks; the installer's own folder stays behind when it does.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

from hardpan.errors import ToolError
from hardpan.process import run
from images.lab.recipe import HERE
from images.lab.repo import empty_volatile
from images.lab.root import in_root

PLACE = "usr/libexec/hardpan-lab"
"""Where the installer lies in the image."""

ROOM = "/run/hardpan-lab"
_PURE = ("pykickstart",)
"""Pure Python packages of this environment that the installer imports."""

_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.md", "tests", "locale")


def shaping_files() -> dict[str, Path]:
    """Every file that shapes the packages and the base root, by a stable name."""
    ours = (p for p in HERE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    names = {p.relative_to(HERE).as_posix(): p for p in ours if p.suffix != ".md"}
    return {n: p for n, p in sorted(names.items()) if not n.startswith("installer/")}


def installer_files(installer: Path) -> dict[str, Path]:
    """Every file of the installer and of the libraries that it imports."""
    found = {f"installer/{p.relative_to(installer)}": p for p in _carried(installer)}
    for name in _PURE:
        folder = _library(name)
        found |= {f"{name}/{p.relative_to(folder)}": p for p in _carried(folder)}
    return dict(sorted(found.items()))


def add_installer(root: Path, installer: Path) -> None:
    """Put the installer and its libraries into the root, in place of an earlier one."""
    target = root / PLACE
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(installer, target, ignore=_IGNORED)
    for name in _PURE:
        shutil.copytree(_library(name), target / "lib" / name, ignore=_IGNORED)
    run(["chown", "-R", "0:0", target], timeout_s=60)
    # Compiled here, once: in an emulated guest it costs seconds at every start.
    mode = ["--invalidation-mode", "unchecked-hash"]
    compiling = ["python3", "-m", "compileall", "-q", *mode, f"/{PLACE}"]
    in_root(root, compiling, timeout_s=120)


def squash(root: Path, image: Path, work: Path, installer: Path) -> None:
    """Make the image. lz4 unpacks several times faster than zstd in an emulated guest."""
    add_installer(root, installer)
    (root / "run/install/repo").mkdir(parents=True, exist_ok=True)
    argv = ["mksquashfs", f"{ROOM}/root", f"{ROOM}/install.img", "-noappend", "-quiet",
            "-no-progress", "-comp", "lz4", "-b", "128K", "-wildcards",
            "-e", "run/*", "tmp/*", "dev/*", "proc/*", "sys/*"]  # fmt: skip
    in_root(root, argv, timeout_s=300, binds={work: ROOM, root: f"{ROOM}/root"})
    (work / "install.img").replace(image)
    empty_volatile(root)


def _carried(folder: Path) -> list[Path]:
    """The files of a folder that ``_IGNORED`` lets through."""
    out: list[Path] = []
    for path in folder.iterdir():
        if path.name in _IGNORED(str(folder), [path.name]):
            continue
        out += _carried(path) if path.is_dir() else [path]
    return out


def _library(name: str) -> Path:
    found = find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise ToolError(
            [name], "is not installed in this environment", hint="make setup installs it"
        )
    return Path(found.submodule_search_locations[0])
