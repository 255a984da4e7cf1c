"""Where the ledger lies, what is expected of it, and who else may write to it."""

import functools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hardpan.errors import InputError
from hardpan.folders import state_home
from hardpan.scanners.history.chain import Anchor, check_anchor, read_anchor
from hardpan.scanners.history.store import Store, opened
from hardpan.terminal import err, say


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The ledger that a command works on."""

    path: Path
    anchors: tuple[Anchor, ...]
    """Heads that were noted elsewhere."""

    @property
    def kept(self) -> Path:
        """The folder beside it for whole evidence files, by digest."""
        return self.path.with_name(f"{self.path.name}.d")

    @contextmanager
    def store(self, *, write: bool = False) -> Iterator[Store]:
        """The ledger, verified and held against the expected heads; loose permissions are told.

        Raises:
            InputError, TrustError, ResourceError: as ``opened`` and ``check_anchor`` do.
        """
        with opened(self.path, write=write) as store:
            for line in loose(self.path):
                say(err, f"warning: {line}", style="yellow")
            for anchor in self.anchors:
                check_anchor(anchor, store.chains.get(anchor.chain))
            yield store


def placed(command: Callable[..., Any]) -> Callable[..., Any]:
    """``command`` with ``--ledger`` and ``--expect-head``; it is given a ``Place``."""

    @click.option(
        "--ledger",
        type=click.Path(path_type=Path),
        help="The ledger's file; else hardpan/ledger.sqlite in $XDG_STATE_HOME.",
    )
    @click.option(
        "--expect-head",
        multiple=True,
        metavar="[CHAIN=]COUNT:HASH",
        help="A head noted earlier: the ledger must still hold it.",
    )
    @functools.wraps(command)
    def wrapped(ledger: Path | None, expect_head: tuple[str, ...], **given: Any) -> Any:
        anchors = tuple(map(read_anchor, expect_head))
        return command(place=Place(path=ledger or default(), anchors=anchors), **given)

    return wrapped


def default() -> Path:
    """The ledger's file where ``--ledger`` names none."""
    return state_home() / "ledger.sqlite"


def loose(path: Path) -> tuple[str, ...]:
    """Who else could change the ledger, or read which findings are open; one line each.

    Raises:
        InputError: its folder cannot be looked at.
    """
    try:
        file, folder = path.stat(), path.absolute().parent.stat()
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
    others = stat.S_IWGRP | stat.S_IWOTH
    said = []
    if file.st_mode & others:
        said.append(f"{path}: group or others may write to it; chmod 600 mends it")
    if file.st_mode & stat.S_IROTH:
        said.append(f"{path}: everyone may read which findings are open; chmod 600 mends it")
    if folder.st_mode & others and not folder.st_mode & stat.S_ISVTX:
        said.append(f"{path.absolute().parent}: group or others may replace the ledger in it")
    if file.st_uid not in (os.geteuid(), 0):
        said.append(f"{path}: belongs to another user (uid {file.st_uid})")
    return tuple(said)
