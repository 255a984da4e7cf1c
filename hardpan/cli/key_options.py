"""The options that name signing keys, and the signers they lead to."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path
from typing import Any

import click

from hardpan.core.console import prompt_secret
from hardpan.signing import PassphraseSource, Signer, load_pq_signer, load_signer

KEY_REFERENCE = "PEM file, openssl:FILE, pkcs11:URI or tpm:HANDLE"
_PATH = click.Path(path_type=Path)
_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSigners:
    """Who signs evidence."""

    scan: Signer
    pq: Signer | None
    """Signs the second, post-quantum envelope; None for none."""


def key_options(*, required: bool) -> _Decorator:
    """The options of a verb that signs evidence."""
    return _combine(
        click.option("--key", required=required, help=f"Signs the evidence: {KEY_REFERENCE}."),
        passphrase_options("", "The first line of this file opens the key (or is its PIN)."),
        click.option("--pq-key", help="Signs it a second time, with ML-DSA: PEM or openssl:FILE."),
        passphrase_options("pq-", "The same for --pq-key."),
    )


def passphrase_options(prefix: str, description: str) -> _Decorator:
    """``--PREFIXpassphrase-file`` and ``--PREFIXpassphrase-env``."""
    return _combine(
        click.option(f"--{prefix}passphrase-file", type=_PATH, help=f"{description} Mode 0600."),
        click.option(
            f"--{prefix}passphrase-env",
            metavar="NAME",
            default="",
            help="The same from an environment variable; a terminal is asked otherwise.",
        ),
    )


def _combine(*options: _Decorator) -> _Decorator:
    return lambda command: reduce(
        lambda decorated, option: option(decorated), reversed(options), command
    )


def passphrase_source(options: Mapping[str, Any], prefix: str = "") -> PassphraseSource:
    """What the options say about where a passphrase comes from."""
    return PassphraseSource(
        file=options[f"{prefix}passphrase_file"],
        env_name=options[f"{prefix}passphrase_env"],
        prompt=_prompt_cached() if sys.stdin.isatty() else None,
    )


def load_signers(options: Mapping[str, Any]) -> EvidenceSigners:
    """The signers that ``key_options`` name, each proven to work where a program holds it.

    Raises:
        UsageError, InputError, ToolError: a key cannot be used.
    """
    scan = load_signer(options["key"], passphrase_source=passphrase_source(options))
    pq = options["pq_key"]
    return EvidenceSigners(
        scan=scan,
        pq=None
        if pq is None
        else load_pq_signer(pq, passphrase_source=passphrase_source(options, "pq_")),
    )


def _prompt_cached() -> Callable[[str], str]:
    """Asks for each passphrase once."""
    return cache(prompt_secret)
