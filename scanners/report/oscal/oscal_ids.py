"""Identifiers of OSCAL documents: version-5 UUIDs.

Those of the host, of a risk and of a POA&M item are stable across scans, the others belong to one
scan.
"""

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
        self._host = uuid.uuid5(_NAMESPACE, identity)
        self._scan = uuid.uuid5(self._host, sha256_bytes(report.findings_json))
        self._cache: dict[tuple[uuid.UUID, str, str], str] = {}
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

    def _derive_id(self, namespace: uuid.UUID, kind: str, name: str) -> str:
        key = (namespace, kind, name)
        if key not in self._cache:
            self._cache[key] = str(uuid.uuid5(namespace, f"{kind}\n{name}"))
        return self._cache[key]
