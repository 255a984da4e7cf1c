"""Debian's ``ssg-nondebian``, through apt's own signed metadata, without touching apt's state.

Debian 12 has no STIG for RHEL 9 in its own release; trixie and sid do. A private
apt root asks the archive that this machine's apt already uses; the archive's
signature is checked by apt, the package's digest by the signed index.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hardpan.errors import ToolError
from hardpan.files import Sha256, atomic_path, sha256_file
from hardpan.process import run, which

PACKAGE = "ssg-nondebian"
SUITES = ("sid", "trixie")
"""The newest version wins; sid has it first."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
CONTENT = "usr/share/xml/scap/ssg/content"

_TARGETS = "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)"
_UPDATE_S, _DOWNLOAD_S, _UNPACK_S = 300, 600, 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An unpacked package."""

    version: str
    deb_sha256: Sha256
    """Digest of the package file, as the signed index has it."""

    folder: Path
    """Where its data streams lie."""


def usable() -> bool:
    """True where apt and Debian's keyring are there."""
    return which("apt-get") is not None and which("dpkg-deb") is not None and KEYRING.is_file()


def archive() -> str:
    """The Debian archive that this machine's apt uses; empty when it uses none."""
    listed = run(
        ["apt-get", "indextargets", "--format", _TARGETS, "Created-By: Packages"], timeout_s=60
    )
    found = found_archive(listed.stdout)
    if found:
        return found
    # Before the first 'apt-get update' the origin is not known yet; then the URI has to do.
    bare = run(["apt-get", "indextargets", "--format", "|||$(REPO_URI)"], timeout_s=60)
    uris = {line.rpartition("|")[2] for line in bare.stdout.splitlines()}
    return next((u for u in sorted(uris) if re.search(r"/debian/?$", u)), "")


def found_archive(text: str) -> str:
    """The archive of Debian itself in what ``apt-get indextargets`` said."""
    for line in sorted(text.splitlines()):
        origin, codename, component, uri = (line.split("|") + [""] * 4)[:4]
        if origin == "Debian" and component == "main" and "-" not in codename:
            return uri
    return ""


def fetch(cache: Path, note: Callable[[str], None]) -> Package:
    """The newest package, from the cache folder when it is there already.

    Raises:
        ToolError: apt knows no Debian archive, or nothing can be had.
    """
    uri = archive()
    if not uri:
        raise ToolError(["apt-get"], "knows no Debian archive to get SCAP content from")
    room = cache / "content-apt"  # the lab media keeps an apt of its own beside it
    env = {"APT_CONFIG": str(_private_apt(room, uri))}
    note(f"asking Debian's archive for {PACKAGE}")
    updating = ["apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any"]
    run(updating, timeout_s=_UPDATE_S, env=env)
    version, suite = newest(run(["apt-cache", "madison", PACKAGE], timeout_s=60, env=env).stdout)
    there = cached(cache, version)
    if there is not None:
        return there
    note(f"downloading {PACKAGE} {version} ({suite})")
    with atomic_path(cache / f"{PACKAGE}-{_plain(version)}") as temp:
        temp.mkdir()
        argv = ["apt-get", "download", "-q", f"{PACKAGE}={version}"]
        run(argv, timeout_s=_DOWNLOAD_S, env=env, cwd=temp)
        deb = next(temp.glob("*.deb"))
        (temp / "deb.sha256").write_text(sha256_file(deb) + "\n", "ascii")
        (temp / "version").write_text(version + "\n", "ascii")
        run(["dpkg-deb", "-x", deb, temp / "all"], timeout_s=_UNPACK_S)
        _keep_streams(temp)
        deb.unlink()
    kept = cached(cache, version)
    if kept is None:
        raise ToolError(["apt-get"], f"brought a {PACKAGE} {version} without data streams")
    return kept


def newest(madison: str) -> tuple[str, str]:
    """Version and suite of the newest in ``apt-cache madison``'s answer, which lists it first.

    Raises:
        ToolError: it lists none.
    """
    for line in madison.splitlines():
        fields = [f.strip() for f in line.split("|")]
        if len(fields) == 3 and fields[0] == PACKAGE:
            words = fields[2].split()
            suite = next((w.partition("/")[0] for w in words if "/" in w and ":" not in w), "")
            return fields[1], suite
    raise ToolError(["apt-get"], f"finds no {PACKAGE} in {' or '.join(SUITES)}")


def cached(cache: Path, version: str = "") -> Package | None:
    """What an earlier run fetched: that version, or with no version the one fetched last."""
    pattern = f"{PACKAGE}-{_plain(version)}" if version else f"{PACKAGE}-*"
    folders = [f for f in cache.glob(pattern) if (f / "deb.sha256").is_file()]
    if not folders:
        return None
    folder = max(folders, key=lambda f: (f.stat().st_mtime, f.name))
    return Package(
        version=(folder / "version").read_text("ascii").strip(),
        deb_sha256=Sha256((folder / "deb.sha256").read_text("ascii").strip()),
        folder=folder / "content",
    )


def _plain(version: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+~-]", "_", version)


def _keep_streams(temp: Path) -> None:
    """The data streams for EL alone; the package unpacks to 1.3 GB."""
    (temp / "content").mkdir()
    for stream in (temp / "all" / CONTENT).glob("ssg-rhel*-ds.xml"):
        stream.rename(temp / "content" / stream.name)
    _remove_tree(temp / "all")


def _remove_tree(folder: Path) -> None:
    for root, folders, files in os.walk(folder, topdown=False):
        for name in files:
            (Path(root) / name).unlink()
        for name in folders:
            path = Path(root) / name
            path.unlink() if path.is_symlink() else path.rmdir()
    folder.rmdir()


def _private_apt(room: Path, uri: str) -> Path:
    for part in ("state/lists/partial", "cache/archives/partial"):
        (room / part).mkdir(parents=True, exist_ok=True)
    sources = room / "sources.list"
    lines = [f"deb [signed-by={KEYRING}] {uri} {suite} main\n" for suite in SUITES]
    sources.write_text("".join(lines), "utf-8")
    # The machine's own apt.conf.d stays in force: proxies and credentials live there.
    settings = {
        "Dir::Etc::sourcelist": sources.absolute(),
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": (room / "state").absolute(),
        "Dir::State::status": "/dev/null",
        "Dir::Cache": (room / "cache").absolute(),
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    config = room / "apt.conf"
    config.write_text("".join(f'{k} "{v}";\n' for k, v in settings.items()), "utf-8")
    return config.absolute()
