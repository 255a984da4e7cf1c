"""Synthetic Rocky Linux media: names, groups and modules as in public sources, no packages.

The metadata has the form that createrepo_c and pungi write: hashed file names, compressed lists,
comps with a DOCTYPE, module streams on EL 9 only. ``tests/data/rocky/README.md`` has the sources.
"""

import gzip
import lzma
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from hardpan.core.files import sha256_bytes
from hardpan.core.process import run
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.loader.shipped import shipped_profiles
from tests.integration import tiny_media

DATA = Path(__file__).parents[1] / "data" / "rocky"
VERSIONS = {9: "9.8", 10: "10.2"}
NOT_IN_EL10 = frozenset(
    {
        *("NetworkManager-team", "teamd", "libteam", "initscripts-rename-device", "passwd"),
        *("openssl-pkcs11", "iprutils", "libsysfs", "rng-tools", "subscription-manager-cockpit"),
    }
)
"""Packages of EL 9's BaseOS that the synthetic EL 10 does not have."""

ADDED_TO_BASEOS = ("rsyslog", "python3-libselinux", "initscripts-rename-device")
"""Members of Rocky's core group that the list of 2022 does not have."""

PROVIDES = {"grub2-pc": ("grub2",), "postfix": ("smtpd", "MTA"), "python3": ("/usr/bin/python3",)}
STREAMS = {
    ("nodejs", "18"): ("nodejs", "npm", "nodejs-docs"),
    ("nodejs", "20"): ("nodejs", "npm", "nodejs-docs"),
    ("postgresql", "15"): ("postgresql", "postgresql-server"),
    ("maven", "3.8"): ("maven", "maven-lib"),
}
"""Module and stream -> packages; the first is in the profile ``common``, the default."""

MODULAR_ONLY = "maven"
"""A package that no repository has outside of a module stream."""

