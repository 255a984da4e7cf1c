"""Where an install ISO comes from: a file, or the catalogue; and what vouches for it."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from hardpan.builder.media.inspect import facts
from hardpan.builder.receipts import Media
from hardpan.errors import InputError, ToolError, TrustError
from hardpan.events import Emit, Note
from hardpan.files import Sha256, check_sha256, sha256_file
from hardpan.process import run
from hardpan.resources import checkout, resource_path

CATALOG = resource_path("hardpan.builder.media", "catalog.yaml")
_BUILD_S = 2400
_STAGE = "media"


class Entry(BaseModel):
    """One line of the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    volume_id: str
    """Pattern that the volume label must match."""

    build: str = ""
    """Module that builds the media on this machine."""

    file: str = ""
    """Pattern of the distributor's file name."""

    where: str = ""
    """Where a person finds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Media as a quick look finds it: nothing was digested, nothing was built."""

    title: str
    path: Path | None = None
    """None where it has yet to be built."""

    size: int = 0
    """Bytes."""

    volume_id: str = ""
    sha256: Sha256 | None = None
    """What it was when it was built; None where nobody can tell without digesting it."""


def find(name: str, *, file: Path | None, sha256: str | None, cache: Path, emit: Emit) -> Media:
    """The media that the catalogue calls ``name``; from ``file`` where one is given.

    Raises:
        InputError: the name is unknown, the ISO is missing, is no ISO, or is
            not the one that was asked for.
        TrustError: the digest is not ``sha256``.
        ToolError: the media had to be built here and that failed.
    """
    entry = listed(name)
    if file is None and entry.build:
        return _built(name, entry, cache, emit)
    return _digested(name, _given(name, entry, file), sha256, emit)


def look(name: str, *, file: Path | None, cache: Path) -> Offer:
    """What ``find`` would take, as far as can be told in a moment and without writing.

    Raises:
        InputError: as for ``find``.
        ToolError: the media would have to be built here and this machine cannot.
    """
    entry = listed(name)
    if file is not None or not entry.build:
        return _given(name, entry, file)
    told = _asked(entry, cache, "--look")
    return Offer(
        title=entry.title,
        path=Path(told["iso"]) if told else None,
        size=int(told.get("size", 0)),
        volume_id=str(told.get("volume_label", "")),
        sha256=Sha256(told["sha256"]) if told else None,
    )


def listed(name: str) -> Entry:
    """The catalogue's line for ``name``.

    Raises:
        InputError: it has none.
    """
    found = catalog().get(name)
    if found is None:
        raise InputError(f"no media {name!r}", hint=f"known: {', '.join(sorted(catalog()))}")
    return found


def catalog() -> dict[str, Entry]:
    """Name -> entry, from ``catalog.yaml``."""
    said = yaml.safe_load(CATALOG.read_text("utf-8"))
    try:
        return {name: Entry.model_validate(value) for name, value in said.items()}
    except ValidationError as e:
        raise InputError(f"{CATALOG}: {e}") from e


def _given(name: str, entry: Entry, file: Path | None) -> Offer:
    if file is None:
        raise InputError(
            f"{name}: {entry.title} is needed and no --media FILE was given",
            hint=f"download it from {entry.where}",
        )
    if not file.is_file():
        raise InputError(f"{file}: no such ISO", hint=f"download it from {entry.where or name}")
    known = facts(file)
    if not re.search(entry.volume_id, known.volume_id):
        raise InputError(
            f"{file}: expected a volume label like {entry.volume_id}, found {known.volume_id!r}",
            hint=f"the profile wants {entry.title}",
        )
    return Offer(
        title=entry.title,
        path=file,
        size=file.stat().st_size,
        volume_id=known.volume_id,
    )


def _digested(name: str, offer: Offer, sha256: str | None, emit: Emit) -> Media:
    file = offer.path
    assert file is not None  # noqa: S101 - a given file
    emit(Note(stage=_STAGE, text=f"checking the digest of {file.name}"))
    found = sha256_file(file)
    vouched = "sha256 given by the operator"
    if sha256 is None:
        vouched = "nothing: no --media-sha256 was given"
        emit(Note(stage=_STAGE, text=f"{file.name}: vouched for by {vouched}"))
    elif found != sha256:
        raise TrustError(f"{file}: expected sha256 {sha256}, found {found}")
    return _media(name, file, found, offer.volume_id, vouched)


def _built(name: str, entry: Entry, cache: Path, emit: Emit) -> Media:
    receipt = _asked(entry, cache, on_line=lambda line: emit(Note(stage=_STAGE, text=line)))
    path, digest = Path(receipt["iso"]), str(receipt["sha256"])
    check_sha256(path, digest)
    return _media(name, path, Sha256(digest), facts(path).volume_id, "built on this machine")


def _asked(
    entry: Entry, cache: Path, *more: str, on_line: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """What the media's builder answers: a receipt, or nothing."""
    repository = checkout()
    if repository is None:
        raise InputError(
            f"{entry.title}: lab profiles need a checkout: expected hardpan to run from its source"
            " repository, found an installed package",
            hint="clone the repository and run 'make demo' in it, or build a Rocky profile",
        )
    argv: list[str | Path] = [sys.executable, "-m", entry.build, "--cache", cache, "--json", *more]
    done = run(argv, timeout_s=_BUILD_S, cwd=repository, on_line=on_line)
    try:
        told = json.loads(done.stdout)
        if told:
            told["iso"], told["sha256"]
    except (ValueError, KeyError, TypeError) as e:
        raise ToolError([entry.build], "gave no receipt that can be read") from e
    return dict(told)


def _media(name: str, path: Path, sha256: Sha256, label: str, vouched: str) -> Media:
    return Media(
        path=path,
        sha256=sha256,
        size=path.stat().st_size,
        volume_id=label,
        name=name,
        signature=vouched,
    )
