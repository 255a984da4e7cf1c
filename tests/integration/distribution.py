"""hardpan's sdist and wheel, built from a copy of the checkout, and their locked packages."""

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

from hardpan.builder.pip import run_pip
from hardpan.core.process import run

REPO = Path(__file__).parents[2]
LINKED_FOLDERS = ("builder", "kickstart", "profiles", "scanners")
"""Top-level folders that hardpan/ has links to."""

PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]
VERSION = f"{PROJECT['version']}+wheel.test"
"""Not the checkout's: nothing but the installed metadata can say it."""

_EPOCH = "1767225600"  # 2026-01-01


def list_tracked_files(*folders: str) -> list[str]:
    """Return the files that git tracks below ``folders``; without any, all files."""
    listing = run(["git", "ls-files", "-z", "--", *folders], timeout_s=60, cwd=REPO).stdout
    return [name for name in listing.split("\0") if name]


def copy_checkout(target_folder: Path) -> Path:
    """The tracked files of the working tree, links as links, under ``VERSION``."""
    for name in list_tracked_files():
        source, target = REPO / name, target_folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(source.readlink())
        else:
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)
    project = target_folder / "pyproject.toml"
    text, version_line = project.read_text("utf-8"), f'\nversion = "{PROJECT["version"]}"\n'
    assert text.count(version_line) == 1
    project.write_text(text.replace(version_line, f'\nversion = "{VERSION}"\n'), "utf-8")
    return target_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """The sdist of a copy of the checkout, and the wheel that was built from that sdist."""

    checkout_copy: Path
    sdist: Path
    wheel: Path

    def list_names(self) -> list[str]:
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


def build_distribution(checkout_copy: Path, output_folder: Path) -> Distribution:
    """What ``python -m build`` makes of ``copy``, with the build tools of this environment."""
    argv = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(output_folder),
        str(checkout_copy),
    ]
    run(argv, timeout_s=300, cwd=checkout_copy.parent, env={"SOURCE_DATE_EPOCH": _EPOCH})
    (sdist,), (wheel,) = output_folder.glob("*.tar.gz"), output_folder.glob("*.whl")
    return Distribution(checkout_copy=checkout_copy, sdist=sdist, wheel=wheel)


def dependency_closure(requirement: str, built: Distribution) -> set[str]:
    """The packages that ``requirement`` needs here: hardpan's metadata is that of the wheel."""
    resolved: set[tuple[str, str]] = set()
    pending = [Requirement(requirement)]
    while pending:
        requested = pending.pop()
        name = canonicalize_name(requested.name)
        for extra in {"", *requested.extras}:
            if (name, extra) not in resolved:
                resolved.add((name, extra))
                pending += _requirements_of(name, extra, built)
    return {name for name, _ in resolved} - {"hardpan"}


def _requirements_of(name: str, extra: str, built: Distribution) -> Iterable[Requirement]:
    lines = built.metadata.get_all("Requires-Dist") if name == "hardpan" else requires(name)
    for required in map(Requirement, lines or ()):
        if required.marker is None or required.marker.evaluate({"extra": extra}):
            yield required


def download_dependencies(built: Distribution, folder: Path) -> None:
    """Put into ``folder`` what ``hardpan[all]`` needs: the locked releases, by their hashes."""
    names = dependency_closure("hardpan[all]", built)
    lock = folder / "lock.txt"
    lock.write_text("".join(block for name, block in locked_requirements() if name in names))
    arguments = ["wheel", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    # It has no wheel; its sdist is built with the locked setuptools of this environment.
    arguments += ["--no-binary", "pykickstart", "--no-build-isolation"]
    run_pip([*arguments, "--requirement", lock, "--wheel-dir", folder], timeout_s=600)
    assert len(list(folder.glob("*.whl"))) == len(names)


def locked_requirements() -> Iterable[tuple[str, str]]:
    """Name and lines of each requirement of the lock file that is for this Python."""
    text = (REPO / "requirements" / "lock.txt").read_text("utf-8")
    for block in re.findall(r"^\S.*\n(?:[ \t].*\n)*", text, re.MULTILINE):
        parsed = Requirement(block.partition("\\")[0])
        if parsed.marker is None or parsed.marker.evaluate():
            yield canonicalize_name(parsed.name), block
