# SPDX-License-Identifier: GPL-2.0-or-later
"""Build the lab media: ``python -m images.lab.build --cache DIR [--release 9|10]``.

Progress goes to stderr, one JSON receipt to stdout. The ISO is cached under the
digest of all inputs, so a second run only checks with apt whether a version has
changed.
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
from typing import Any, Literal

import click

from hardpan.cli.error_reporting import report_usage_error
from hardpan.core import clock
from hardpan.core.console import print_json, print_message, stderr
from hardpan.core.errors import Exit, HardpanError, InputError, ToolError
from hardpan.core.files import (
    Sha256,
    atomic_path,
    canonical_json,
    require_free_space,
    sha256_bytes,
    sha256_file,
    write_atomic,
)
from hardpan.core.process import find_program, run
from images.lab import boot, installer_image, iso, mirror, repo
from images.lab.debian_root import provide_debian_root
from images.lab.media_definition import LAB_FOLDER, RELEASES, MediaDefinition, load_definition

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

REQUIRED_MIB = 7500
"""Disk that a build takes at its peak, in MiB (measured: 4.1 GiB and the Debian root)."""

ProgressCallback = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaReceipt:
    """The built or cached media."""

    iso: str
    """Path of the ISO."""

    sha256: Sha256
    size: int
    """Bytes."""

    volume_label: str
    inputs_sha256: Sha256
    """Digest of all inputs."""

    files_sha256: Sha256
    """Digest of the inputs that are files of the checkout, which is known without an archive."""

    kernel: str
    packages: int
    """RPMs on the media."""

    duration_s: float
    """Seconds that this call took."""

    reused: bool
    """True if the media came from the cache."""


def build(
    cache: Path,
    *,
    override: str | None,
    installer: Path,
    on_progress: ProgressCallback,
    major: Literal["9", "10"] = "9",
) -> MediaReceipt:
    """Build one release's ISO of the lab media, or return the cached one if no input has changed.

    Raises:
        InputError: not root, no installer, or apt knows no Debian archive.
        ToolError: a program is missing or failed.
        ResourceError: the disk is too small.
    """
    start = clock.monotonic_s()
    _require_build_host(installer)
    cache = cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    definition = load_definition(major=major)
    with _exclusive_lock(cache / "lock", on_progress):
        source = mirror.find_mirror(definition.suite, override)
        on_progress(f"resolving packages of {definition.suite}")
        versions, fresh = mirror.resolve_packages(
            source, definition.install_packages, cache / "apt"
        )
        if not fresh:
            on_progress("the archive does not answer; cached package indices are used")
        parts_digest = digest_inputs(
            {"release": definition.release, **versions}, installer_image.list_media_inputs()
        )
        digest = digest_inputs(
            {"parts": parts_digest}, installer_image.list_installer_files(installer)
        )
        cached = _load_receipt(cache, digest)
        if cached is None:
            _remove_leftovers(cache)
            parts = _build_parts(definition, source, cache, parts_digest, versions, on_progress)
            cached = _master_iso(definition, parts, cache, digest, installer, on_progress)
            _remove_old_media(cache, definition, parts, Path(cached["iso"]))
        if not _versions_path(cache, digest).exists():
            write_atomic(_versions_path(cache, digest), _render_versions(definition, versions))
        return MediaReceipt(**{**cached, "duration_s": round(clock.monotonic_s() - start, 1)})


def find_cached(cache: Path, *, installer: Path, major: Literal["9", "10"] = "9") -> dict[str, Any]:
    """Return the receipt of the release's newest ISO that this checkout built, or {}.

    Offline and read-only. An ISO that was built from other files of ``images/lab`` is not the one
    that ``build`` returns: its packages can differ.

    Raises:
        InputError, ToolError, ResourceError: as ``build``, as far as it can be checked now.
    """
    _require_build_host(installer)
    receipts = (_load_receipt(cache, Sha256(path.stem)) for path in cache.glob("[0-9a-f]*.json"))
    label = load_definition(major=major).volume_label
    files = digest_files(installer)
    usable = [
        receipt
        for receipt in receipts
        if receipt
        and receipt["volume_label"] == label
        # Receipts of earlier versions do not have it.
        and receipt.get("files_sha256") == files
    ]
    if not usable:
        require_free_space(cache.absolute(), REQUIRED_MIB, purpose="building the lab media")
    return max(usable, key=lambda r: Path(str(r["iso"])).stat().st_mtime, default={})


def digest_files(installer: Path) -> Sha256:
    """One digest of the files of the checkout that shape the media."""
    files = installer_image.list_media_inputs() | installer_image.list_installer_files(installer)
    return digest_inputs({}, files)


def digest_inputs(versions: Mapping[str, str], files: Mapping[str, Path]) -> Sha256:
    """One digest of the resolved packages and of every file that shapes the media."""
    sums = {
        name: f"{os.access(path, os.X_OK):d} {sha256_file(path)}" for name, path in files.items()
    }
    return sha256_bytes(canonical_json({"versions": dict(versions), "files": sums}))


def _build_parts(
    definition: MediaDefinition,
    source: mirror.Mirror,
    cache: Path,
    digest: Sha256,
    versions: Mapping[str, str],
    on_progress: ProgressCallback,
) -> Path:
    """The folder with all but the installer: base root, repositories, boot files."""
    parts = cache / f"parts-{definition.major}-{digest[:16]}"
    if parts.is_dir():
        on_progress("packages and base root are reused from a previous build")
        return parts
    require_free_space(cache, REQUIRED_MIB, purpose="building the lab media")
    with tempfile.TemporaryDirectory(prefix=".building-", dir=cache) as temp_name:
        work = Path(temp_name) / "parts"
        root, tree, build_dir = work / "root", work / "tree", work / "build"
        tree.mkdir(parents=True)
        build_dir.mkdir()
        debian_root = provide_debian_root(definition, source, cache, versions, on_progress)
        run(["cp", "-a", "--reflink=auto", debian_root, root], timeout_s=600)
        boot.collect_boot_loaders(root, build_dir)
        package_set = repo.build_all(definition, root, build_dir, tree, on_progress)
        kernel = next((root / "usr/lib/modules").iterdir()).name
        boot.write_boot_files(definition, root, kernel, tree, build_dir)
        repo.empty_volatile(root)
        facts = {"kernel": kernel, "packages": len(package_set.packages)}
        (work / "facts.json").write_text(json.dumps(facts), "utf-8")
        # The signing key is deleted with the build.
        shutil.rmtree(build_dir / "gnupg")
        work.rename(parts)
    return parts


def _master_iso(
    definition: MediaDefinition,
    parts: Path,
    cache: Path,
    digest: Sha256,
    installer: Path,
    on_progress: ProgressCallback,
) -> dict[str, Any]:
    tree, build_dir = parts / "tree", parts / "build"
    on_progress("building the installer image")
    installer_image.build_squashfs(
        parts / "root", tree / "images/install.img", build_dir, installer
    )
    iso.write_descriptions(definition, tree, clock.source_date_epoch(int(clock.now().timestamp())))
    on_progress("writing the ISO")
    target = cache / f"{definition.volume_label}-{digest[:16]}.iso"
    with atomic_path(target) as draft:
        esp, mbr = build_dir / boot.ESP_IMAGE, build_dir / boot.MBR_IMAGE
        iso.master_iso(definition, tree, esp, mbr, draft)
        receipt: dict[str, Any] = {
            "iso": str(target),
            "sha256": sha256_file(draft),
            "size": draft.stat().st_size,
            "volume_label": definition.volume_label,
            "inputs_sha256": digest,
            "files_sha256": digest_files(installer),
            **json.loads((parts / "facts.json").read_text("utf-8")),
            "reused": False,
        }
    write_atomic(_receipt_path(cache, digest), json.dumps(receipt, indent=2) + "\n")
    return receipt


def _load_receipt(cache: Path, digest: Sha256) -> dict[str, Any] | None:
    """Return the receipt of a previous build if its ISO still has the recorded size."""
    record = _receipt_path(cache, digest)
    if not record.exists():
        return None
    receipt: dict[str, Any] = json.loads(record.read_text("utf-8"))
    path = Path(str(receipt["iso"]))
    if not path.exists() or path.stat().st_size != receipt["size"]:
        return None
    return {**receipt, "reused": True}


def _receipt_path(cache: Path, digest: Sha256) -> Path:
    return cache / f"{digest[:16]}.json"


def _versions_path(cache: Path, digest: Sha256) -> Path:
    return cache / f"packages-{digest[:16]}.json"


def _render_versions(definition: MediaDefinition, versions: Mapping[str, str]) -> str:
    """Render the Debian versions of an ISO as JSON; the archive deletes old versions."""
    requested = {name: versions[name] for name in definition.install_packages if name in versions}
    dependencies = {name: version for name, version in versions.items() if name not in requested}
    document = {"suite": definition.suite, "packages": requested, "dependencies": dependencies}
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _remove_leftovers(cache: Path) -> None:
    """Remove leftovers of a killed build; the caller holds the lock."""
    for path in (*cache.glob(".building-*"), *cache.glob(".HARDPAN-*")):
        shutil.rmtree(path, ignore_errors=True)


def _remove_old_media(cache: Path, definition: MediaDefinition, parts: Path, newest: Path) -> None:
    """Remove all but the release's newest two ISOs; another run may still use the older one."""
    for path in set(cache.glob(f"parts-{definition.major}-*")) - {parts}:
        shutil.rmtree(path, ignore_errors=True)
    isos = set(cache.glob(f"{definition.volume_label}-*.iso")) - {newest}
    older = sorted(isos, key=lambda p: p.stat().st_mtime)
    for path in older[:-1]:
        path.unlink(missing_ok=True)
        digest = Sha256(path.stem.rpartition("-")[2])
        for record in (_receipt_path(cache, digest), _versions_path(cache, digest)):
            record.unlink(missing_ok=True)


