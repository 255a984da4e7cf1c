"""Numeric comparison of vendor versions; as text, '10' is less than '9'.

Vendors number drivers, CUDA, ROCm, glibc and SCAP content like the release segment of PEP 440.
Versions of RPM packages have another order (epoch, ``~``, ``^``): only dnf and rpm compare those.
"""

from packaging.version import Version


def parse_version(version: str) -> tuple[int, ...]:
    """Return ``580.65.06`` as ``(580, 65, 6)``, which compares numerically.

    Raises:
        ValueError: it is anything but integers separated by dots.
    """
    parsed = Version(version)
    if str(parsed) != ".".join(map(str, parsed.release)):
        raise ValueError(f"{version!a}: expected a release as 1.2.3, got {parsed}")
    return parsed.release


def major_minor(version: str) -> tuple[int, int]:
    """Return the first two parts: ``7.0.1`` and ``7`` give ``(7, 0)``."""
    major, minor, *_ = (*parse_version(version), 0)
    return major, minor
