"""``hardpan profiles``: list the shipped profiles."""

import click

from hardpan.core.console import print_json, print_line
from hardpan.profiles.loader.profile_file import load_profile, profile_digest
from hardpan.profiles.loader.shipped import shipped_profiles
from hardpan.profiles.schema.profile import Profile


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def profiles(as_json: bool) -> None:
    """List the shipped profiles."""
    shipped = [load_profile(name) for name in shipped_profiles()]
    if as_json:
        print_json([_to_json(p) for p in shipped], indent=2)
        return
    width = max(len(p.name) for p in shipped)
    for p in shipped:
        print_line(f"{p.name:<{width}}  {p.title}")


def _to_json(profile: Profile) -> dict[str, object]:
    return {
        "name": profile.name,
        "title": profile.title,
        "release": profile.release,
        "accelerator": profile.hardware.accelerator,
        "layers": list(profile.layers),
        "fips": profile.fips,
        "sha256": profile_digest(profile),
    }
