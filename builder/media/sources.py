"""Where an install ISO comes from: a file, or the catalogue; and what vouches for it."""

import json
import re
import sys
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from builder.media.inspect import facts
from builder.receipts import Media
from hardpan.errors import InputError, ToolError
from hardpan.events import Emit, Note
from hardpan.files import Sha256, check_sha256, sha256_file
from hardpan.process import run

_REPO = Path(__file__).parents[2]
CATALOG = _REPO / "images" / "catalog.yaml"
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


def find(name: str, *, file: Path | None, sha256: str | None, cache: Path, emit: Emit) -> Media:
    """The media that the catalogue calls ``name``; from ``file`` where one is given.

    Raises:
        InputError: the name is unknown, the ISO is missing, is no ISO, or is
            not the one that was asked for.
        TrustError: the digest is not ``sha256``.
        ToolError: the media had to be built here and that failed.
    """
    entry = catalog().get(name)
    if entry is None:
        raise InputError(f"no media {name!r}", hint=f"known: {', '.join(sorted(catalog()))}")
    if file is None and entry.build:
        return _built(name, entry, cache, emit)
    if file is None:
        raise InputError(
            f"{name}: {entry.title} is needed and no --media FILE was given",
            hint=f"download it from {entry.where}",
        )
    return _given(name, entry, file, sha256, emit)


def catalog() -> dict[str, Entry]:
    """Name -> entry, from ``images/catalog.yaml``."""
    said = yaml.safe_load(CATALOG.read_text("utf-8"))
    try:
        return {name: Entry.model_validate(value) for name, value in said.items()}
    except ValidationError as e:
        raise InputError(f"{CATALOG}: {e}") from e


def _given(name: str, entry: Entry, file: Path, sha256: str | None, emit: Emit) -> Media:
    if not file.is_file():
        raise InputError(f"{file}: no such ISO", hint=f"download it from {entry.where or name}")
    label = facts(file).volume_id
    if not re.search(entry.volume_id, label):
        raise InputError(
            f"{file}: expected a volume label like {entry.volume_id}, found {label!r}",
            hint=f"the profile wants {entry.title}",
        )
    emit(Note(stage=_STAGE, text=f"checking the digest of {file.name}"))
    if sha256 is not None:
        check_sha256(file, sha256)
        vouched = "sha256 given by the operator"
    else:
        vouched = "nothing: no --media-sha256 was given"
        emit(Note(stage=_STAGE, text=f"{file.name}: vouched for by {vouched}"))
    return _media(name, file, sha256_file(file), label, vouched)


def _built(name: str, entry: Entry, cache: Path, emit: Emit) -> Media:
    argv: list[str | Path] = [sys.executable, "-m", entry.build, "--cache", cache, "--json"]
    done = run(
        argv,
        timeout_s=_BUILD_S,
        cwd=_REPO,
        on_line=lambda line: emit(Note(stage=_STAGE, text=line)),
    )
    try:
        receipt = json.loads(done.stdout)
        path, digest = Path(receipt["iso"]), str(receipt["sha256"])
    except (ValueError, KeyError, TypeError) as e:
        raise ToolError([entry.build], "gave no receipt that can be read") from e
    check_sha256(path, digest)
    return _media(name, path, Sha256(digest), facts(path).volume_id, "built on this machine")


def _media(name: str, path: Path, sha256: Sha256, label: str, vouched: str) -> Media:
    return Media(
        path=path,
        sha256=sha256,
        size=path.stat().st_size,
        volume_id=label,
        name=name,
        signature=vouched,
    )
