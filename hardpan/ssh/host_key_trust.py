"""How a target's host key was verified."""

from enum import StrEnum


class HostKeyTrust(StrEnum):
    """Source of trust in the host key that a target presented."""

    PINNED = "pinned"
    """The user pinned the key with ``--host-key``."""

    KNOWN_HOSTS = "known_hosts"
    """A ``known_hosts`` file lists it."""

    BUILT_IMAGE = "built_image"
    """hardpan booted the guest, which printed its key on its serial console."""

    LOCAL = "local"
    """The target is the scanning machine itself; its key, if it has one, was read from its disk."""

    FIRST_USE = "first_use"
    """Trust on first use: the user gave ``--trust-new-host-key``."""

    UNKNOWN = "unknown"
    """Not recorded."""
