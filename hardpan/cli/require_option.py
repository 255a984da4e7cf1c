"""The option ``--require``: parts of a scan whose missing precondition is an error."""

from typing import Any

import click

from hardpan.scanners.collect.base import OPTIONAL_COLLECTORS
from hardpan.scanners.collect.check_registry import load_registry


class CollectorNames(click.ParamType[frozenset[str]]):
    """Names of collectors and ids of checks, separated by commas."""

    name = "collectors"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[str]:
        """Return the names."""
        if isinstance(value, frozenset):
            return value
        names = frozenset(name.strip() for name in value.split(",") if name.strip())
        checks = {c.id for c in load_registry().checks if c.required is not None}
        unknown_names = sorted(names - set(OPTIONAL_COLLECTORS) - checks)
        if unknown_names:
            expected = ", ".join((*OPTIONAL_COLLECTORS, *sorted(checks)))
            self.fail(f"expected names among {expected}, got {unknown_names[0][:40]!a}", param, ctx)
        return names


require_option = click.option(
    "--require",
    "required",
    type=CollectorNames(),
    default="",
    metavar="NAME,...",
    help="Parts whose missing precondition on the target is an error (exit code 4): "
    f"{', '.join(OPTIONAL_COLLECTORS)}; or ids of checks that the host must then meet.",
)
