"""Identifiers of OSCAL documents: version-5 UUIDs.

Those of the host, of a risk and of a POA&M item are stable across scans, the others belong to one
scan.
"""

import uuid

from hardpan.core.files import sha256_bytes
from hardpan.core.identifiers import OSCAL_NAMESPACE
from hardpan.scanners.report.registry import Report

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, OSCAL_NAMESPACE)


class OscalIds:
    """Derives the identifiers in the documents of one scan."""

    def __init__(self, report: Report) -> None:
        findings = report.findings
        host = findings.host
        identity = f"{host.machine_id_hmac}\n{host.host_key_sha256}\n{host.hostname}"
        self._host = uuid.uuid5(_NAMESPACE, identity)
        self._scan = uuid.uuid5(self._host, sha256_bytes(report.findings_json))
        self._cache: dict[tuple[uuid.UUID, str, str], str] = {}

    def stable_id(self, kind: str, name: str = "") -> str:
        """Return an id that is the same for every scan of the host."""
        return self._derive_id(self._host, kind, name)

    def scan_id(self, kind: str, name: str = "") -> str:
        """Return an id of this scan only."""
        return self._derive_id(self._scan, kind, name)

    def _derive_id(self, namespace: uuid.UUID, kind: str, name: str) -> str:
        key = (namespace, kind, name)
        if key not in self._cache:
            self._cache[key] = str(uuid.uuid5(namespace, f"{kind}\n{name}"))
        return self._cache[key]
