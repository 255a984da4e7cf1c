"""A disk image as the target of a scan: ``image:FILE.qcow2``."""

from dataclasses import dataclass
from pathlib import Path

from hardpan.profiles.schema.machine import FirmwareKind
from hardpan.scanners.model.scan import ImageRef
from hardpan.ssh.local_target import AnyTarget

IMAGE_PREFIX = "image:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTarget:
    """An image that is booted behind a temporary overlay, scanned and discarded."""

    path: Path
    """The qcow2 file; it is not modified."""

    user: str
    identity: Path | None = None
    """Private key of ``user``; None: the key of builds, or with ``uses_cloud_init`` a new one."""

    uses_cloud_init: bool = False
    """Create ``user`` with its key by a NoCloud seed, for an image with cloud-init."""

    firmware: FirmwareKind = "bios"
    host_keys: tuple[str, ...] = ()
    """Pinned public host keys; without any, the guest's console shows them."""

    trust_new_host_key: bool = False
    """Accept the key of an image that prints none on its console."""

    def __str__(self) -> str:
        """``image:FILE``, as messages show it."""
        return f"{IMAGE_PREFIX}{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTarget:
    """A target that accepts connections, and the image that it was booted from."""

    target: AnyTarget
    image: ImageRef | None = None
    """None unless it was booted from an image with provenance next to it."""
