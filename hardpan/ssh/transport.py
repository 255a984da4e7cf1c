"""What a connection needs of a transport; ``transport_kind`` lists those that exist."""

from contextlib import AbstractContextManager
from typing import Protocol

from hardpan.ssh.command import Channel
from hardpan.ssh.transport_kind import TransportChoice


class Transport(Protocol):
    """Starts commands on one target."""

    @property
    def choice(self) -> TransportChoice:
        """Which transport it is, and why."""
        ...

    def start(self, command_line: str, *, timeout_s: float, has_terminal: bool = False) -> Channel:
        """Start a command line in the login shell of the target's user, within ``timeout_s``.

        With ``has_terminal`` its three streams are one pseudo-terminal, as some sudo rules demand.
        """
        ...

    def close(self) -> None:
        """End the connection and everything that runs over it; may be called from any thread."""
        ...

    def translate_errors(self) -> AbstractContextManager[None]:
        """Turn exceptions of the transport, raised in the block, into hardpan errors."""
        ...
