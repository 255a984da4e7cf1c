"""The destination of a connection, as a person types it: ``[user@]host[:port]``."""

import ipaddress
import re
from dataclasses import dataclass

from hardpan.core.errors import InputError

_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?")
# Directory services have users such as ``name@domain`` and ``DOMAIN\\name``.
_USER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\+-]{0,127}\$?")
_PORT = re.compile(r"[0-9]{1,5}")
_MAX_TARGET_CHARS = 512
_SYNTAX_HINT = (
    "expected [user@]host[:port], ssh://[user@]host[:port], or an IPv6 address in brackets"
)


@dataclass(frozen=True, slots=True)
class Destination:
    """User and port are empty if the text has none."""

    user: str
    host: str
    port: str


def parse_destination(text: str) -> Destination:
    """Parse ``[user@]host[:port]``, ``ssh://[user@]host[:port]``, or with an IPv6 address.

    Raises:
        InputError: the text is not of that form.
    """
    if not text or len(text) > _MAX_TARGET_CHARS or not text.isascii() or not text.isprintable():
        raise InputError(f"not a target: {text[:80]!r}", hint=_SYNTAX_HINT)
    authority = text.removeprefix("ssh://").removesuffix("/") if text.startswith("ssh://") else text
    user, _, host_and_port = authority.rpartition("@")
    if "@" in authority and not user:
        raise InputError(f"not a target: {text!r}: no user before the @", hint=_SYNTAX_HINT)
    if user:
        validate_user(user, text)
    if host_and_port.startswith("["):
        address, bracket, port_suffix = host_and_port[1:].partition("]")
        if not bracket or (port_suffix and not port_suffix.startswith(":")) or port_suffix == ":":
            raise InputError(f"not a target: {text!r}", hint=_SYNTAX_HINT)
        return Destination(user, validate_host(address, text), _check_port(port_suffix[1:], text))
    if host_and_port.count(":") > 1:
        raise InputError(f"not a target: {text!r}", hint="write an IPv6 address in brackets")
    host, colon, port = host_and_port.partition(":")
    if colon and not port:
        raise InputError(f"not a target: {text!r}: no port after the colon", hint=_SYNTAX_HINT)
    return Destination(user, validate_host(host, text), _check_port(port, text))


def validate_host(host: str, text: str) -> str:
    """Return ``host``, a part of ``text``.

    Raises:
        InputError: it is neither a host name nor an address.
    """
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError as e:
            raise InputError(f"{text!r}: not an IPv6 address: {host!r}", hint=_SYNTAX_HINT) from e
        return host
    if not _HOST_NAME.fullmatch(host):
        raise InputError(f"{text!r}: not a host name: {host!r}", hint=_SYNTAX_HINT)
    return host


def validate_user(user: str, text: str) -> str:
    """Return ``user``, a part of ``text``.

    Raises:
        InputError: it is not a user name.
    """
    if not _USER_NAME.fullmatch(user):
        hint = "a password is never part of a target" if ":" in user else _SYNTAX_HINT
        raise InputError(f"{text!r}: not a user name", hint=hint)
    return user


def _check_port(port: str, text: str) -> str:
    return str(parse_port(port, text)) if port else ""


def parse_port(port: str, text: str) -> int:
    """Return the port, a part of ``text``.

    Raises:
        InputError: it is not a number of 1 to 65535.
    """
    if not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        raise InputError(f"{text!r}: expected a port of 1 to 65535, got {port!r}")
    return int(port)
