# SPDX-License-Identifier: GPL-2.0-or-later
"""The RPMs: built in the root, signed with a throwaway key, indexed, and registered."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hardpan.errors import ToolError
from hardpan.process import run
from images.lab import dpkg, owners, plan, spec
from images.lab.recipe import Recipe
from images.lab.root import OVERLAY, in_root, require_inside, shape

ROOM = Path("/run/hardpan-lab")
"""Where the build folder appears inside the root; /run is never packed."""

KEY_NAME = "RPM-GPG-KEY-hardpan-lab"
_KEY_OWNER = "hardpan lab (throwaway key of one build) <lab@hardpan.invalid>"
_PRESET = "usr/lib/systemd/system-preset/90-default.preset"
_CAPS = re.compile(r"^(?P<path>.+?) (?P<caps>cap_\S+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """The packages of one build, before they are files."""

    packages: dict[str, plan.ElPackage]
    base: frozenset[str]
    owned: owners.Owned
    nobody: tuple[str, ...]
    """Paths that no package owns: state that Debian's scripts made."""


def package_root(recipe: Recipe, root: Path, key: Path) -> Packages:
    """Shape the root and decide which package owns each of its files."""
    debs = dpkg.read(root)
    packages = plan.plan(recipe, debs)
    base = plan.closure(recipe, packages)
    shape(recipe, root)
    target = require_inside(root, root / "etc/pki/rpm-gpg" / KEY_NAME)
    shutil.copyfile(key, target)
    target.chmod(0o644)
    who = owners.Owners(recipe, debs, packages)
    owned, rejected, nobody = owners.assign(recipe, root, who, packages, _capabilities(root))
    for path in sorted(rejected, reverse=True):
        _delete(root / path[1:])
    return Packages(packages=packages, base=base, owned=owned, nobody=nobody)


def make_key(root: Path, build: Path) -> Path:
    """A signing key that lives for one build; returns its public half."""
    (build / "gnupg").mkdir(mode=0o700, parents=True)
    gpg = ["gpg", "--homedir", f"{ROOM}/gnupg", "--batch", "--quiet"]
    script = (
        "set -e; umask 077; "
        '"$@" --passphrase "" --quick-generate-key "$OWNER" rsa3072 sign never; '
        '"$@" --armor --export >"$ROOM/key.asc"; gpgconf --homedir "$ROOM/gnupg" --kill all'
    )
    env = ["env", f"OWNER={_KEY_OWNER}", f"ROOM={ROOM}"]
    in_root(root, [*env, "sh", "-c", script, "sh", *gpg], timeout_s=120, binds={build: str(ROOM)})
    return build / "key.asc"


def build_rpms(root: Path, build: Path, made: Packages) -> Path:
    """Pack every package with one rpmbuild; returns the folder with the files."""
    lists = build / "lists"
    lists.mkdir()
    for name, entries in made.owned.items():
        (lists / name).write_text(spec.file_list(entries), "utf-8")
    presets = spec.enabled((OVERLAY / _PRESET).read_text("utf-8"))
    text = spec.text(made.packages, made.owned, presets, _people(root))
    (build / "lab.spec").write_text(text, "utf-8")
    (build / "rpms").mkdir()
    defines = {"_topdir": ROOM, "_rpmdir": ROOM / "rpms", "lists": ROOM / "lists"}
    in_root(
        root,
        [
            "rpmbuild",
            "-bb",
            "--quiet",
            "--nodeps",
            "--noclean",
            f"--buildroot={ROOM}/root",
            *(f"--define={k} {v}" for k, v in defines.items()),
            f"{ROOM}/lab.spec",
        ],
        timeout_s=900,
        binds={build: str(ROOM), root: f"{ROOM}/root"},
    )
    packed = len(list((build / "rpms").glob("*.rpm")))
    if packed != len(made.packages):
        raise ToolError(["rpmbuild"], f"made {packed} packages of {len(made.packages)}")
    return build / "rpms"


def sign(root: Path, build: Path) -> None:
    """Sign every RPM; two at a time, because most of it is waiting for gpg."""
    script = (
        # One agent before many signers: none of them has to race to start it.
        'gpgconf --homedir "$ROOM/gnupg" --launch gpg-agent; cd "$ROOM/rpms"; '
        'find . -name "*.rpm" -print0 | '
        'xargs -0 -n 32 -P "$(nproc)" rpmsign --define "_gpg_name $OWNER" '
        '--define "_gpg_path $ROOM/gnupg" --addsign >/dev/null; '
        'gpgconf --homedir "$ROOM/gnupg" --kill all'
    )
    env = ["env", f"OWNER={_KEY_OWNER}", f"ROOM={ROOM}", f"GNUPGHOME={ROOM}/gnupg"]
    in_root(root, [*env, "sh", "-ec", script], timeout_s=600, binds={build: str(ROOM)})


