"""hardpan's sdist and wheel, made of a copy of the checkout, and the locked packages they need."""

import re
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hardpan.builder.pip import pip
from hardpan.process import run

REPO = Path(__file__).parents[2]
LINKED = ("builder", "kickstart", "profiles", "scanners")
"""Top-level folders that hardpan/ has links to."""

PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]
VERSION = f"{PROJECT['version']}+wheel.test"
"""Not the checkout's: nothing but the installed metadata can say it."""

_EPOCH = "1767225600"  # 2026-01-01


def tracked(*folders: str) -> list[str]:
    """What git tracks below ``folders``; everything where none is given."""
    listed = run(["git", "ls-files", "-z", "--", *folders], timeout_s=60, cwd=REPO).stdout
    return [name for name in listed.split("\0") if name]


def copy_checkout(to: Path) -> Path:
    """The tracked files of the working tree, links as links, under ``VERSION``."""
    for name in tracked():
        source, target = REPO / name, to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(source.readlink())
        else:
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)
    project = to / "pyproject.toml"
    text, old = project.read_text("utf-8"), f'\nversion = "{PROJECT["version"]}"\n'
    assert text.count(old) == 1
    project.write_text(text.replace(old, f'\nversion = "{VERSION}"\n'), "utf-8")
    return to


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The sdist of a copy of the checkout, and the wheel that was built from that sdist."""

    copy: Path
    sdist: Path
    wheel: Path

    def names(self) -> list[str]:
        """The files in the wheel."""
        with zipfile.ZipFile(self.wheel) as archive:
            return archive.namelist()

    def read(self, name: str) -> bytes:
        """The content of one file in the wheel."""
        with zipfile.ZipFile(self.wheel) as archive:
            return archive.read(name)

    @property
    def metadata(self) -> Message:
        """The wheel's core metadata."""
        return message_from_bytes(self.read(f"hardpan-{VERSION}.dist-info/METADATA"))


def build(copy: Path, to: Path) -> Built:
    """What ``python -m build`` makes of ``copy``, with the build tools of this environment."""
    argv = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(to), str(copy)]
    run(argv, timeout_s=300, cwd=copy.parent, env={"SOURCE_DATE_EPOCH": _EPOCH})
    (sdist,), (wheel,) = to.glob("*.tar.gz"), to.glob("*.whl")
    return Built(copy=copy, sdist=sdist, wheel=wheel)


def closure(requirement: str, built: Built) -> set[str]:
    """The packages that ``requirement`` needs here: hardpan's metadata is that of the wheel."""
    found: set[tuple[str, str]] = set()
    todo = [Requirement(requirement)]
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        for extra in {"", *wanted.extras}:
            if (name, extra) not in found:
                found.add((name, extra))
                todo += _needs(name, extra, built)
    return {name for name, _ in found} - {"hardpan"}


def _needs(name: str, extra: str, built: Built) -> Iterable[Requirement]:
    lines = built.metadata.get_all("Requires-Dist") if name == "hardpan" else requires(name)
    for needed in map(Requirement, lines or ()):
        if needed.marker is None or needed.marker.evaluate({"extra": extra}):
            yield needed


def download(built: Built, folder: Path) -> None:
    """Put into ``folder`` what ``hardpan[all]`` needs: the locked releases, by their hashes."""
    names = closure("hardpan[all]", built)
    lock = folder / "lock.txt"
    lock.write_text("".join(block for name, block in locked() if name in names))
    arguments = ["wheel", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    # It has no wheel; its sdist is built with the locked setuptools of this environment.
    arguments += ["--no-binary", "pykickstart", "--no-build-isolation"]
    pip([*arguments, "--requirement", lock, "--wheel-dir", folder], timeout_s=600)
    assert len(list(folder.glob("*.whl"))) == len(names)


def locked() -> Iterable[tuple[str, str]]:
    """Name and lines of each requirement of the lock file that is for this Python."""
    text = (REPO / "requirements" / "lock.txt").read_text("utf-8")
    for block in re.findall(r"^\S.*\n(?:[ \t].*\n)*", text, re.MULTILINE):
        wanted = Requirement(block.partition("\\")[0])
        if wanted.marker is None or wanted.marker.evaluate():
            yield canonicalize_name(wanted.name), block
