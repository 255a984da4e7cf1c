"""State of FIPS mode and of the modules: plain frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

TriState = Literal["yes", "no", "unknown"]
"""``unknown`` if the target did not or could not report it; never treated as ``no``."""

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
"""Module -> packages that may contain it; the first installed one is the module's build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAnswer:
    """Exit status and output of a command."""

    exit_status: int
    """127: the command is missing."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FipsAnswers:
    """Answers of a target, not yet assessed."""

    answers: Mapping[str, CommandAnswer] = field(default_factory=dict)
    """Name of the question -> answer; unanswered questions are missing."""

    packages: tuple[str, ...] | None = None
    """NEVRAs with epochs; None where the rpm database was not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NonSystemCrypto:
    """A file with cryptography that is not the system's."""

    path: str
    library: str
    """The library, identified by file name or content."""


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
    """The state of FIPS mode, and of the certificates, as independent facts."""

    kernel_fips_flag: Literal["on", "off", "unknown"]
    boot_arg: Literal["present", "absent", "unknown"]
    boot_arg_persistent: TriState
    """Every boot entry but the rescue one has the argument: the next boot has it too."""

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
    """Files outside the distribution's folders with other cryptography."""

    non_system_crypto_complete: TriState
    """``no`` where a limit ended the search for them."""

    pqc_available: TriState
    """ML-KEM is offered by OpenSSL or OpenSSH."""

    pqc_negotiated: TriState
    """The target's own client and server of SSH agree on a key exchange with ML-KEM."""

    pqc_kex: str
    """That key exchange; empty where it is not known."""

    pqc_validated: TriState
    """ML-KEM is part of a module that is validated today."""

    table_as_of: str
    """Date of the list of certificates."""

    table_warning: str = ""
    """Why the list is too old to call a certificate active; empty if it is not."""
