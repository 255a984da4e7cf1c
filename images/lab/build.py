# SPDX-License-Identifier: GPL-2.0-or-later
"""Build the lab media: ``python -m images.lab.build --cache DIR``.

Progress goes to stderr, one JSON receipt to stdout. The ISO is kept under the
digest of all that goes into it, so a second run only asks apt whether a version
has changed.
"""

import fcntl
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from hardpan import clock
from hardpan.boundary import report_usage
from hardpan.errors import Exit, HardpanError, InputError, ToolError
from hardpan.files import (
    Sha256,
    atomic_path,
    canonical_json,
    need_free,
    sha256_bytes,
    sha256_file,
    write_atomic,
)
from hardpan.process import which
from hardpan.terminal import err, print_json, say
from images.lab import boot, iso, mirror, repo, stage2
from images.lab.recipe import HERE, Recipe, load
from images.lab.root import assemble

TOOLS = {
    "apt-get": "apt",
    "createrepo_c": "createrepo-c",
    "mcopy": "mtools",
    "mmdebstrap": "mmdebstrap",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "xorriso": "xorriso",
}
"""Programs of this machine -> the Debian package that has them."""

NEED_MIB = 6000
"""Disk that a build takes at its peak, in MiB (measured: 4.1 GiB)."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was built, or found built."""

    iso: str
    """Path of the ISO."""

    sha256: Sha256
    size: int
    """Bytes."""

    volume_label: str
    inputs_sha256: Sha256
    """Digest of everything that went in."""

    kernel: str
    packages: int
    """RPMs on the media."""

    took_s: float
    """Seconds that this call took."""

    reused: bool
    """True when an earlier build was taken."""


def build(cache: Path, *, override: str | None, installer: Path, say: Say) -> Receipt:
    """The lab media's ISO, from the cache when nothing that goes into it has changed.

    Raises:
        InputError: not root, no installer, or no Debian archive is known.
        ToolError: a program is missing or failed.
        ResourceError: the disk is too small.
    """
    began = clock.monotonic()
    _check_machine(installer)
    cache = cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    recipe = load()
    with _locked(cache / "lock", say):
        source = mirror.find(recipe.suite, override)
        say(f"resolving packages of {recipe.suite}")
        versions, fresh = mirror.resolve(source, recipe.wanted, cache / "apt")
        if not fresh:
            say("the archive does not answer; its last known indices are used")
        parts_digest = inputs_digest(versions, stage2.shaping_files())
        digest = inputs_digest({"parts": parts_digest}, stage2.installer_files(installer))
        kept = _kept(cache, digest)
        if kept is None:
            _sweep(cache)
            parts = _parts(recipe, source, cache, parts_digest, say)
            kept = _mastered(recipe, parts, cache, digest, installer, say)
            _forget_others(cache, parts, Path(kept["iso"]))
        if not _versions(cache, digest).exists():
            write_atomic(_versions(cache, digest), _told(recipe, versions))
        return Receipt(**{**kept, "took_s": round(clock.monotonic() - began, 1)})


def look(cache: Path, *, installer: Path) -> dict[str, Any]:
    """The receipt of the newest ISO in the cache, or nothing. Writes nothing, asks no archive.

    Raises:
        InputError, ToolError, ResourceError: as ``build`` would, as far as this can be told now.
    """
    _check_machine(installer)
    told = (_kept(cache, Sha256(path.stem)) for path in cache.glob("[0-9a-f]*.json"))
    there = [receipt for receipt in told if receipt]
    if not there:
        need_free(cache.absolute(), NEED_MIB, what="building the lab media")
    return max(there, key=lambda r: Path(str(r["iso"])).stat().st_mtime, default={})


def inputs_digest(versions: Mapping[str, str], files: Mapping[str, Path]) -> Sha256:
    """One digest of the resolved packages and of every file that shapes the media."""
    sums = {
        name: f"{os.access(path, os.X_OK):d} {sha256_file(path)}" for name, path in files.items()
    }
    return sha256_bytes(canonical_json({"versions": dict(versions), "files": sums}))


def _parts(recipe: Recipe, source: mirror.Mirror, cache: Path, digest: Sha256, say: Say) -> Path:
    """The folder with all but the installer: base root, repositories, boot files."""
    parts = cache / f"parts-{digest[:16]}"
    if parts.is_dir():
        say("packages and base root are taken from an earlier build")
        return parts
    need_free(cache, NEED_MIB, what="building the lab media")
    with tempfile.TemporaryDirectory(prefix=".building-", dir=cache) as room:
        work = Path(room) / "parts"
        root, tree, build_dir = work / "root", work / "tree", work / "build"
        tree.mkdir(parents=True)
        build_dir.mkdir()
        say(f"assembling {len(recipe.wanted)} packages and what they need")
        assemble(recipe, source, root, say)
        made = repo.build_all(recipe, root, build_dir, tree, say)
        kernel = next((root / "usr/lib/modules").iterdir()).name
        boot.lay_out(recipe, root, kernel, tree, build_dir)
        repo.empty_volatile(root)
        facts = {"kernel": kernel, "packages": len(made.packages)}
        (work / "facts.json").write_text(json.dumps(facts), "utf-8")
        # The signing key ends with the build that made it.
        shutil.rmtree(build_dir / "gnupg")
        work.rename(parts)
    return parts


