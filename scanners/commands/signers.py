"""The options that name signing keys, and the signers they lead to."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path
from typing import Any

import click

from hardpan.signing import Signer, Unlock, load_pq_signer, load_signer
from hardpan.terminal import ask_secret

KEY = "PEM file, openssl:FILE, pkcs11:URI or tpm:HANDLE"
_PATH = click.Path(path_type=Path)
_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """Who signs evidence."""

    scan: Signer
    pq: Signer | None
    """Signs the second, post-quantum envelope; None for none."""


def key_options(*, required: bool) -> _Decorator:
    """The options of a verb that signs evidence."""
    return _all(
        click.option("--key", required=required, help=f"Signs the evidence: {KEY}."),
        unlock_options("", "The first line of this file opens the key (or is its PIN)."),
        click.option("--pq-key", help="Signs it a second time, with ML-DSA: PEM or openssl:FILE."),
        unlock_options("pq-", "The same for --pq-key."),
    )


def unlock_options(prefix: str, about: str) -> _Decorator:
    """``--PREFIXpassphrase-file`` and ``--PREFIXpassphrase-env``."""
    return _all(
        click.option(f"--{prefix}passphrase-file", type=_PATH, help=f"{about} Mode 0600."),
        click.option(
            f"--{prefix}passphrase-env",
            metavar="NAME",
            default="",
            help="The same from an environment variable; a terminal is asked otherwise.",
        ),
    )


def _all(*options: _Decorator) -> _Decorator:
    return lambda command: reduce(lambda made, option: option(made), reversed(options), command)


def unlock(options: Mapping[str, Any], prefix: str = "") -> Unlock:
    """What the options say about where a passphrase comes from."""
    return Unlock(
        file=options[f"{prefix}passphrase_file"],
        env=options[f"{prefix}passphrase_env"],
        ask=_asking() if sys.stdin.isatty() else None,
    )


def load(options: Mapping[str, Any]) -> Signers:
    """The signers that ``key_options`` name, each proven to work where a program holds it.

    Raises:
        UsageError, InputError, ToolError: a key cannot be used.
    """
    scan = load_signer(options["key"], unlock=unlock(options))
    pq = options["pq_key"]
    return Signers(
        scan=scan,
        pq=None if pq is None else load_pq_signer(pq, unlock=unlock(options, "pq_")),
    )


def _asking() -> Callable[[str], str]:
    """Asks for each passphrase once."""
    return cache(ask_secret)
