"""How the host key of a target was known before the connection."""

from enum import StrEnum


class HostKeyTrust(StrEnum):
    """How the scanner knew the target's host key before it connected."""

    PINNED = "pinned"
    """A person gave the key: ``--host-key``."""

    KNOWN_HOSTS = "known_hosts"
    """A ``known_hosts`` file lists it."""

    BUILT_IMAGE = "built_image"
    """hardpan built and booted the guest, which printed its key on its serial console."""

    FIRST_USE = "first_use"
    """It did not: a person typed ``--trust-new-host-key``."""

    UNKNOWN = "unknown"
    """Evidence of an older hardpan does not say."""