def _mastered(
    recipe: Recipe, parts: Path, cache: Path, digest: Sha256, installer: Path, say: Say
) -> dict[str, Any]:
    tree, build_dir = parts / "tree", parts / "build"
    say("the image: installer and payload in one")
    stage2.squash(parts / "root", tree / "images/install.img", build_dir, installer)
    iso.describe(recipe, tree, clock.epoch(int(clock.now().timestamp())))
    say("writing the ISO")
    target = cache / f"{recipe.volume_label}-{digest[:16]}.iso"
    with atomic_path(target) as draft:
        esp, mbr = build_dir / boot.ESP_IMAGE, build_dir / boot.MBR_IMAGE
        iso.master(recipe, tree, esp, mbr, draft)
        receipt: dict[str, Any] = {
            "iso": str(target),
            "sha256": sha256_file(draft),
            "size": draft.stat().st_size,
            "volume_label": recipe.volume_label,
            "inputs_sha256": digest,
            **json.loads((parts / "facts.json").read_text("utf-8")),
            "reused": False,
        }
    write_atomic(_record(cache, digest), json.dumps(receipt, indent=2) + "\n")
    return receipt


def _kept(cache: Path, digest: Sha256) -> dict[str, Any] | None:
    """The receipt of an earlier build whose ISO is still there, whole by its size."""
    record = _record(cache, digest)
    if not record.exists():
        return None
    receipt: dict[str, Any] = json.loads(record.read_text("utf-8"))
    path = Path(str(receipt["iso"]))
    if not path.exists() or path.stat().st_size != receipt["size"]:
        return None
    return {**receipt, "reused": True}


def _record(cache: Path, digest: Sha256) -> Path:
    return cache / f"{digest[:16]}.json"


def _versions(cache: Path, digest: Sha256) -> Path:
    return cache / f"packages-{digest[:16]}.json"


def _told(recipe: Recipe, versions: Mapping[str, str]) -> str:
    """The Debian versions that an ISO is made of; the archive drops them with the next ones."""
    named = {name: versions[name] for name in recipe.wanted if name in versions}
    others = {name: version for name, version in versions.items() if name not in named}
    told = {"suite": recipe.suite, "packages": named, "brought": others}
    return json.dumps(told, indent=1, sort_keys=True) + "\n"


def _sweep(cache: Path) -> None:
    """Remove what a killed build left; the lock is held, so nobody is building."""
    for path in (*cache.glob(".building-*"), *cache.glob(".HARDPAN-*")):
        shutil.rmtree(path, ignore_errors=True)


def _forget_others(cache: Path, parts: Path, newest: Path) -> None:
    """Keep the newest media and the one before it, which another run may still be using."""
    for path in set(cache.glob("parts-*")) - {parts}:
        shutil.rmtree(path, ignore_errors=True)
    older = sorted(set(cache.glob("HARDPAN-*.iso")) - {newest}, key=lambda p: p.stat().st_mtime)
    for path in older[:-1]:
        path.unlink(missing_ok=True)
        digest = Sha256(path.stem.rpartition("-")[2])
        for told in (_record(cache, digest), _versions(cache, digest)):
            told.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path, say: Say) -> Iterator[None]:
    """One build per cache; the lock ends with the process that holds it."""
    with path.open("w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build uses this cache; waiting for it")
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


def _check_machine(installer: Path) -> None:
    if os.geteuid() != 0:
        raise InputError("the lab media is built by root", hint="run it with sudo")
    if not (installer / "init").is_file():
        raise InputError(f"{installer}: expected the installer's program 'init' there")
    for program, package in TOOLS.items():
        if which(program) is None:
            raise ToolError([program], "is not installed", hint=f"install {package}")
    if not mirror.KEYRING.exists():
        raise ToolError(
            ["apt-get"], f"has no {mirror.KEYRING}", hint="install debian-archive-keyring"
        )


@click.command()
@click.option(
    "--cache",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the ISO and apt's indices.",
)
@click.option("--mirror", "override", help="Debian archive to use instead of this machine's own.")
@click.option(
    "--installer",
    default=HERE / "installer",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the installer to put on the media, instead of the lab's own.",
)
@click.option("--look", "looking", is_flag=True, help="Only tell what the cache has, or {}.")
@click.option("--json", "_as_json", is_flag=True, help="Accepted: the receipt is always JSON.")
def main(cache: Path, override: str | None, installer: Path, looking: bool, _as_json: bool) -> None:
    """Build the lab media, or find it built, and print a JSON receipt."""
    if looking:
        print_json(look(cache, installer=installer), indent=2)
        return
    receipt = build(
        cache,
        override=override,
        installer=installer,
        say=lambda line: say(err, line),
    )
    print_json(asdict(receipt), indent=2)


def run_as_program() -> int:
    """The program: errors become one line and the exit code of their class."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main(standalone_mode=False)
    except HardpanError as e:
        say(err, f"error: {e}")
        for line in getattr(e, "tail", "").splitlines():
            say(err, f"  | {line}")
        if e.hint:
            say(err, f"hint: {e.hint}")
        return int(e.exit_code)
    except click.ClickException as e:
        report_usage(e)
        return int(Exit.USAGE)
    except (KeyboardInterrupt, click.Abort):
        say(err, "interrupted; nothing half-written is left")
        return int(Exit.INTERRUPTED)
    return int(Exit.DONE)


if __name__ == "__main__":
    sys.exit(run_as_program())
