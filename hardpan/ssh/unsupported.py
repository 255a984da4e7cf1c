"""The error for a connection that OpenSSH can open and paramiko cannot."""

from hardpan.core.errors import UnreachableError


class UnsupportedByParamiko(UnreachableError):  # noqa: N818 - named after what it reports
    """paramiko lacks something that this connection needs; OpenSSH's ``ssh`` may have it.

    ``reason`` names it, e.g. ``a security key (sk-ssh-ed25519@openssh.com)``.
    """

    def __init__(self, target: object, reason: str) -> None:
        super().__init__(
            f"{target}: paramiko cannot open this connection: it needs {reason}",
            hint="hardpan uses the system's ssh for it; '--transport openssh' selects it",
        )
        self.reason = reason
