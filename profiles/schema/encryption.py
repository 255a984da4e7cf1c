"""Disk encryption of the volume group, and what unlocks it at boot.

Sources: clevis-encrypt-tpm2(1) and clevis-encrypt-tang(1) for the configuration of a pin; TCG PC
Client Platform Firmware Profile for the registers (PCR 7 is the state of Secure Boot).
"""

import json
from typing import Annotated, Literal

from pydantic import Field

from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.types import Pattern, StrictInt, Text

PcrIndex = Annotated[StrictInt, Field(ge=0, le=23)]
"""Number of a platform configuration register."""

TangUrl = Annotated[
    str,
    Pattern(
        r"http://[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9][0-9]{0,4})?",
        "the address of a Tang server, e.g. http://tang.example.com:7500",
    ),
]
"""Tang has no use for TLS: its protocol proves the server's key and shows nobody the disk's."""

TangThumbprint = Annotated[
    str,
    Pattern(
        r"[A-Za-z0-9_-]{43}",
        "the SHA-256 thumbprint of the server's signing key, as tang-show-keys prints it",
    ),
]


class TangServer(ProfileSection):
    """A Tang server, which a machine needs at each boot to unlock its disk."""

    url: TangUrl
    """Address."""

    thumbprint: TangThumbprint
    """Thumbprint of its signing key; without it any server would be trusted at the first boot."""


class Encryption(ProfileSection):
    """Disk encryption of the volume group."""

    mode: Literal["none", "luks2"]
    """``luks2`` reads its passphrase from a file at build time; the ISO is then a secret."""

    reason: Text | None = None
    """Why the disk is not encrypted; required with ``mode: none``."""

    unlock: Literal["passphrase", "tpm2", "tang"] = "passphrase"
    """What unlocks the disk at boot. With ``tpm2`` and ``tang`` each machine is bound at its first
    boot and the passphrase of the build removed; images require that."""

    tpm2_pcrs: tuple[PcrIndex, ...] = (7,)
    """Registers of the TPM that have to be unchanged, with ``unlock: tpm2``."""

    tang: TangServer | None = None
    """The server, with ``unlock: tang``."""

    @property
    def is_bound(self) -> bool:
        """Whether each machine is bound to its TPM or to a server at its first boot."""
        return self.mode == "luks2" and self.unlock != "passphrase"

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages that the binding needs."""
        if not self.is_bound:
            return ()
        tools = ("tpm2-tools",) if self.unlock == "tpm2" else ()
        return ("clevis", "clevis-dracut", "clevis-luks", "cryptsetup", *tools)

    @property
    def kernel_arguments(self) -> tuple[str, ...]:
        """Kernel arguments that the unlocking needs: the network before the root file system."""
        return ("rd.neednet=1",) if self.is_bound and self.unlock == "tang" else ()

    @property
    def pin_settings(self) -> str:
        """The settings of clevis's pin as JSON."""
        settings: dict[str, str] = {}
        if self.unlock == "tpm2":
            settings = {"pcr_bank": "sha256", "pcr_ids": ",".join(map(str, self.tpm2_pcrs))}
        elif self.tang is not None:
            settings = {"url": self.tang.url, "thp": self.tang.thumbprint}
        return json.dumps(settings, separators=(",", ":"))
