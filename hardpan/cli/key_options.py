"""The options that name signing keys, and the signers that they load."""

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
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
    """The signers of an evidence file."""

    scan: Signer
    pq: Signer | None
    """Signs the second, post-quantum envelope; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOptions:
    """The values of the key options."""

    key: str | None
    passphrase_file: Path | None
    passphrase_env: str
    pq_key: str | None
    pq_passphrase_file: Path | None
    pq_passphrase_env: str


def key_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the key options of a command that signs evidence; it gets them as ``keys``."""

    @functools.wraps(command)
    def call_with_keys(**values: Any) -> Any:
        keys = KeyOptions(**{field.name: values.pop(field.name) for field in fields(KeyOptions)})
        return command(keys=keys, **values)

    return _combine(
        click.option(
            "--key",
            help=f"Signing key of the evidence: {KEY_REFERENCE}; default: a key in the user's data "
            "folder, created on first use.",
        ),
        passphrase_options("", "File whose first line is the passphrase or PIN of the key."),
        click.option(
            "--pq-key", help="Second, post-quantum key (ML-DSA): PEM file or openssl:FILE."
        ),
        passphrase_options("pq-", "The same for --pq-key."),
    )(call_with_keys)


def passphrase_options(prefix: str, description: str) -> _Decorator:
    """Add ``--PREFIXpassphrase-file`` and ``--PREFIXpassphrase-env``."""
    return _combine(
        click.option(f"--{prefix}passphrase-file", type=_PATH, help=f"{description} Mode 0600."),
        click.option(
            f"--{prefix}passphrase-env",
            metavar="NAME",
            default="",
            help="Environment variable that holds it; without both, the terminal prompts.",
        ),
    )


def _combine(*options: _Decorator) -> _Decorator:
    return lambda command: reduce(
        lambda decorated, option: option(decorated), reversed(options), command
    )


def passphrase_source(file: Path | None, env_name: str) -> PassphraseSource:
    """Return the source of a passphrase: a file, an environment variable or the terminal."""
    return PassphraseSource(
        file=file, env_name=env_name, prompt=_prompt_cached() if sys.stdin.isatty() else None
    )


def load_signers(keys: KeyOptions, key: str) -> EvidenceSigners:
    """Load the signer ``key`` and the post-quantum one, and test each that a program holds.

    Raises:
        UsageError, InputError, ToolError: a key cannot be used.
    """
    scan = load_signer(
        key,
        passphrase_source=passphrase_source(keys.passphrase_file, keys.passphrase_env),
    )
    pq = None
    if keys.pq_key is not None:
        pq = load_pq_signer(
            keys.pq_key,
            passphrase_source=passphrase_source(keys.pq_passphrase_file, keys.pq_passphrase_env),
        )
    return EvidenceSigners(scan=scan, pq=pq)


def _prompt_cached() -> Callable[[str], str]:
    """Return a prompt that asks for each passphrase once."""
    return cache(prompt_secret)
