"""Load waivers from a file of their own, and locate those of a profile.

A site keeps the waivers of its hosts in one file, apart from the profiles::

    waivers:
      - rules: [RHEL-09-231190, grub2_pti_argument]
        reason: The hypervisor encrypts the disk; ticket 1234.
        owner: site security officer
        expires: 2027-11-30
"""

from pathlib import Path

from pydantic import Field, ValidationError

from hardpan.core.errors import InputError
from hardpan.core.files import open_regular
from hardpan.core.limits import MAX_YAML_BYTES
from hardpan.core.validation_errors import format_path, format_problems, locate_errors
from hardpan.core.yaml_source import YamlNode, read_yaml
from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.waivers import LocatedWaiver, RuleWaiver

_HINT = "each waiver has rule or rules, reason, owner and expires; see docs/scan.md"


class WaiverFile(ProfileSection):
    """The content of a waiver file."""

    waivers: tuple[RuleWaiver, ...] = Field(min_length=1)
    """Documented deviations, added to those of the profile."""


def load_waivers(path: Path) -> tuple[LocatedWaiver, ...]:
    """Load the waivers in a file.

    Raises:
        InputError: it cannot be read, or has problems; each is reported on a line as
            ``file:line:column: path: expected, got``.
    """
    with open_regular(path) as file:
        tree = read_yaml(file.read(MAX_YAML_BYTES + 1), str(path))
    try:
        waivers = WaiverFile.model_validate(tree.to_plain()).waivers
    except ValidationError as e:
        raise InputError(format_problems(locate_errors(tree, e)), hint=_HINT) from e
    return _locate_waivers(waivers, tree, ("waivers",), path.name)


def locate_profile_waivers(
    profile: Profile, tree: YamlNode | None = None
) -> tuple[LocatedWaiver, ...]:
    """Return the waivers of a profile; ``tree`` has their locations in its file or its parent's."""
    return _locate_waivers(
        profile.stig.waivers, tree, ("stig", "waivers"), f"profile {profile.name}"
    )


def _locate_waivers(
    waivers: tuple[RuleWaiver, ...], tree: YamlNode | None, path: tuple[str, ...], source: str
) -> tuple[LocatedWaiver, ...]:
    return tuple(
        LocatedWaiver(
            waiver=waiver,
            source=source,
            selector_locations=tuple(
                _format_location(tree, (*path, i, *_selector_path(waiver, j)), source)
                for j, _ in enumerate(waiver.selectors)
            ),
        )
        for i, waiver in enumerate(waivers)
    )


def _selector_path(waiver: RuleWaiver, number: int) -> tuple[str | int, ...]:
    return ("rules", number) if waiver.rule is None else ("rule",)


def _format_location(tree: YamlNode | None, path: tuple[str | int, ...], source: str) -> str:
    if tree is None:
        return f"{source}: {format_path(path)}"
    return str(tree.locate(path))
