"""The options that verify an install ISO: its digest, or a signed CHECKSUM file."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hardpan.builder.media.expected_digest import DigestOptions
from hardpan.core.errors import UsageError

_PATH = click.Path(path_type=Path)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def checksum_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as ``digest``."""

    @functools.wraps(command)
    def call_with_digest(**values: Any) -> Any:
        digest = DigestOptions(
            sha256=_require_digest(values.pop("media_sha256")),
            checksum=values.pop("checksum"),
            checksum_key=values.pop("checksum_key"),
        )
        return command(digest=digest, **values)

    decorated: Callable[..., Any] = call_with_digest
    for option in (
        click.option(
            "--checksum-key",
            type=_PATH,
            help="OpenPGP public key of the CHECKSUM file; default: the distributor's.",
        ),
        click.option(
            "--checksum",
            type=_PATH,
            help="CHECKSUM file with its signature, inside or next to it (.asc, .sig).",
        ),
        click.option("--media-sha256", help="Expected SHA-256 digest of the ISO."),
    ):
        decorated = option(decorated)
    return decorated


def _require_digest(text: str | None) -> str | None:
    """Return the digest, if it has the form of one.

    Raises:
        UsageError: it has not.
    """
    if text is not None and not _SHA256.fullmatch(text):
        raise UsageError(f"--media-sha256 {text}: expected 64 digits 0-9 a-f, as sha256sum prints")
    return text
