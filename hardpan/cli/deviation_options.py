"""The options ``--waivers`` and ``--tailoring``: what a site accepts or checks differently."""

from pathlib import Path

import click

waivers_option = click.option(
    "--waivers",
    "waiver_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="YAML file with waivers, in addition to those of the profile.",
)

tailoring_option = click.option(
    "--tailoring",
    "tailoring_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Tailoring of the profile: XCCDF, or YAML with a reason for each change.",
)
