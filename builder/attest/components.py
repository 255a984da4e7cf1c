"""Identifiers of an image's components, as both formats of the bill of materials have them."""

import re

from packageurl import PackageURL

from hardpan.builder.artifacts import WheelRecord
from hardpan.core.nevra import parse_nevra

_OS_CPE = {"rocky9": ("rocky", "rocky", "9"), "rocky10": ("rocky", "rocky", "10")}
"""Release -> vendor, product and version in the CPE names of the distribution's os-release."""

_SPECIAL = re.compile(r"([^A-Za-z0-9_])")


def rpm_purl(nevra: str, distro: str) -> str:
    """Return the package URL of an RPM, type rpm (purl-spec)."""
    package = parse_nevra(nevra)
    if package is None:
        return PackageURL(type="rpm", name=nevra, qualifiers={"distro": distro}).to_string()
    qualifiers = {"arch": package.arch, "distro": distro}
    if package.epoch is not None:
        qualifiers["epoch"] = package.epoch
    return PackageURL(
        type="rpm", name=package.name, version=package.version_release, qualifiers=qualifiers
    ).to_string()


def pypi_purl(wheel: WheelRecord) -> str:
    """Return the package URL of a wheel, type pypi (purl-spec)."""
    return PackageURL(type="pypi", name=wheel.name, version=wheel.version).to_string()


def package_cpe(name: str, version: str) -> str:
    """Return a CPE 2.3 name for a package of any vendor (NIST IR 7695).

    The vendor in the dictionary of CPE names does not follow from a package, so it is ``*``:
    a search by product and version finds the entries of every vendor.
    """
    return f"cpe:2.3:a:*:{_escape(name.lower())}:{_escape(version)}:*:*:*:*:*:*:*"


def system_cpe(release: str) -> str:
    """Return the CPE 2.3 name of a distribution; empty for the lab, which has none."""
    if release not in _OS_CPE:
        return ""
    return f"cpe:2.3:o:{':'.join(_OS_CPE[release])}:*:*:*:*:*:*:*"


def _escape(text: str) -> str:
    """Return ``text`` as a value of a CPE name: special characters have a backslash in front."""
    return _SPECIAL.sub(r"\\\1", text)
