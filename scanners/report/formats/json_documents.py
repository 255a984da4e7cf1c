"""The documents as canonical JSON bytes, and the schema of the first."""

import json

from hardpan.core.files import canonical_json
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.registry import Report


class FindingsJson:
    """``findings.json``."""

    def render(self, report: Report) -> bytes:
        """The findings as RFC 8785 bytes."""
        return report.findings_json


class SmokeJson:
    """``smoke.json``; ``null`` where no smoke test ran."""

    def render(self, report: Report) -> bytes:
        """The smoke test as RFC 8785 bytes."""
        return canonical_json(None if report.smoke is None else report.smoke.to_json())


class ChangesJson:
    """``changes.json``; ``null`` where the scan was compared with no older one."""

    def render(self, report: Report) -> bytes:
        """The changes as RFC 8785 bytes."""
        return canonical_json(None if report.changes is None else report.changes.to_json())


def build_findings_schema() -> bytes:
    """JSON Schema of ``findings.json``, as ``findings.schema.json`` holds it."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Findings.model_json_schema(by_alias=True, mode="serialization"),
    }
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()
