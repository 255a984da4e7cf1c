"""Provide install media from a file or the media catalog, and verify them."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from hardpan.builder.artifacts import InstallMedia
from hardpan.builder.media.expected_digest import (
    UNVERIFIED,
    DigestOptions,
    ExpectedDigest,
    expected_digests,
    match_digest,
)
from hardpan.builder.media.inspect import inspect_iso
from hardpan.builder.media.package_check import require_usable
from hardpan.builder.media.recorded_digest import find_digest, read_digest
from hardpan.builder.media.repositories import MediaContent, read_media_content
from hardpan.core import validation_errors
from hardpan.core.errors import InputError, ToolError, TrustError
from hardpan.core.events import Emit, StageMessage
from hardpan.core.files import Sha256
from hardpan.core.process import run
from hardpan.core.resources import find_checkout, resource_path
from hardpan.core.yaml_source import read_yaml

CATALOG_FILE = resource_path("hardpan.builder.media", "catalog.yaml")
_BUILD_TIMEOUT_S = 2400
_STAGE = "media"


class MediaEntry(BaseModel):
    """An entry of the media catalog."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    family: str
    """Name of the distribution, as in the media's ``.treeinfo``."""

    release: str
    """Major version, as in ``.treeinfo``."""

    build: str = ""
    """Module that builds the media on this host."""

    download_location: str = ""
    """Download location."""


_CATALOG = TypeAdapter(dict[str, MediaEntry])


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaCandidate:
    """Media that are available without building; their digest is not verified."""

    title: str
    path: Path | None = None
    """None if the media are not built yet."""

    size: int = 0
    """Size in bytes."""

    volume_id: str = ""
    sha256: Sha256 | None = None
    """Digest recorded when the media were built or last read; None if unknown."""

    content: MediaContent | None = None
    """What is on the media; None if they are not built yet."""

    expected: tuple[ExpectedDigest, ...] = ()
    """The digests that a given ISO must have; empty if nobody states one."""


def provide_media(
    name: str,
    *,
    file: Path | None,
    cache: Path,
    emit: Emit,
    digest: DigestOptions | None = None,
) -> InstallMedia:
    """Return the media ``name`` of the catalog, from ``file`` if given; build them if needed.

    Raises:
        InputError: the name is unknown, or the ISO is missing, invalid, incomplete or of another
            distribution.
        TrustError: the ISO has not the digest that it must have, or who states it is not trusted.
        ToolError: building the media failed, or gpgv is missing.
    """
    entry = catalog_entry(name)
    if file is None and entry.build:
        return _build_media(name, entry, cache, emit)
    candidate = _inspect_file(name, entry, file, cache, digest or DigestOptions())
    return _verify_digest(name, candidate, cache, emit)


def find_local(
    name: str, *, file: Path | None, cache: Path, digest: DigestOptions | None = None
) -> MediaCandidate:
    """Return the media that ``provide_media`` would use, without building or writing.

    Raises:
        InputError: as for ``provide_media``.
        TrustError: who states the digest is not trusted.
        ToolError: the media must be built and this host cannot build them, or gpgv is missing.
    """
    entry = catalog_entry(name)
    if file is not None or not entry.build:
        return _inspect_file(name, entry, file, cache, digest or DigestOptions())
    receipt = _run_media_builder(entry, cache, "--show-cached")
    path = Path(receipt["iso"]) if receipt else None
    return MediaCandidate(
        title=entry.title,
        path=path,
        size=int(receipt.get("size", 0)),
        volume_id=str(receipt.get("volume_label", "")),
        sha256=Sha256(receipt["sha256"]) if receipt else None,
        content=_read_content(entry, path) if path else None,
    )


def catalog_entry(name: str) -> MediaEntry:
    """Return the catalog entry ``name``.

    Raises:
        InputError: there is none.
    """
    entry = load_catalog().get(name)
    if entry is None:
        raise InputError(f"no media {name!r}", hint=f"known: {', '.join(sorted(load_catalog()))}")
    return entry


