"""Waivers for tests."""

from datetime import date

from hardpan.profiles.schema.waivers import LocatedWaiver, RuleWaiver


def make_waiver(
    *selectors: str, expires: date = date(2099, 1, 1), reason: str = "the appliance needs it"
) -> LocatedWaiver:
    """Build a waiver of the file ``site.yaml``; each of its names is on a line."""
    return LocatedWaiver(
        waiver=RuleWaiver(rules=selectors, reason=reason, owner="site", expires=expires),
        source="site.yaml",
        selector_locations=tuple(f"site.yaml:{n}:3" for n, _ in enumerate(selectors, 1)),
    )
