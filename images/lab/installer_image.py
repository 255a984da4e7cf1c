# SPDX-License-Identifier: GPL-2.0-or-later
"""The image on the media: the base root with the installer in it, as one squashfs.

It is both the environment that the installer runs in and the payload that it
unpacks; the installer's folder is excluded.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

from hardpan.core.errors import ToolError
from hardpan.core.process import run
from images.lab.media_definition import LAB_FOLDER
from images.lab.repo import empty_volatile
from images.lab.root import run_in_root

INSTALLER_PATH = "usr/libexec/hardpan-lab"
"""Folder of the installer in the image."""

CHROOT_WORKDIR = "/run/hardpan-lab"
_BUNDLED_LIBRARIES = ("pykickstart",)
"""Pure Python packages of this environment that the installer imports."""

_IGNORE_PATTERNS = shutil.ignore_patterns("__pycache__", "*.pyc", "*.md", "tests", "locale")


def list_media_inputs() -> dict[str, Path]:
    """Every file that shapes the packages and the base root, by a stable name."""
    sources = (p for p in LAB_FOLDER.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    names = {p.relative_to(LAB_FOLDER).as_posix(): p for p in sources if p.suffix != ".md"}
    return {n: p for n, p in sorted(names.items()) if not n.startswith("installer/")}


def list_installer_files(installer: Path) -> dict[str, Path]:
    """Every file of the installer and of the libraries that it imports."""
    files = {f"installer/{p.relative_to(installer)}": p for p in _list_files(installer)}
    for name in _BUNDLED_LIBRARIES:
        folder = _find_library(name)
        files |= {f"{name}/{p.relative_to(folder)}": p for p in _list_files(folder)}
    return dict(sorted(files.items()))


def add_installer(root: Path, installer: Path) -> None:
    """Copy the installer and its libraries into the root, replacing an earlier one."""
    target = root / INSTALLER_PATH
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(installer, target, ignore=_IGNORE_PATTERNS)
    for name in _BUNDLED_LIBRARIES:
        shutil.copytree(_find_library(name), target / "lib" / name, ignore=_IGNORE_PATTERNS)
    run(["chown", "-R", "0:0", target], timeout_s=60)
    # Compiled here, once: in an emulated guest it costs seconds at every start.
    mode = ["--invalidation-mode", "unchecked-hash"]
    argv = ["python3", "-m", "compileall", "-q", *mode, f"/{INSTALLER_PATH}"]
    run_in_root(root, argv, timeout_s=120)


def build_squashfs(root: Path, image: Path, work: Path, installer: Path) -> None:
    """Make the image. lz4 unpacks several times faster than zstd in an emulated guest."""
    add_installer(root, installer)
    (root / "run/install/repo").mkdir(parents=True, exist_ok=True)
    argv = ["mksquashfs", f"{CHROOT_WORKDIR}/root", f"{CHROOT_WORKDIR}/install.img",
            "-noappend", "-quiet", "-no-progress", "-comp", "lz4", "-b", "128K", "-wildcards",
            "-e", "run/*", "tmp/*", "dev/*", "proc/*", "sys/*"]  # fmt: skip
    run_in_root(
        root, argv, timeout_s=300, binds={work: CHROOT_WORKDIR, root: f"{CHROOT_WORKDIR}/root"}
    )
    (work / "install.img").replace(image)
    empty_volatile(root)


def _list_files(folder: Path) -> list[Path]:
    """The files of a folder that ``_IGNORED`` lets through."""
    files: list[Path] = []
    for path in folder.iterdir():
        if path.name in _IGNORE_PATTERNS(str(folder), [path.name]):
            continue
        files += _list_files(path) if path.is_dir() else [path]
    return files


def _find_library(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ToolError(
            [name], "is not installed in this environment", hint="make setup installs it"
        )
    return Path(spec.submodule_search_locations[0])
