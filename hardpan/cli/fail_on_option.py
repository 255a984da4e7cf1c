"""The option ``--fail-on`` of every command whose exit code depends on open rules."""

import click

from hardpan.profiles.schema.ssg import SEVERITIES

fail_on_option = click.option(
    "--fail-on",
    type=click.Choice((*reversed(SEVERITIES), "none")),
    default="high",
    show_default=True,
    help="Exit with 1 if a rule of this severity or higher is open without a waiver; unknown "
    "counts as medium.",
)
