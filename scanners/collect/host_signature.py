"""Sign with the host's own SSH host key, over the scan's sudo connection."""

import re
import shlex

from hardpan.core.errors import ToolError
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
    """Return the host's SSHSIG over ``message`` by its presented key; empty if it cannot sign.

    The private key never leaves the host. That it cannot sign (an OpenSSH before 8.1, keys in an
    agent) is no error of the scan: the verifier reports it, and the policy decides.
    """
    fingerprint = connection.host_key.fingerprint
    if not _FINGERPRINT.fullmatch(fingerprint):
        return b""
    try:
        signature = connection.run(
            build_signing_script(fingerprint, namespace),
            timeout_s=timeout_s,
            stdin=message,
            sudo=True,
            max_bytes=MAX_SSHSIG_BYTES,
        ).data
    except ToolError:
        return b""
    return signature if signature.startswith(_BEGIN) else b""


def build_signing_script(fingerprint: str, namespace: str) -> str:
    """Build the script that signs stdin with the key ``fingerprint``, for ``namespace``."""
    keys = "$(sshd -T 2>/dev/null | sed -n 's/^hostkey //p') /etc/ssh/ssh_host_*_key"
    return (
        f"for k in {keys}; do "
        f'case "$(ssh-keygen -lf "$k" -E sha256 2>/dev/null)" in '
        f"*{shlex.quote(' ' + fingerprint + ' ')}*) "
        f'exec ssh-keygen -Y sign -n {shlex.quote(namespace)} -f "$k";; esac; done; exit 3'
    )
