"""Plans of the lab's installer, from a kickstart's text."""

from images.lab.installer.plan import Firmware, InstallPlan
from images.lab.installer.release import Release
from images.lab.installer.translate import make_plan

EL9 = Release(major=9, version="9.0")


def make_plan_of(
    text: str,
    *,
    fips: bool = False,
    strict: bool = True,
    release: Release = EL9,
    firmware: Firmware = Firmware.UEFI,
) -> InstallPlan:
    """Return the plan for EL 9 and UEFI unless said otherwise."""
    return make_plan(text, fips=fips, strict=strict, release=release, firmware=firmware)
