"""The options ``--ledger`` and ``--expect-checkpoint``, and the ledger that they name."""

import functools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hardpan.core.console import print_message, stderr
from hardpan.core.errors import InputError
from hardpan.core.xdg import state_home
from hardpan.scanners.ledger.chain import Checkpoint, parse_checkpoint, verify_checkpoint
from hardpan.scanners.ledger.store import LedgerStore, open_ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLocation:
    """The ledger that a command works on."""

    path: Path
    checkpoints: tuple[Checkpoint, ...]
    """Checkpoints that were stored elsewhere."""

    @property
    def retained_folder(self) -> Path:
        """The folder next to it for retained evidence files, by digest."""
        return self.path.with_name(f"{self.path.name}.d")

    @contextmanager
    def open_store(self, *, write: bool = False) -> Iterator[LedgerStore]:
        """Open the ledger, verified and checked against the expected checkpoints.

        Insecure permissions are reported on stderr.

        Raises:
            InputError, TrustError, ResourceError: as ``opened`` and ``check_anchor`` do.
        """
        with open_ledger(self.path, write=write) as store:
            for problem in insecure_permissions(self.path):
                print_message(stderr, f"warning: {problem}", style="yellow")
            for checkpoint in self.checkpoints:
                verify_checkpoint(checkpoint, store.chains.get(checkpoint.chain))
            yield store


def ledger_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--ledger`` and ``--expect-checkpoint``; the command gets a ``location``."""

    @click.option(
        "--ledger",
        type=click.Path(path_type=Path),
        help="Ledger file; default: hardpan/ledger.sqlite in $XDG_STATE_HOME.",
    )
    @click.option(
        "--expect-checkpoint",
        multiple=True,
        metavar="[CHAIN=]COUNT:HASH",
        help="Earlier checkpoint; fails if the ledger no longer contains it.",
    )
    @functools.wraps(command)
    def wrapper(ledger: Path | None, expect_checkpoint: tuple[str, ...], **options: Any) -> Any:
        checkpoints = tuple(map(parse_checkpoint, expect_checkpoint))
        return command(
            location=LedgerLocation(path=ledger or default_path(), checkpoints=checkpoints),
            **options,
        )

    return wrapper


def default_path() -> Path:
    """The ledger's file if ``--ledger`` is not given."""
    return state_home() / "ledger.sqlite"


def insecure_permissions(path: Path) -> tuple[str, ...]:
    """Report who else could change the ledger or read its open findings, one line each.

    Raises:
        InputError: its folder cannot be read.
    """
    try:
        file, folder = path.stat(), path.absolute().parent.stat()
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
    write_bits = stat.S_IWGRP | stat.S_IWOTH
    problems = []
    if file.st_mode & write_bits:
        problems.append(f"{path}: group or others may write to it; chmod 600 fixes it")
    if file.st_mode & stat.S_IROTH:
        problems.append(f"{path}: everyone may read which findings are open; chmod 600 fixes it")
    if folder.st_mode & write_bits and not folder.st_mode & stat.S_ISVTX:
        problems.append(f"{path.absolute().parent}: group or others may replace the ledger in it")
    if file.st_uid not in (os.geteuid(), 0):
        problems.append(f"{path}: belongs to another user (uid {file.st_uid})")
    return tuple(problems)