def index(root: Path, build: Path, made: Packages, tree: Path) -> None:
    """Lay the RPMs out as the two repositories and sign their metadata."""
    for path in sorted((build / "rpms").glob("*.rpm")):
        name = path.name.rsplit("-", 2)[0]
        where = tree / ("BaseOS" if name in made.base else "AppStream") / "Packages"
        where.mkdir(parents=True, exist_ok=True)
        path.rename(where / path.name)
    for repo in ("BaseOS", "AppStream"):
        run(
            ["createrepo_c", "--quiet", "--no-database", "--workers=2", tree / repo],
            timeout_s=300,
            hint="install createrepo-c (createrepo_c on Fedora and its kin)",
        )
        sign_file(root, build, tree / repo / "repodata/repomd.xml")


def sign_file(root: Path, build: Path, path: Path) -> None:
    """Leave an armoured signature ``*.asc`` beside a file."""
    at = f"{ROOM}-tree"
    gpg = ["gpg", "--homedir", f"{ROOM}/gnupg", "--batch", "--yes", "--armor", "--detach-sign"]
    in_root(
        root,
        [*gpg, f"{at}/{path.name}"],
        timeout_s=60,
        binds={build: str(ROOM), path.parent: at},
    )


def reduce_to_base(root: Path, build: Path, made: Packages, tree: Path) -> None:
    """Leave only the base packages in the root, and tell its rpm database about them."""
    for path in owners.only_optional(made.owned, made.base):
        _delete(root / path[1:])
    for link in (root / "etc/systemd/system").rglob("*"):
        if link.is_symlink() and not _leads_somewhere(root, link):
            link.unlink()  # it switched on a unit of a package that is not here yet
    shutil.rmtree(root / "var/lib/rpm", ignore_errors=True)
    script = (
        'set -e; mkdir -p /var/lib/rpm; rpm --initdb; cd "$ROOM-tree"; '
        "rpm -i --justdb --nodeps --noscripts --notriggers --nosignature --nodigest --noplugins "
        "--ignoresize *.rpm; "
        f"rpm --import /etc/pki/rpm-gpg/{KEY_NAME}; ldconfig"
    )
    binds = {build: str(ROOM), tree / "BaseOS/Packages": f"{ROOM}-tree"}
    in_root(root, ["env", f"ROOM={ROOM}", "sh", "-c", script], timeout_s=300, binds=binds)


def empty_volatile(root: Path) -> None:
    """Clear the places that no image carries."""
    for name in ("run", "tmp", "dev", "proc", "sys"):
        for path in (root / name).iterdir():
            _delete(path)


def build_all(
    recipe: Recipe, root: Path, build: Path, tree: Path, say: Callable[[str], None]
) -> Packages:
    """From a root of Debian packages to two signed repositories and a base root."""
    key = make_key(root, build)
    made = package_root(recipe, root, key)
    say(f"packing {len(made.packages)} packages, {len(made.base)} of them base")
    build_rpms(root, build, made)
    say("signing them")
    sign(root, build)
    index(root, build, made, tree)
    shutil.copyfile(key, tree / KEY_NAME)
    say("reducing the root to the base packages")
    reduce_to_base(root, build, made, tree)
    return made


def _capabilities(root: Path) -> dict[str, str]:
    out = in_root(root, ["getcap", "-r", "/usr"], timeout_s=60).stdout
    found = (m for m in map(_CAPS.match, out.splitlines()) if m)
    return {m["path"]: m["caps"] for m in found}


def _people(root: Path) -> list[str]:
    """What rpm asks of whoever provides accounts, for all that exist in the root."""
    kinds = {"user": "etc/passwd", "group": "etc/group"}
    return [
        f"{kind}({line.split(':')[0]})"
        for kind, name in kinds.items()
        for line in (root / name).read_text("utf-8").splitlines()
        if line
    ]


def _leads_somewhere(root: Path, link: Path) -> bool:
    target = str(link.readlink())
    place = root / target[1:] if target.startswith("/") else link.parent / target
    return target == "/dev/null" or place.exists() or place.is_symlink()


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        if not any(path.iterdir()):
            path.rmdir()
    elif path.exists() or path.is_symlink():
        path.unlink()
