"""Profile section of the layer ``audit``: audit trail, model checks, log forwarding."""

from typing import Literal

from pydantic import Field

from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.public_keys import Certificates
from hardpan.profiles.schema.types import HostName, StrictInt


class LogHost(ProfileSection):
    """Log host that receives logs and audit records over TLS."""

    host: HostName
    """The log host's name."""

    port: StrictInt = Field(default=6514, ge=1, le=65535)
    """Its port; 6514 is syslog over TLS (RFC 5425)."""

    permitted_peer: HostName | None = None
    """Name in the log host's certificate; by default its host name."""

    ca_certificate: Certificates
    """PEM of the certificate authority that signed the log host's certificate."""

    driver: Literal["gtls", "ossl"] | None = None
    """rsyslog's TLS library: GnuTLS or OpenSSL. The RHEL 9 STIG accepts gtls only."""


class Audit(ProfileSection):
    """The audit trail of an AI host: model files, programs among its data, accelerators."""

    backlog: StrictInt = Field(default=16384, ge=8192, le=1_048_576)
    """Audit records that the kernel buffers; forking Python processes fill the buffer quickly."""

    log_host: LogHost | None = None
    """Without it, logs are stored on the machine only."""

    check_models: Literal["hourly", "daily", "weekly"] = "daily"
    """How often model files are compared with ``models.lock``; they are also checked at boot."""

    def log_packages(self, release: str) -> tuple[str, ...]:
        """Return the packages of rsyslog's TLS library."""
        if self.log_host is None:
            return ()
        return ("rsyslog-gnutls",) if self.tls_driver(release) == "gtls" else ("rsyslog-openssl",)

    def tls_driver(self, release: str) -> str:
        """Return rsyslog's TLS library on a release."""
        configured = self.log_host.driver if self.log_host else None
        return configured or ("ossl" if release in ("rocky10", "lab10") else "gtls")
