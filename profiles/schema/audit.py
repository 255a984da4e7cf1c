"""What the layer ``audit`` watches, checks and sends away."""

from typing import Literal

from pydantic import Field

from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.public_keys import Certificates
from hardpan.profiles.schema.types import HostName, StrictInt


class LogHost(ProfileSection):
    """Where logs and audit records go, over TLS and to nobody else."""

    host: HostName
    """The log host's name."""

    port: StrictInt = Field(default=6514, ge=1, le=65535)
    """Its port; 6514 is syslog over TLS (RFC 5425)."""

    permitted_peer: HostName | None = None
    """The name that its certificate must carry; the host's own if not said."""

    ca_certificate: Certificates
    """PEM of the certificate authority that signed the log host's certificate."""

    driver: Literal["gtls", "ossl"] | None = None
    """rsyslog's TLS library: GnuTLS or OpenSSL. The RHEL 9 STIG takes gtls only."""


class Audit(ProfileSection):
    """The audit trail of an AI host: model files, programs among its data, accelerators."""

    backlog: StrictInt = Field(default=16384, ge=8192, le=1_048_576)
    """Audit records the kernel keeps while the daemon is busy; Python that forks fills it fast."""

    log_host: LogHost | None = None
    """Without it, logs stay on the machine."""

    check_models: Literal["hourly", "daily", "weekly"] = "daily"
    """How often every model file is compared with its ``models.lock``; also after each start."""

    def log_packages(self, release: str) -> tuple[str, ...]:
        """What rsyslog needs for its TLS."""
        if self.log_host is None:
            return ()
        return ("rsyslog-gnutls",) if self.tls_driver(release) == "gtls" else ("rsyslog-openssl",)

    def tls_driver(self, release: str) -> str:
        """The TLS library of rsyslog on that release."""
        configured = self.log_host.driver if self.log_host else None
        return configured or ("ossl" if release == "rocky10" else "gtls")