@contextmanager
def _exclusive_lock(path: Path, on_progress: ProgressCallback) -> Iterator[None]:
    """Allow one build per cache; the lock ends with its process."""
    with path.open("w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_progress("another build uses this cache; waiting for it")
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


def _require_build_host(installer: Path) -> None:
    if os.geteuid() != 0:
        raise InputError("the lab media is built by root", hint="run it with sudo")
    if not (installer / "init").is_file():
        raise InputError(f"{installer}: expected the installer's program 'init' there")
    for program, package in TOOLS.items():
        if find_program(program) is None:
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
    default=LAB_FOLDER / "installer",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of another installer for the media.",
)
@click.option(
    "--release",
    "major",
    type=click.Choice(RELEASES),
    default="9",
    show_default=True,
    help="Release of EL that the lab has the shape of.",
)
@click.option(
    "--show-cached",
    is_flag=True,
    help="Print the receipt of the cached media, or {}; build nothing.",
)
@click.option("--json", "_as_json", is_flag=True, help="Accepted: the receipt is always JSON.")
def main(
    cache: Path,
    override: str | None,
    installer: Path,
    major: Literal["9", "10"],
    show_cached: bool,
    _as_json: bool,
) -> None:
    """Build the lab media or reuse the cached one; print a JSON receipt."""
    if show_cached:
        print_json(find_cached(cache, installer=installer, major=major), indent=2)
        return
    receipt = build(
        cache,
        override=override,
        installer=installer,
        major=major,
        on_progress=lambda line: print_message(stderr, line),
    )
    print_json(asdict(receipt), indent=2)


def run_program() -> int:
    """The program: errors become one line and the exit code of their class."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main(standalone_mode=False)
    except HardpanError as e:
        print_message(stderr, f"error: {e}")
        for line in getattr(e, "tail", "").splitlines():
            print_message(stderr, f"  | {line}")
        if e.hint:
            print_message(stderr, f"hint: {e.hint}")
        return int(e.exit_code)
    except click.ClickException as e:
        report_usage_error(e)
        return int(Exit.USAGE)
    except (KeyboardInterrupt, click.Abort):
        print_message(stderr, "interrupted; no partial files remain")
        return int(Exit.INTERRUPTED)
    return int(Exit.OK)


if __name__ == "__main__":
    sys.exit(run_program())
