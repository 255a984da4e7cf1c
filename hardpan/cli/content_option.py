"""The option ``--content`` of every command that scans."""

from pathlib import Path
from typing import Any

import click

from hardpan.scanners.content.datastream import ContentSelection
from hardpan.scanners.model.scan import ContentOrigin

_NAMED_ORIGINS = (ContentOrigin.SHIPPED, ContentOrigin.UPDATED, ContentOrigin.INSTALLED)


class ContentChoice(click.ParamType[ContentSelection]):
    """``shipped``, ``updated``, ``installed`` or a file; ``./shipped`` is a file."""

    name = "content"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The place of that name, else the path."""
        if isinstance(value, Path):
            return value
        return ContentOrigin(value) if value in _NAMED_ORIGINS else Path(value)


content_option = click.option(
    "--content",
    type=ContentChoice(),
    metavar="FILE|shipped|updated|installed",
    help="SCAP data stream; 'hardpan content list' shows which one is the default.",
)