_SIZE, _INSTALLED = 100_000, 300_000
_ENVIRONMENTS = {"minimal-environment": ("core",), "custom-environment": ("core",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DvdPackage:
    """A package in the metadata."""

    name: str
    version: str = "1.0"
    release: str = "1.el9"
    arch: str = "x86_64"
    size: int = _SIZE
    installed: int = _INSTALLED
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RockyDvd:
    """What is on the media; ``write`` makes an ISO of it."""

    major: int
    baseos: Mapping[str, DvdPackage]
    appstream: Mapping[str, DvdPackage]
    groups: Mapping[str, tuple[tuple[str, str], ...]]
    """Group -> type and name of its members."""

    environments: Mapping[str, tuple[str, ...]]
    streams: Mapping[tuple[str, str], tuple[str, ...]]
    family: str = "Rocky Linux"
    arch: str = "x86_64"

    def without_package(self, name: str) -> "RockyDvd":
        """Return the media without a package; groups still list it, as pungi leaves them."""
        return replace(
            self,
            baseos={n: p for n, p in self.baseos.items() if n != name},
            appstream={n: p for n, p in self.appstream.items() if n != name},
        )

    def without_group(self, name: str) -> "RockyDvd":
        """Return the media without a group."""
        return replace(self, groups={n: g for n, g in self.groups.items() if n != name})

    def without_environment(self, name: str) -> "RockyDvd":
        """Return the media without an environment."""
        remaining = {n: e for n, e in self.environments.items() if n != name}
        return replace(self, environments=remaining)

    def without_stream(self, module: str, stream: str) -> "RockyDvd":
        """Return the media without a module stream."""
        remaining = {key: names for key, names in self.streams.items() if key != (module, stream)}
        return replace(self, streams=remaining)


def complete_dvd(major: int) -> RockyDvd:
    """Return a DVD with everything that the shipped profiles of this release install."""
    baseos = {package.name: package for package in _read_baseos(major)}
    appstream = {
        name: DvdPackage(name=name, release=f"1.el{major}")
        for name in sorted({*_read_names(f"appstream{major}.txt"), *_profile_packages(major)})
        if name not in baseos and name != MODULAR_ONLY
    }
    return RockyDvd(
        major=major,
        baseos=baseos,
        appstream=appstream,
        groups=_read_groups(major),
        environments=_ENVIRONMENTS,
        streams=STREAMS if major == 9 else {},
    )


def compress_zstd(data: bytes, workdir: Path) -> bytes:
    """Compress by the program zstd: Python supports it from 3.14 on."""
    source, target = workdir / "zstd.in", workdir / "zstd.out"
    source.write_bytes(data)
    run(["zstd", "-q", "-f", "-o", target, source], timeout_s=60)
    return target.read_bytes()


def write_iso(
    dvd: RockyDvd,
    workdir: Path,
    *,
    compression: str = "gz",
    repositories: tuple[str, ...] = ("BaseOS", "AppStream"),
    change: Callable[[Path], object] | None = None,
) -> Path:
    """Write the media in the layout of EL 10; ``change`` edits the tree before it is written."""
    workdir.mkdir(parents=True, exist_ok=True)

    def prepare(tree: Path) -> None:
        write_descriptions(dvd, tree, repositories)
        if "BaseOS" in repositories:
            write_repository(dvd, tree / "BaseOS", dvd.baseos, compression, groups=True)
        for name in set(repositories) - {"BaseOS"}:
            write_repository(dvd, tree / name, dvd.appstream, compression, modules=True)
        if change:
            change(tree)

    # Every ISO of this release has the label of the DVD, the minimal one and the boot ISO too.
    label = f"Rocky-{VERSIONS[dvd.major].replace('.', '-')}-x86_64-dvd"
    return tiny_media.make_el10_iso(workdir, label, prepare=prepare)


def write_descriptions(dvd: RockyDvd, tree: Path, repositories: tuple[str, ...]) -> None:
    """Write ``.treeinfo`` and ``.discinfo`` as productmd and lorax do."""
    version, variants = VERSIONS[dvd.major], ",".join(sorted(repositories))
    sections = [
        "[header]\ntype = productmd.treeinfo\nversion = 1.2\n",
        f"[release]\nname = {dvd.family}\nshort = Rocky\nversion = {version}\n",
        f"[tree]\narch = {dvd.arch}\nbuild_timestamp = 1780000000\nvariants = {variants}\n",
        "[stage2]\nmainimage = images/install.img\n",
        *(
            f"[variant-{name}]\nid = {name}\nname = {name}\npackages = {name}/Packages\n"
            f"repository = {name}\ntype = variant\nuid = {name}\n"
            for name in repositories
        ),
    ]
    (tree / ".treeinfo").write_text("\n".join(sections), "utf-8")
    (tree / ".discinfo").write_text(
        f"1780000000.000000\n{dvd.family} {version}\n{dvd.arch}\n", "utf-8"
    )


def write_repository(
    dvd: RockyDvd,
    folder: Path,
    packages: Mapping[str, DvdPackage],
    compression: str,
    *,
    groups: bool = False,
    modules: bool = False,
) -> None:
    """Write the metadata of a repository."""
    (folder / "repodata").mkdir(parents=True)
    all_packages = [*packages.values()]
    lists: list[tuple[str, str, bytes]] = []
    if modules and dvd.streams:
        all_packages += [p for names in dvd.streams for p in _modular_packages(dvd, names)]
        lists.append(("modules", "modules.yaml", _render_modules(dvd).encode()))
    if groups:
        lists.append(("group", f"comps-{folder.name}.x86_64.xml", _render_comps(dvd).encode()))
    lists.insert(0, ("primary", "primary.xml", _render_primary(all_packages).encode()))
    entries = [
        _write_list(folder, kind, name, data, "" if kind == "group" else compression)
        for kind, name, data in lists
    ]
    (folder / "repodata/repomd.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<repomd xmlns="http://linux.duke.edu/metadata/repo">\n  <revision>1780000000</revision>\n'
        f"{''.join(entries)}</repomd>\n",
        "utf-8",
    )


def _write_list(folder: Path, kind: str, name: str, data: bytes, compression: str) -> str:
    packed = {
        "": lambda: data,
        "gz": lambda: gzip.compress(data, mtime=0),
        "xz": lambda: lzma.compress(data, preset=0),
        "zst": lambda: compress_zstd(data, folder.parent.parent),
    }[compression]()
    digest = sha256_bytes(packed)
    href = f"repodata/{digest}-{name}{'.' if compression else ''}{compression}"
    (folder / href).write_bytes(packed)
    return (
        f'  <data type="{kind}">\n    <checksum type="sha256">{digest}</checksum>\n'
        f'    <location href="{href}"/>\n    <size>{len(packed)}</size>\n  </data>\n'
    )


def _render_primary(packages: list[DvdPackage]) -> str:
    body = "".join(_render_package(package) for package in packages)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<metadata'
        ' xmlns="http://linux.duke.edu/metadata/common"'
        f' xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="{len(packages)}">\n'
        f"{body}</metadata>\n"
    )


def _render_package(package: DvdPackage) -> str:
    provides = (package.name, *PROVIDES.get(package.name, ()))
    return (
        f'<package type="rpm"><name>{escape(package.name)}</name><arch>{package.arch}</arch>\n'
        f'<version epoch="0" ver="{package.version}" rel="{package.release}"/>\n'
        f'<size package="{package.size}" installed="{package.installed}" archive="1"/>\n<format>'
        f"<rpm:provides>{_render_entries(provides)}</rpm:provides>"
        f"<rpm:requires>{_render_entries(('rpmlib(PayloadIsZstd)', *package.requires))}"
        "</rpm:requires></format></package>\n"
    )


def _render_entries(names: tuple[str, ...]) -> str:
    return "".join(f"<rpm:entry name={quoteattr(name)}/>" for name in names)


def _render_comps(dvd: RockyDvd) -> str:
    groups = "".join(
        f"<group><id>{name}</id><name>{name.title()}</name>"
        f'<name xml:lang="de">Gruppe</name><packagelist>'
        + "".join(f'<packagereq type="{kind}">{member}</packagereq>' for kind, member in members)
        + "</packagelist></group>\n"
        for name, members in dvd.groups.items()
    )
    environments = "".join(
        f"<environment><id>{name}</id><name>{name.title()}</name><grouplist>"
        + "".join(f"<groupid>{group}</groupid>" for group in members)
        + "</grouplist><optionlist><groupid>standard</groupid></optionlist></environment>\n"
        for name, members in dvd.environments.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<!DOCTYPE comps\n  PUBLIC '-//Red Hat, Inc.//DTD Comps info//EN'\n  'comps.dtd'>\n"
        f"<comps>\n{groups}{environments}</comps>\n"
    )


def _render_modules(dvd: RockyDvd) -> str:
    documents = []
    for (module, stream), names in dvd.streams.items():
        artifacts = [
            f"{p.name}-0:{p.version}-{p.release}.{p.arch}"
            for p in _modular_packages(dvd, (module, stream))
        ]
        rpms = "".join(f"      - {artifact}\n" for artifact in artifacts)
        documents.append(
            f"---\ndocument: modulemd\nversion: 2\ndata:\n  name: {module}\n  stream: {stream}\n"
            f"  version: 9080020260101\n  context: rhel9\n  arch: x86_64\n  profiles:\n"
            f"    common:\n      rpms:\n      - {names[0]}\n  artifacts:\n    rpms:\n{rpms}...\n"
        )
    for module in dict.fromkeys(module for module, _ in dvd.streams):
        streams = [stream for name, stream in dvd.streams if name == module]
        profiles = "".join(f"    {stream}: [common]\n" for stream in streams)
        documents.append(
            "---\ndocument: modulemd-defaults\nversion: 1\n"
            f"data:\n  module: {module}\n  profiles:\n{profiles}...\n"
        )
    return "".join(documents)


def _modular_packages(dvd: RockyDvd, key: tuple[str, str]) -> list[DvdPackage]:
    return [
        DvdPackage(name=name, version=key[1], release=f"1.module+el{dvd.major}")
        for name in dvd.streams[key]
    ]


def _read_baseos(major: int) -> list[DvdPackage]:
    packages = []
    for line in (DATA / "baseos.txt").read_text("utf-8").splitlines():
        name, arch, size, installed, *requires = line.split(" ")
        if major == 10 and name in NOT_IN_EL10:
            continue
        required = requires[0].split(",") if requires else []
        packages.append(
            DvdPackage(
                name=name,
                arch=arch,
                release=f"1.el{major}",
                size=int(size),
                installed=int(installed),
                requires=tuple(n for n in required if major == 9 or n not in NOT_IN_EL10),
            )
        )
    added = [n for n in ADDED_TO_BASEOS if major == 9 or n not in NOT_IN_EL10]
    return [*packages, *(DvdPackage(name=n, release=f"1.el{major}") for n in added)]


def _read_names(file: str) -> list[str]:
    return (DATA / file).read_text("utf-8").split()


def _read_groups(major: int) -> dict[str, tuple[tuple[str, str], ...]]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for line in (DATA / "comps.txt").read_text("utf-8").splitlines():
        group, kind, name = line.split(" ")
        if major == 9 or name not in NOT_IN_EL10:
            groups.setdefault(group, []).append((kind, name))
    return {name: tuple(members) for name, members in groups.items()}


def _profile_packages(major: int) -> set[str]:
    profiles = [load_profile(name) for name in shipped_profiles()]
    return {
        name
        for profile in profiles
        if profile.release == f"rocky{major}"
        for name in profile.install_packages
        if not name.startswith("@")
    }
