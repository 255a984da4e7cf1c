"""What was seen of FIPS mode and what it comes to: plain frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

TriState = Literal["yes", "no", "unknown"]
"""``unknown`` where the target did not or could not say; never taken for ``no``."""

CertificateState = Literal[
    "validated", "historical", "in_process", "not_validated", "stale_data", "unknown"
]
EnvironmentMatch = Literal["listed", "vendor_affirmed", "not_listed", "unknown"]
ModuleName = Literal["kernel", "openssl", "libgcrypt", "gnutls", "nss"]

MODULE_PACKAGES: dict[ModuleName, tuple[str, ...]] = {
    "kernel": ("kernel-core",),
    "openssl": ("openssl-fips-provider", "openssl-fips-provider-so", "openssl-libs"),
    "libgcrypt": ("libgcrypt",),
    "gnutls": ("gnutls",),
    "nss": ("nss-softokn-freebl", "nss-softokn", "nss"),
}
"""Module -> packages that may hold it; the first one installed is the module's build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAnswer:
    """A command's answer."""

    exit_status: int
    """127: the command is not there."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FipsAnswers:
    """What a target said, not yet judged."""

    answers: Mapping[str, CommandAnswer] = field(default_factory=dict)
    """Name of the question -> answer; what was not answered is not there."""

    packages: tuple[str, ...] | None = None
    """NEVRAs with epochs; None where the rpm database was not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NonSystemCrypto:
    """A file that brings cryptography of its own."""

    path: str
    library: str
    """What it is, by its name or by what lies in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CryptoModule:
    """One cryptographic module and the state of its certificate."""

    name: ModuleName
    nevra: str
    """The build in use; empty where it is not known."""

    state: CertificateState
    reason: str
    certificate: int | None = None
    level: str = ""
    sunset: str = ""
    """ISO date; empty where there is none."""

    operational_env: EnvironmentMatch = "unknown"
    """Whether the certificate names the machine's processor; ``unknown`` where the list does not
    say which ones it names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FipsState:
    """The state of FIPS mode, and of the certificates, as three kinds of fact that never mix."""

    kernel_fips_flag: Literal["on", "off", "unknown"]
    boot_arg: Literal["present", "absent", "unknown"]
    boot_arg_persistent: TriState
    """Every boot entry but the rescue one carries the argument: the next start has it too."""

    installed_in_fips: TriState
    initramfs_fips_module: TriState
    crypto_policy: str
    """E.g. ``FIPS:STIG``; empty where it is not known."""

    crypto_policy_allowed: TriState
    """By the STIG's own list of policies for the release."""

    crypto_policy_overridden: TriState
    provider_active: TriState
    """``yes`` only where OpenSSL lists its FIPS provider as active and refuses MD5."""

    provider_version: str
    md5_refused: TriState
    modules: tuple[CryptoModule, ...]
    non_system_crypto: tuple[NonSystemCrypto, ...]
    """Files outside the distribution's folders that bring cryptography of their own."""

    non_system_crypto_complete: TriState
    """``no`` where a limit ended the search for them."""

    pqc_available: TriState
    """ML-KEM is offered by OpenSSL or OpenSSH."""

    pqc_negotiated: TriState
    """The target's own client and server of SSH agree on a key exchange with ML-KEM."""

    pqc_kex: str
    """That key exchange; empty where it is not known."""

    pqc_validated: TriState
    """ML-KEM lies inside a module that is validated today."""

    table_as_of: str
    """Date of the list of certificates."""
