"""Jinja environments. Every template is rendered strictly: an undefined variable is an error."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def html_environment(folder: Path) -> Environment:
    """Return an environment for the HTML templates in ``folder``: every value is escaped."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def text_environment(
    folder: Path,
    *,
    finalize: Callable[[object], object] | None = None,
    trim_blocks: bool = True,
    lstrip_blocks: bool = False,
) -> Environment:
    """Return an environment for templates of kickstarts, scripts and configuration files.

    Nothing is escaped: callers pass only values that cannot end a line or a quoted string, or
    refuse others in ``finalize``, which is called with every value.
    """
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=False,  # noqa: S701 - no HTML
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=trim_blocks,
        lstrip_blocks=lstrip_blocks,
        keep_trailing_newline=True,
    )
