"""The option ``--nonce``: the challenge of the recipient of the evidence."""

import re
from typing import Any

import click

_MAX_CHARACTERS = 256
_PRINTABLE = re.compile(rf"[ -~]{{0,{_MAX_CHARACTERS}}}")


class Nonce(click.ParamType[str]):
    """Printable ASCII: the host signs it as one line of a text."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the nonce."""
        if not _PRINTABLE.fullmatch(value):
            expected = f"expected at most {_MAX_CHARACTERS} printable ASCII characters"
            self.fail(f"{expected}, got {value[:40]!a}", param, ctx)
        return str(value)


nonce_option = click.option(
    "--nonce",
    type=Nonce(),
    default="",
    help="Challenge of the recipient; recorded in the evidence.",
)
