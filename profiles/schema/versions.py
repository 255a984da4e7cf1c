"""Versions as numbers: as text '10' is less than '9', and that has broken real roles."""


def parse_version(version: str) -> tuple[int, ...]:
    """``580.65.06`` as ``(580, 65, 6)``, which compares as people mean it.

    Raises:
        ValueError: a part is not a whole number.
    """
    return tuple(int(part) for part in version.split("."))


def major_minor(version: str) -> tuple[int, int]:
    """The first two parts: ``7.0.1`` belongs to ``(7, 0)``, and ``7`` as well."""
    major, *remainder = parse_version(version)
    return major, remainder[0] if remainder else 0
