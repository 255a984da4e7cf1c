"""Ways to run commands on a target."""

from dataclasses import dataclass
from enum import StrEnum


class TransportKind(StrEnum):
    """Program that carries the commands; the values of ``--transport`` and of the evidence."""

    AUTO = "auto"
    """paramiko; the system's ssh for what paramiko cannot do."""

    PARAMIKO = "paramiko"
    """An SSH library in this process."""

    OPENSSH = "openssh"
    """The system's ``ssh``."""

    LOCAL = "local"
    """Child processes on this machine; only for the target ``local:``."""


SELECTABLE_TRANSPORTS = (TransportKind.AUTO, TransportKind.PARAMIKO, TransportKind.OPENSSH)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportChoice:
    """The transport of one connection, as the evidence records it."""

    kind: TransportKind
    reason: str = ""
    """Why another transport than the default was used; empty for the default."""


DEFAULT_TRANSPORT = TransportChoice(kind=TransportKind.PARAMIKO)
"""The transport of a target that needs no other."""
