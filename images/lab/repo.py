# SPDX-License-Identifier: GPL-2.0-or-later
"""The RPMs: built in the root, signed with a throwaway key, indexed, and registered."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import ToolError
from images.lab import dpkg, file_ownership, plan, spec
from images.lab.groups import load_groups, select_core
from images.lab.media_definition import LAB_FOLDER, MediaDefinition
from images.lab.repositories import (
    CHROOT_WORKDIR,
    PACKAGE_FOLDER,
    build_repositories,
    package_name,
)
from images.lab.root import OVERLAY, apply_el_layout, require_inside, run_in_root

KEY_FILE = "RPM-GPG-KEY-hardpan-lab"
EXCLUDE_LIST = "images/installer-only.txt"
"""File of the media: paths of the image that are the installer's own."""

_KEY_OWNER = "hardpan lab (throwaway key of one build) <lab@hardpan.invalid>"
SCRIPTLETS = LAB_FOLDER / "scriptlets"
"""Bodies of ``%post``: ``EL-NAME.sh``."""

_PRESET = "usr/lib/systemd/system-preset/90-default.preset"
_CAPS = re.compile(r"^(?P<path>.+?) (?P<caps>cap_\S+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSet:
    """The packages of one build, before they are files."""

    packages: dict[str, plan.ElPackage]
    base: frozenset[str]
    """In the payload."""

    installer_only: frozenset[str]
    """In the installer's image and not in the payload."""

    owned: file_ownership.OwnedPaths
    unowned: tuple[str, ...]
    """Paths that no package owns: state that Debian's scripts create."""


def prepare_packages(definition: MediaDefinition, root: Path, key: Path) -> PackageSet:
    """Shape the root and decide which package owns each of its files."""
    debs = dpkg.read_packages(root)
    packages = plan.plan_packages(definition, debs)
    base = plan.compute_closure(
        (*select_core(load_groups(), packages, definition.major), *definition.base_packages),
        packages,
        setting="base",
    )
    installer = plan.compute_closure(definition.installer_only, packages, setting="installer_only")
    apply_el_layout(definition, root)
    target = require_inside(root, root / "etc/pki/rpm-gpg" / KEY_FILE)
    shutil.copyfile(key, target)
    target.chmod(0o644)
    ownership = file_ownership.OwnershipMap(definition, debs, packages)
    owned, excluded, unowned = file_ownership.assign_owners(
        definition, root, ownership, packages, _read_capabilities(root)
    )
    for path in sorted(excluded, reverse=True):
        _remove(root / path[1:])
    return PackageSet(
        packages=packages,
        base=base,
        installer_only=installer - base,
        owned=owned,
        unowned=unowned,
    )


def create_signing_key(root: Path, build: Path) -> Path:
    """A signing key that lives for one build; returns its public half."""
    (build / "gnupg").mkdir(mode=0o700, parents=True)
    gpg = ["gpg", "--homedir", f"{CHROOT_WORKDIR}/gnupg", "--batch", "--quiet"]
    script = (
        "set -e; umask 077; "
        '"$@" --passphrase "" --quick-generate-key "$OWNER" rsa3072 sign never; '
        '"$@" --armor --export >"$ROOM/key.asc"; gpgconf --homedir "$ROOM/gnupg" --kill all'
    )
    env = ["env", f"OWNER={_KEY_OWNER}", f"ROOM={CHROOT_WORKDIR}"]
    run_in_root(
        root,
        [*env, "sh", "-c", script, "sh", *gpg],
        timeout_s=120,
        binds={build: str(CHROOT_WORKDIR)},
    )
    return build / "key.asc"


def build_rpms(root: Path, build: Path, package_set: PackageSet) -> Path:
    """Pack every package with one rpmbuild; returns the folder with the files."""
    lists = build / "lists"
    lists.mkdir()
    for name, entries in package_set.owned.items():
        (lists / name).write_text(spec.render_file_list(entries), "utf-8")
    presets = spec.parse_preset((OVERLAY / _PRESET).read_text("utf-8"))
    text = spec.render_spec(
        package_set.packages,
        package_set.owned,
        presets,
        _account_provides(root),
        {path.stem: path.read_text("utf-8") for path in SCRIPTLETS.glob("*.sh")},
    )
    (build / "lab.spec").write_text(text, "utf-8")
    (build / "rpms").mkdir()
    defines = {
        "_topdir": CHROOT_WORKDIR,
        "_rpmdir": CHROOT_WORKDIR / "rpms",
        "lists": CHROOT_WORKDIR / "lists",
    }
    run_in_root(
        root,
        [
            "rpmbuild",
            "-bb",
            "--quiet",
            "--nodeps",
            "--noclean",
            f"--buildroot={CHROOT_WORKDIR}/root",
            *(f"--define={k} {v}" for k, v in defines.items()),
            f"{CHROOT_WORKDIR}/lab.spec",
        ],
        timeout_s=900,
        binds={build: str(CHROOT_WORKDIR), root: f"{CHROOT_WORKDIR}/root"},
    )
    count = len(list((build / "rpms").glob("*.rpm")))
    if count != len(package_set.packages):
        raise ToolError(["rpmbuild"], f"built {count} of {len(package_set.packages)} packages")
    return build / "rpms"


def sign_rpms(root: Path, build: Path) -> None:
    """Sign every RPM; two at a time, because most of it is waiting for gpg."""
    script = (
        # One agent before many signers: none of them has to race to start it.
        'gpgconf --homedir "$ROOM/gnupg" --launch gpg-agent; cd "$ROOM/rpms"; '
        'find . -name "*.rpm" -print0 | '
        'xargs -0 -n 32 -P "$(nproc)" rpmsign --define "_gpg_name $OWNER" '
        '--define "_gpg_path $ROOM/gnupg" --addsign >/dev/null; '
        'gpgconf --homedir "$ROOM/gnupg" --kill all'
    )
    env = [
        "env",
        f"OWNER={_KEY_OWNER}",
        f"ROOM={CHROOT_WORKDIR}",
        f"GNUPGHOME={CHROOT_WORKDIR}/gnupg",
    ]
    run_in_root(
        root, [*env, "sh", "-ec", script], timeout_s=600, binds={build: str(CHROOT_WORKDIR)}
    )


def reduce_to_base(root: Path, build: Path, package_set: PackageSet, tree: Path) -> None:
    """Reduce the root to the base packages and register them in its rpm database.

    The installer's own programs stay and are not registered; ``EXCLUDE_LIST`` on the media
    names their paths, which are not unpacked into a new system.
    """
    in_image = package_set.base | package_set.installer_only
    for path in file_ownership.find_optional_paths(package_set.owned, in_image):
        _remove(root / path[1:])
    installer_owned = {name: package_set.owned.get(name, []) for name in in_image}
    excluded = file_ownership.find_optional_paths(installer_owned, package_set.base)
    (tree / EXCLUDE_LIST).parent.mkdir(parents=True, exist_ok=True)
    (tree / EXCLUDE_LIST).write_text("".join(f"{p[1:]}\n" for p in sorted(excluded)), "utf-8")
    for link in (root / "etc/systemd/system").rglob("*"):
        if link.is_symlink() and not _target_exists(root, link):
            link.unlink()  # it switched on a unit of a package that is not here yet
    shutil.rmtree(root / "var/lib/rpm", ignore_errors=True)
    script = (
        'set -e; mkdir -p /var/lib/rpm; rpm --initdb; cd "$ROOM-tree"; '
        "rpm -i --justdb --nodeps --noscripts --notriggers --nosignature --nodigest --noplugins "
        '--ignoresize $(cat "$ROOM/base-rpms"); '
        f"rpm --import /etc/pki/rpm-gpg/{KEY_FILE}; ldconfig"
    )
    folder = tree / "BaseOS" / PACKAGE_FOLDER
    rpms = [p for p in folder.rglob("*.rpm") if package_name(p) in package_set.base]
    names = sorted(p.relative_to(folder).as_posix() for p in rpms)
    (build / "base-rpms").write_text("\n".join(names), "utf-8")
    binds = {build: str(CHROOT_WORKDIR), folder: f"{CHROOT_WORKDIR}-tree"}
    run_in_root(
        root, ["env", f"ROOM={CHROOT_WORKDIR}", "sh", "-c", script], timeout_s=300, binds=binds
    )


def empty_volatile(root: Path) -> None:
    """Clear the places that no image carries."""
    for name in ("run", "tmp", "dev", "proc", "sys"):
        for path in (root / name).iterdir():
            _remove(path)


def build_all(
    definition: MediaDefinition,
    root: Path,
    build: Path,
    tree: Path,
    on_progress: Callable[[str], None],
) -> PackageSet:
    """From a root of Debian packages to two signed repositories and a base root."""
    key = create_signing_key(root, build)
    package_set = prepare_packages(definition, root, key)
    on_progress(
        f"packing {len(package_set.packages)} packages, {len(package_set.base)} of them base"
    )
    build_rpms(root, build, package_set)
    on_progress("signing them")
    sign_rpms(root, build)
    build_repositories(
        root,
        build,
        tree,
        baseos=package_set.base | package_set.installer_only,
        has_modules=definition.has_modules,
    )
    shutil.copyfile(key, tree / KEY_FILE)
    on_progress("reducing the root to the base packages")
    reduce_to_base(root, build, package_set, tree)
    return package_set


def _read_capabilities(root: Path) -> dict[str, str]:
    output = run_in_root(root, ["getcap", "-r", "/usr"], timeout_s=60).stdout
    matches = (m for m in map(_CAPS.match, output.splitlines()) if m)
    return {m["path"]: m["caps"] for m in matches}


def _account_provides(root: Path) -> list[str]:
    """What rpm asks of whoever provides accounts, for all that exist in the root."""
    account_files = {"user": "etc/passwd", "group": "etc/group"}
    return [
        f"{kind}({line.split(':')[0]})"
        for kind, name in account_files.items()
        for line in (root / name).read_text("utf-8").splitlines()
        if line
    ]


def _target_exists(root: Path, link: Path) -> bool:
    target = str(link.readlink())
    destination = root / target[1:] if target.startswith("/") else link.parent / target
    return target == "/dev/null" or destination.exists() or destination.is_symlink()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        if not any(path.iterdir()):
            path.rmdir()
    elif path.exists() or path.is_symlink():
        path.unlink()