def load_catalog() -> dict[str, MediaEntry]:
    """Return the entries of ``catalog.yaml`` by name."""
    tree = read_yaml(CATALOG_FILE.read_bytes(), str(CATALOG_FILE))
    try:
        return _CATALOG.validate_python(tree.to_plain())
    except ValidationError as e:
        problems = validation_errors.locate_errors(tree, e)
        raise InputError(validation_errors.format_problems(problems)) from e


def _inspect_file(
    name: str, entry: MediaEntry, file: Path | None, cache: Path, digest: DigestOptions
) -> MediaCandidate:
    if file is None:
        raise InputError(
            f"{name}: {entry.title} is needed and no --media FILE was given",
            hint=f"download it from {entry.download_location}",
        )
    if not file.is_file():
        raise InputError(
            f"{file}: no such ISO", hint=f"download it from {entry.download_location or name}"
        )
    facts = inspect_iso(file)
    return MediaCandidate(
        title=entry.title,
        path=file,
        size=file.stat().st_size,
        volume_id=facts.volume_id,
        sha256=find_digest(file, cache),
        content=_read_content(entry, file),
        expected=expected_digests(name, file, digest),
    )


def _read_content(entry: MediaEntry, file: Path) -> MediaContent:
    content = read_media_content(file)
    require_usable(file, content, family=entry.family, major=entry.release, title=entry.title)
    return content


def _verify_digest(name: str, candidate: MediaCandidate, cache: Path, emit: Emit) -> InstallMedia:
    file = candidate.path
    assert file is not None  # noqa: S101 - a given file
    if candidate.sha256 is None:
        emit(StageMessage(stage=_STAGE, text=f"checking the digest of {file.name}"))
    digest = candidate.sha256 or read_digest(file, cache)
    verification = match_digest(file, digest, candidate.expected)
    result = "not verified" if verification == UNVERIFIED else "verified"
    reason = verification.removeprefix("none: ")
    emit(StageMessage(stage=_STAGE, text=f"{file.name}: digest {result}: {reason}"))
    return _make_media(name, file, digest, candidate.volume_id, verification)


def _build_media(name: str, entry: MediaEntry, cache: Path, emit: Emit) -> InstallMedia:
    receipt = _run_media_builder(
        entry, cache, on_line=lambda line: emit(StageMessage(stage=_STAGE, text=line))
    )
    path, digest = Path(receipt["iso"]), Sha256(str(receipt["sha256"]))
    actual = read_digest(path, cache)
    if actual != digest:
        raise TrustError(f"{path}: expected sha256 {digest}, got {actual}")
    return _make_media(name, path, digest, inspect_iso(path).volume_id, "built on this machine")


def _run_media_builder(
    entry: MediaEntry, cache: Path, *options: str, on_line: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Run the media builder and return its receipt, or an empty one."""
    repository = find_checkout()
    if repository is None:
        raise InputError(
            f"{entry.title}: lab profiles need a checkout: expected hardpan to run from its source"
            " repository, got an installed package",
            hint="clone the repository and run 'make demo' in it, or build a Rocky profile",
        )
    argv: list[str | Path] = [
        sys.executable,
        "-m",
        entry.build,
        "--cache",
        cache,
        "--json",
        "--release",
        entry.release,
        *options,
    ]
    result = run(argv, timeout_s=_BUILD_TIMEOUT_S, cwd=repository, on_line=on_line)
    try:
        receipt = json.loads(result.stdout)
        if receipt:
            receipt["iso"], receipt["sha256"]
    except (ValueError, KeyError, TypeError) as e:
        raise ToolError([entry.build], "printed no valid receipt") from e
    return dict(receipt)


def _make_media(
    name: str, path: Path, sha256: Sha256, label: str, verification: str
) -> InstallMedia:
    return InstallMedia(
        path=path,
        sha256=sha256,
        size_bytes=path.stat().st_size,
        volume_id=label,
        name=name,
        verified_by=verification,
    )
