"""SLSA provenance v1 of an image as an in-toto statement; the caller signs it."""

import base64
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

from hardpan.builder.artifacts import (
    DiskImage,
    ImageFile,
    InstallMedia,
    LayerResult,
    StackResult,
    UnattendedIso,
)
from hardpan.core.files import Sha256, canonical_json, sha256_bytes
from hardpan.core.identifiers import BUILD_TYPE, BUILDER_ID
from hardpan.core.media_types import ISO, QCOW2

MAX_LISTED_FINDINGS = 500
"""Findings of one wheel audit that the statement lists, the worst first; all are counted."""

_SEVERITIES = ("high", "medium", "low")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRecord:
    """Facts of a build that the provenance statement contains."""

    profile: str
    profile_sha256: Sha256
    disk: DiskImage
    iso: UnattendedIso
    media: InstallMedia
    content_sha256: Sha256
    """SHA-256 of the data stream that the ``stig`` layer remediated from."""

    layers: tuple[LayerResult, ...]
    accelerator: str
    version: str
    """Version of hardpan."""

    started: str
    """RFC 3339 UTC."""

    finished: str

    converted: tuple[ImageFile, ...] = ()
    """The image's other formats."""

    lock_sha256: str = ""
    """Digest of ``PROFILE.lock.json``, which has every package with repository and digest."""

    locked_files: tuple[tuple[str, str], ...] = ()
    """Name and digest of each repository's metadata, wheel and file of a model in the lock."""


def provenance_statement(record: BuildRecord) -> dict[str, object]:
    """Return the statement (https://slsa.dev/provenance/v1) about the image and its ISO."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://slsa.dev/provenance/v1",
        "subject": [
            _subject(record.disk.path.name, record.disk.sha256, QCOW2),
            *(_subject(file.path.name, file.sha256, file.media_type) for file in record.converted),
            _subject(record.iso.path.name, record.iso.sha256, ISO),
        ],
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"profile": record.profile},
                "internalParameters": {
                    "accelerator": record.accelerator,
                    # The guest that was installed saw the ISO with its two console= arguments in
                    # the other order (builder/media/serial_console.py).
                    "installConsole": "serial",
                    "layers": [
                        {"name": x.layer, "changed": x.changed_tasks, "rules": _count_outcomes(x)}
                        for x in record.layers
                    ],
                },
                "resolvedDependencies": [
                    _resource("profile", record.profile_sha256),
                    *_media_resources(record.media),
                    _resource("kickstart", record.iso.kickstart_sha256),
                    _resource("content", record.content_sha256),
                    *_stack_resources(record.layers),
                    *_lock_resources(record),
                ],
            },
            "runDetails": {
                "builder": {"id": BUILDER_ID, "version": {"hardpan": record.version}},
                "metadata": {
                    "invocationId": str(uuid.uuid4()),
                    "startedOn": record.started,
                    "finishedOn": record.finished,
                },
                "byproducts": [
                    _wheel_audit(stack) for layer in record.layers for stack in layer.stacks
                ],
            },
        },
    }


def _subject(name: str, sha256: str, media_type: str) -> dict[str, object]:
    """Return a subject; its media type lets a verifier identify the image."""
    return {**_resource(name, sha256), "mediaType": media_type}


def _resource(name: str, sha256: str) -> dict[str, object]:
    return {"name": name, "digest": {"sha256": sha256}}


def _media_resources(media: InstallMedia) -> Iterator[dict[str, object]]:
    yield _resource(f"media:{media.name}", media.sha256)
    if media.metadata_sha256 is not None:
        yield _resource(f"media-metadata:{media.name}", media.metadata_sha256)


def _stack_resources(layers: Iterable[LayerResult]) -> Iterator[dict[str, object]]:
    for stack in (stack for layer in layers for stack in layer.stacks):
        yield _resource(f"lock:{stack.name}", stack.lock_sha256)
        yield _resource(stack.rpm, stack.rpm_sha256)


def _wheel_audit(stack: StackResult) -> dict[str, object]:
    """Return the audit of a stack's wheels as a resource with its content, and counts."""
    count = Counter(finding.severity for finding in stack.findings)
    ranked = sorted(stack.findings, key=lambda finding: _SEVERITIES.index(finding.severity))
    content = canonical_json([asdict(finding) for finding in ranked[:MAX_LISTED_FINDINGS]])
    return {
        **_resource(f"wheel-audit:{stack.name}", sha256_bytes(content)),
        "mediaType": "application/json",
        "content": base64.b64encode(content).decode("ascii"),
        "annotations": {severity: count[severity] for severity in _SEVERITIES},
    }


def _lock_resources(record: BuildRecord) -> Iterator[dict[str, object]]:
    if record.lock_sha256:
        yield _resource(f"{record.profile}.lock.json", record.lock_sha256)
    for name, sha256 in record.locked_files:
        yield _resource(name, sha256)


def _count_outcomes(layer: LayerResult) -> Mapping[str, int]:
    kinds = sorted({o.outcome for o in layer.outcomes})
    return {k: sum(o.outcome == k for o in layer.outcomes) for k in kinds}
