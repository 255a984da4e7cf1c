"""The part of the SSH agent protocol that a login needs: list the keys, sign.

paramiko's agent reads only the socket in SSH_AUTH_SOCK and cannot use a certificate with a key.
Source: draft-miller-ssh-agent, sections 4 and 5.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hardpan.ssh.public_key_blob import WireReader, key_type_of, pack_string

_REQUEST_IDENTITIES = 11
_IDENTITIES_ANSWER = 12
_SIGN_REQUEST = 13
_SIGN_RESPONSE = 14
_MAX_MESSAGE = 4 << 20
_MAX_KEYS = 1024
_LIST_TIMEOUT_S = 10
_SIGN_TIMEOUT_S = 120
"""A key on a token may wait for a touch or a confirmation."""

_RSA_FLAGS = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}


@dataclass(frozen=True, slots=True)
class AgentKey:
    """A public key or certificate whose private key the agent has."""

    blob: bytes
    comment: str


class Agent:
    """A connection to an agent. Every failure is an ``OSError`` or ``ValueError``."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def list_keys(self) -> tuple[AgentKey, ...]:
        """Return the keys in the agent's order."""
        self._connection.settimeout(_LIST_TIMEOUT_S)
        reader = self._request(bytes([_REQUEST_IDENTITIES]), _IDENTITIES_ANSWER)
        count = min(reader.number(4), _MAX_KEYS)
        keys = [AgentKey(reader.bytes(), _to_text(reader.bytes())) for _ in range(count)]
        return tuple(key for key in keys if key_type_of(key.blob))

    def sign(self, blob: bytes, data: bytes, algorithm: str) -> bytes:
        """Return the signature blob of ``data`` with the key ``blob``."""
        self._connection.settimeout(_SIGN_TIMEOUT_S)
        flags = next((f for name, f in _RSA_FLAGS.items() if algorithm.startswith(name)), 0)
        message = bytes([_SIGN_REQUEST]) + pack_string(blob) + pack_string(data)
        return self._request(message + flags.to_bytes(4, "big"), _SIGN_RESPONSE).bytes()

    def _request(self, message: bytes, answer_type: int) -> WireReader:
        self._connection.sendall(pack_string(message))
        size = int.from_bytes(self._receive(4), "big")
        if size > _MAX_MESSAGE:
            raise ValueError(f"the agent's answer has {size} bytes")
        reader = WireReader(self._receive(size))
        if reader.number(1) != answer_type:
            raise ValueError("the agent refuses the request")
        return reader

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self._connection.recv(size - len(data))
            if not chunk:
                raise ValueError("the agent closed the connection")
            data += chunk
        return data


@contextmanager
def open_agent(path: str) -> Iterator[Agent | None]:
    """Connect to the agent at a socket; None if there is none or it does not answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_LIST_TIMEOUT_S)
        try:
            connection.connect(path)
        except (OSError, ValueError):  # ValueError: NUL in the path
            yield None
            return
        yield Agent(connection)


def _to_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
