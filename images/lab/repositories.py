# SPDX-License-Identifier: GPL-2.0-or-later
"""The media's two repositories, laid out as on Rocky's DVD."""

from collections.abc import Collection
from pathlib import Path

from hardpan.core.process import run
from images.lab.groups import load_groups, render_comps
from images.lab.modules import MODULES
from images.lab.root import run_in_root

CHROOT_WORKDIR = Path("/run/hardpan-lab")
"""Where the build folder appears inside the root; /run is never packed."""

REPOSITORIES = ("BaseOS", "AppStream")
PACKAGE_FOLDER = "Packages"
"""Folder of a repository; its subfolders are the first letters of the packages' names."""


def build_repositories(
    root: Path, build: Path, tree: Path, *, baseos: Collection[str], has_modules: bool
) -> None:
    """Move the RPMs of ``build`` into the repositories and sign their metadata.

    BaseOS has the packages ``baseos`` and the members of the group standard, AppStream the others.
    """
    package_groups = load_groups()
    standard = package_groups.groups["standard"].members("mandatory", "default")
    for path in sorted((build / "rpms").glob("*.rpm")):
        name = package_name(path)
        repository = "BaseOS" if name in baseos or name in standard else "AppStream"
        folder = tree / repository / PACKAGE_FOLDER / name[0].lower()
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / path.name)
    for repository in REPOSITORIES:
        folder = tree / repository
        comps = build / f"comps-{repository}.xml"
        names = {package_name(path) for path in folder.rglob("*.rpm")}
        comps.write_text(render_comps(package_groups, names), "utf-8")
        argv: list[str | Path] = ["createrepo_c", "--quiet", "--no-database", "--workers=2"]
        run(
            [*argv, "--groupfile", comps, folder],
            timeout_s=300,
            hint="install createrepo-c (createrepo_c on Fedora and its kin)",
        )
        if repository == "AppStream" and has_modules:
            _add_modules(folder / "repodata", build)
        sign_file(root, build, folder / "repodata/repomd.xml")


def package_name(path: Path) -> str:
    """Return the name in an RPM's file name."""
    return path.name.rsplit("-", 2)[0]


def sign_file(root: Path, build: Path, path: Path) -> None:
    """Write an armoured signature ``*.asc`` next to a file."""
    mount_point = f"{CHROOT_WORKDIR}-tree"
    gpg = ["gpg", "--homedir", f"{CHROOT_WORKDIR}/gnupg", "--batch", "--yes", "--armor"]
    run_in_root(
        root,
        [*gpg, "--detach-sign", f"{mount_point}/{path.name}"],
        timeout_s=60,
        binds={build: str(CHROOT_WORKDIR), path.parent: mount_point},
    )


def _add_modules(repodata: Path, build: Path) -> None:
    """Add the module streams to a repository's metadata."""
    path = build / "modules.yaml"
    path.write_text(MODULES, "utf-8")
    options = ["--mdtype=modules", "--compress-type=gz"]
    argv: list[str | Path] = ["modifyrepo_c", *options, path, repodata]
    run(argv, timeout_s=60, hint="install createrepo-c")
