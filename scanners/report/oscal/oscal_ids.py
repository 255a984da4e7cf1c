"""Identifiers of OSCAL documents: version-5 UUIDs.

Those of the host, of a risk and of a POA&M item are stable across scans, the others belong to one
scan.
"""

import hashlib
import uuid
from functools import cached_property

from hardpan.core.files import sha256_bytes
from hardpan.core.identifiers import OSCAL_NAMESPACE
from hardpan.scanners.report.model.markdown_escape import escape_inline
from hardpan.scanners.report.registry import Report

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, OSCAL_NAMESPACE)


class OscalIds:
    """Derives the identifiers in the documents of one scan."""

    def __init__(self, report: Report) -> None:
        findings = report.findings
        host = findings.host
        identity = f"{host.machine_id_hmac}\n{host.host_key_sha256}\n{host.hostname}"
        host_id = uuid.uuid5(_NAMESPACE, identity)
        self._host = host_id.bytes
        self._scan = uuid.uuid5(host_id, sha256_bytes(report.findings_json)).bytes
        self._cache: dict[tuple[bytes, str, str], str] = {}
        self._hostname = host.hostname

    def stable_id(self, kind: str, name: str = "") -> str:
        """Return an id that is the same for every scan of the host."""
        return self._derive_id(self._host, kind, name)

    def scan_id(self, kind: str, name: str = "") -> str:
        """Return an id of this scan only."""
        return self._derive_id(self._scan, kind, name)

    @cached_property
    def origins(self) -> list[dict[str, object]]:
        """The origin of each result, one list for all of them: the engine of the scan."""
        return [{"actors": [{"type": "tool", "actor-uuid": self.scan_id("engine")}]}]

    @cached_property
    def subject(self) -> dict[str, object]:
        """The reference to the host, one for all results."""
        return {
            "subject-uuid": self.stable_id("host"),
            "type": "inventory-item",
            "title": escape_inline(self._hostname),
        }

    def _derive_id(self, namespace: bytes, kind: str, name: str) -> str:
        key = (namespace, kind, name)
        if key not in self._cache:
            self._cache[key] = _format_uuid5(namespace, f"{kind}\n{name}")
        return self._cache[key]


def _format_uuid5(namespace: bytes, name: str) -> str:
    """Return the version-5 UUID (RFC 9562, section 5.5), in a third of the time of ``uuid``."""
    digest = bytearray(hashlib.sha1(namespace + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
