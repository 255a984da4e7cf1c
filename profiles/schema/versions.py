"""Numeric comparison of vendor versions; as text, '10' is less than '9'."""


def parse_version(version: str) -> tuple[int, ...]:
    """Return ``580.65.06`` as ``(580, 65, 6)``, which compares numerically.

    Raises:
        ValueError: a part is not an integer.
    """
    return tuple(int(part) for part in version.split("."))


def major_minor(version: str) -> tuple[int, int]:
    """Return the first two parts: ``7.0.1`` and ``7`` both give ``(7, 0)``."""
    major, *remainder = parse_version(version)
    return major, remainder[0] if remainder else 0
