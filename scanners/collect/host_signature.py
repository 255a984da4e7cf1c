"""Sign with the host's own SSH host key, over the scan's sudo connection."""

import re
import shlex

from hardpan.core.errors import ToolError, UnavailableError
from hardpan.core.events import Emit
from hardpan.core.limits import MAX_SSHSIG_BYTES
from hardpan.scanners.collect.base import CollectedEvidence, Collector, CollectTask
from hardpan.ssh.connection import Connection

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_BEGIN = b"-----BEGIN SSH SIGNATURE-----"


class HostSignature(Collector):
    """Has the host sign a challenge with its host key."""

    def collect(
        self, connection: Connection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Return the signature, as ``sign_with_host_key`` does; not yet verified."""
        if task.challenge is None:
            raise ValueError("the host signature needs a challenge")
        signature = sign_with_host_key(
            connection,
            task.challenge.message,
            namespace=task.challenge.namespace,
            timeout_s=timeout_s,
        )
        return CollectedEvidence(host_signature=signature)


def sign_with_host_key(
    connection: Connection, message: bytes, *, namespace: str, timeout_s: float
) -> bytes:
    """Return the host's SSHSIG over ``message`` by its presented key.

    The private key never leaves the host.

    Raises:
        UnavailableError: the host cannot sign: an OpenSSH before 8.1, its keys in an agent, no
            root rights, or no host key at all. The policy of the verifier decides about it.
        UnreachableError: the connection broke.
    """
    fingerprint = connection.host_key.fingerprint
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise UnavailableError(["ssh-keygen:"], "the target has no SSH host key")
    try:
        signature = connection.run(
            build_signing_script(fingerprint, namespace),
            timeout_s=timeout_s,
            stdin=message,
            sudo=True,
            max_bytes=MAX_SSHSIG_BYTES,
        ).data
    except ToolError:
        signature = b""
    if not signature.startswith(_BEGIN):
        raise UnavailableError(
            ["ssh-keygen:"],
            "the host cannot sign with its host key",
            hint="this needs root rights, OpenSSH 8.1 or newer, and the key in a file that sshd -T "
            "lists",
        )
    return signature


def build_signing_script(fingerprint: str, namespace: str) -> str:
    """Build the script that signs stdin with the key ``fingerprint``, for ``namespace``.

    It needs a POSIX shell, ssh-keygen, and sshd for keys in other folders; it reads them itself.
    """
    sign = (
        'sign() { case "$(ssh-keygen -lf "$1" -E sha256 2>/dev/null </dev/null)" in '
        f"*{shlex.quote(' ' + fingerprint + ' ')}*) "
        f'exec ssh-keygen -Y sign -n {shlex.quote(namespace)} -f "$1" <&3;; esac; }}'
    )
    return (
        f'exec 3<&0; {sign}; for k in /etc/ssh/ssh_host_*_key; do sign "$k"; done; '
        "set -f; for w in $(sshd -T 2>/dev/null </dev/null); do "
        'case "$p" in hostkey) sign "$w";; esac; p=$w; done; exit 3'
    )
