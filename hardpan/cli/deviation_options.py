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
