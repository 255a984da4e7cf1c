"""Read the log of OpenSSH's client: which host key it verified, and why it ended. Text only.

The log (``ssh -E FILE -o LogLevel=DEBUG1``) is ssh's own; a banner of the server is not in it. A
server can still add lines, because ssh writes texts of the protocol (a disconnect reason, a debug
message, a certificate's id) with their line ends. No line is therefore trusted for being there:
the host key must be unambiguous, and the other lines only select a message.
"""

import re

from hardpan.core.errors import HardpanError, InputError, TrustError, UnreachableError

_HOST_KEY = re.compile(
    r"^debug1: Server host (?:key|certificate): ([a-z0-9@.-]{1,64}) (SHA256:[A-Za-z0-9+/]{43})",
    re.MULTILINE,
)
_NETWORK_STARTED = re.compile(
    r"^debug1: (?:Connecting to|Executing proxy command|Server host)", re.MULTILINE
)
_SECURITY_KEY = re.compile(r"^debug1: Server accepts key: .* (?:ECDSA|ED25519)-SK ", re.MULTILINE)
_DENIED = re.compile(r"Permission denied \(([a-z0-9@.,-]{1,200})\)")
_REVOKED = re.compile(r"REVOKED HOST KEY DETECTED|revoked by file|was revoked and you have")
_UNCHECKED = re.compile(r"in revoked keys file (\S{1,300}):")
_CHANGED = re.compile(r"REMOTE HOST IDENTIFICATION HAS CHANGED")
_UNKNOWN = re.compile(r"No \S+ host key is known for|Host key verification failed")
_REFUSED = re.compile(r"Connection refused|Network is unreachable|No route to host")
_NO_ANSWER = re.compile(r"timed out|Could not resolve hostname")
_CLOSED = re.compile(r"Connection (?:closed|reset) by|Received disconnect from")
_CONFIGURATION = re.compile(
    r"Bad configuration option|Bad owner or permissions|bad configuration option"
    r"|: line \d+: |command-line"
)
_MAX_LINE_CHARS = 300
_MAX_LINES = 4


def parse_host_key(log: str) -> tuple[str, str]:
    """Return type and fingerprint of the host key that ssh verified.

    A certificate counts as the key that it certifies. ssh repeats the line at each key exchange.

    Raises:
        TrustError: the log names no key, or several.
    """
    keys = {(match[1], match[2]) for match in _HOST_KEY.finditer(log)}
    if len(keys) != 1:
        raise TrustError(
            f"ssh's log: the host key is ambiguous: expected one, got {len(keys)}",
            hint="the server may imitate lines of the log: use --transport paramiko",
        )
    ((kind, fingerprint),) = keys
    return kind.removesuffix("-cert-v01@openssh.com"), fingerprint


def needs_security_key_touch(log: str) -> bool:
    """Return whether ssh signs with a security key, which may wait for a touch."""
    return _SECURITY_KEY.search(log) is not None


def translate_log(
    log: str, output: str, *, target: str, credentials: str, pinned: str = ""
) -> HardpanError:
    """Return the error for an ssh that ended before the login.

    ``output`` is its stderr, with the text of the server; it is used only if ssh ended before it
    connected. ``pinned`` has the fingerprints of the pinned keys, empty if none is pinned.
    """
    if not _NETWORK_STARTED.search(log):
        log = f"{log}\n{output}"
    lines = [_clean(line) for line in log.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("debug", "@", "OpenSSH_"))]
    cause = "; ".join(lines[-_MAX_LINES:]) or "ssh ended without a message"
    if (error := _find_host_key_error(log, target, pinned)) is not None:
        return error
    if (match := _DENIED.search(log)) is not None:
        return UnreachableError(
            f"{target}: login failed with {credentials}; the host accepts: "
            f"{match[1].replace(',', ', ')} ({cause})",
            hint="check that the public key is in the user's authorized_keys",
        )
    if "Too many authentication failures" in log:
        return UnreachableError(
            f"{target}: login failed with {credentials}: the host allows fewer attempts ({cause})",
            hint="name one key with --identity, or set IdentitiesOnly in the ssh configuration",
        )
    if _REFUSED.search(log):
        return UnreachableError(
            f"{target}: refused the connection ({cause})",
            hint="check that sshd runs on the host and that the port is correct",
        )
    if _NO_ANSWER.search(log):
        return UnreachableError(f"{target}: does not answer: {cause}")
    if _CLOSED.search(log):
        return UnreachableError(f"{target}: closed the connection ({cause})")
    if not _NETWORK_STARTED.search(log) and _CONFIGURATION.search(log):
        return InputError(f"ssh config for {target}: ssh does not accept it: {cause}")
    return UnreachableError(f"{target}: {cause}")


def _find_host_key_error(log: str, target: str, pinned: str) -> TrustError | None:
    keys = {f"{match[1]} {match[2]}" for match in _HOST_KEY.finditer(log)}
    offered = ", ".join(sorted(keys)) or "?"
    if "KnownHostsCommand failed" in log:
        return TrustError(
            f"{target}: KnownHostsCommand failed: the host key cannot be checked",
            hint="run it by hand to see why",
        )
    if (match := _UNCHECKED.search(log)) is not None:
        return TrustError(
            f"{target}: RevokedHostKeys {_clean(match[1])} cannot be checked: expected a key "
            "revocation list or a list of keys"
        )
    if _REVOKED.search(log):
        return TrustError(
            f"{target}: the host key is revoked: expected a key that known_hosts does not mark "
            f"@revoked, got {offered}",
            hint="another machine may have that key; find out who revoked it, and why",
        )
    has_changed = _CHANGED.search(log) is not None
    if has_changed or (pinned and _UNKNOWN.search(log)):
        return TrustError(
            f"{target}: the host key is not the expected one: expected "
            f"{pinned or 'the key that known_hosts lists'}, got {offered.split(' ')[-1]}",
            hint="another machine answers, or the host was reinstalled; find out which first",
        )
    if _UNKNOWN.search(log):
        return TrustError(
            f"{target}: unknown host key; it offers {offered}",
            hint="compare that with the host's own console (ssh-keygen -lf), then add it to "
            "known_hosts or pin it with --host-key",
        )
    return None


def _clean(line: str) -> str:
    return "".join(c if c.isprintable() else " " for c in line).strip()[:_MAX_LINE_CHARS]
