# SPDX-License-Identifier: GPL-2.0-or-later
"""The full root: Debian's packages, then the EL shape laid over them."""

import os
import shutil
from collections.abc import Mapping, Sequence
from glob import glob
from pathlib import Path

from hardpan.core.errors import InputError
from hardpan.core.process import CompletedProcess, run
from images.lab.media_definition import LAB_FOLDER, MediaDefinition

OVERLAY = LAB_FOLDER / "overlay"

# Mounts and processes live in namespaces of their own, which end with unshare,
# and unshare ends with this process: a killed build leaves nothing mounted and
# nothing running.
NAMESPACE_ARGV = (
    *("setpriv", "--pdeathsig", "KILL", "--"),
    *("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"),
)

_IN_ROOT = """
set -e
root=$1; shift
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
for d in null zero full random urandom tty; do
    touch "$root/dev/$d"
    mount --bind "/dev/$d" "$root/dev/$d"
done
ln -s /proc/self/fd "$root/dev/fd"
while [ "$1" != -- ]; do
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    # A tool that cleans up after itself must not clean up the root.
    [ "$1" != "$root" ] || mount -o remount,bind,ro "$root$2"
    shift 2
done
shift
exec chroot "$root" "$@"
"""


def require_inside(root: Path, path: Path) -> Path:
    """``path``, if no link of the root leads from it to a file of this machine.

    A link such as ``/var/run -> /run`` is right for who runs in the root, and wrong from outside.

    Raises:
        InputError: one does.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{path}: expected a place inside of {root}, got {path.resolve()}")
    return path


def run_in_root(
    root: Path,
    argv: Sequence[str],
    *,
    timeout_s: float,
    binds: Mapping[Path, str] | None = None,
    ok: Sequence[int] = (0,),
) -> CompletedProcess:
    """Run a program of the root inside it, with the mounts it needs and no others."""
    pairs = [
        part for source, mount_point in (binds or {}).items() for part in (str(source), mount_point)
    ]
    shell = [*NAMESPACE_ARGV, "--net", "sh", "-c", _IN_ROOT, "sh"]
    return run(
        [*shell, str(root), *pairs, "--", *argv],
        timeout_s=timeout_s,
        ok=ok,
        env={"HOME": "/root", "TMPDIR": "/tmp"},  # noqa: S108  (the root's own)
    )


def apply_el_layout(definition: MediaDefinition, root: Path) -> None:
    """Give the root its EL shape. dpkg's records must have been read before."""
    for pattern in definition.removed_paths:
        for path in glob(f"{root}{pattern}"):  # noqa: PTH207  (an absolute pattern)
            require_inside(root, Path(path).parent)
            _delete(Path(path))
    for old, new in definition.moves.items():
        _move(root, old, new)
    _copy_overlay(root)
    for name, text in render_release_files(definition.release).items():
        require_inside(root, root / name).write_text(text, "utf-8")
    for name, mode in definition.folders.items():
        folder = require_inside(root, root / name[1:])
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(int(mode, 8))
    for name, target in definition.links.items():
        link = root / name[1:]
        require_inside(root, link.parent).mkdir(parents=True, exist_ok=True)
        _delete(link)
        link.symlink_to(target)
    script = root / "rebrand.sh"
    shutil.copy(LAB_FOLDER / "rebrand.sh", script)
    argv = ["env", f"MAJOR={definition.major}", "/bin/sh", "/rebrand.sh"]
    run_in_root(root, argv, timeout_s=600)
    script.unlink()


def render_release_files(release: str) -> dict[str, str]:
    """Return the files that name the release, by their path in the root."""
    major = release.partition(".")[0]
    os_release = {
        "NAME": '"hardpan lab"',
        "VERSION": f'"{release} (Lab)"',
        "ID": "hardpan-lab",
        "ID_LIKE": '"rhel fedora"',
        "VERSION_ID": f'"{release}"',
        "PLATFORM_ID": f'"platform:el{major}"',
        "PRETTY_NAME": f'"hardpan lab {release} (EL-shaped, assembled from Debian packages)"',
        "CPE_NAME": f'"cpe:/o:hardpan:lab:{major}"',
        "DEFAULT_HOSTNAME": '"localhost"',
    }
    return {
        "usr/lib/os-release": "".join(f"{key}={value}\n" for key, value in os_release.items()),
        "etc/hardpan-lab-release": f"hardpan lab release {release} (Lab)\n",
        "etc/system-release-cpe": f"cpe:/o:hardpan:lab:{major}\n",
        "etc/dnf/vars/releasever": f"{major}\n",
    }


def list_overlay(overlay: Path = OVERLAY) -> tuple[Path, ...]:
    """The files of the overlay, relative to it."""
    return tuple(sorted(p.relative_to(overlay) for p in overlay.rglob("*") if p.is_file()))


def _copy_overlay(root: Path) -> None:
    for name in list_overlay():
        target = root / name
        require_inside(root, target.parent).mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            target.unlink()
        shutil.copyfile(OVERLAY / name, target)
        # Modes by place, not by checkout: git keeps only the executable bit.
        is_private = name.as_posix() == "etc/sudoers"
        is_executable = os.access(OVERLAY / name, os.X_OK)
        target.chmod(0o440 if is_private else 0o755 if is_executable else 0o644)
        os.chown(target, 0, 0)


def _move(root: Path, old: str, new: str) -> None:
    source, target = root / old[1:], root / new[1:]
    if not source.exists():
        return
    require_inside(root, source.parent)
    require_inside(root, target.parent).mkdir(parents=True, exist_ok=True)
    source.rename(target)
    source.symlink_to(os.path.relpath(target, source.parent))


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()
