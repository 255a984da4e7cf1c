"""Jinja environments. Every template is rendered strictly: an undefined variable is an error."""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import jinja2
from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket

_HTML_CACHE_PATTERN = f"html-1.jinja-{jinja2.__version__}.%s.{sys.implementation.cache_tag}.bin"
"""Name of a compiled HTML template. Change the number with the options of ``html_environment``:
Jinja compares only the template's own text."""


class _TemplateCache(FileSystemBytecodeCache):
    """Stores compiled templates in ``__pycache__`` of their folder, as Python does with modules.

    Who can write there can write the templates and the modules, too. A folder of the user would
    let a user replace code that root runs with this user's ``HOME``.
    """

    def load_bytecode(self, bucket: Bucket) -> None:
        """Load a compiled template; one that cannot be read is compiled again."""
        with suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Store a compiled template unless the folder is read-only."""
        if sys.dont_write_bytecode:
            return
        with suppress(OSError):
            Path(self.directory).mkdir(exist_ok=True)
            super().dump_bytecode(bucket)


def html_environment(folder: Path) -> Environment:
    """Return an environment for the HTML templates in ``folder``: every value is escaped."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Filters of constants are not evaluated when compiling: the result would be stored, and
        # stay when the filter changes.
        optimized=False,
        bytecode_cache=_TemplateCache(str(folder / "__pycache__"), _HTML_CACHE_PATTERN),
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
