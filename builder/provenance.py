"""How an image came to be: SLSA provenance v1 in an in-toto statement. Signed by the caller."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hardpan.builder.receipts import Disk, Iso, LayerReceipt, Media
from hardpan.files import Sha256
from hardpan.identifiers import BUILD_TYPE, BUILDER_ID
from hardpan.media_types import ISO, QCOW2


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything that a provenance statement tells."""

    profile: str
    profile_sha256: Sha256
    disk: Disk
    iso: Iso
    media: Media
    content_sha256: Sha256
    """The data stream that the ``stig`` layer mended from."""

    layers: tuple[LayerReceipt, ...]
    accelerator: str
    version: str
    """hardpan's own."""

    started: str
    """RFC 3339 UTC."""

    finished: str


def statement(story: Story) -> dict[str, object]:
    """The statement (https://slsa.dev/provenance/v1) over the image and the ISO it came from."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://slsa.dev/provenance/v1",
        "subject": [
            _subject(story.disk.path.name, story.disk.sha256, QCOW2),
            _subject(story.iso.path.name, story.iso.sha256, ISO),
        ],
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"profile": story.profile},
                "internalParameters": {
                    "accelerator": story.accelerator,
                    "layers": [
                        {"name": x.layer, "changed": x.changed, "rules": _outcomes(x)}
                        for x in story.layers
                    ],
                },
                "resolvedDependencies": [
                    _file("profile", story.profile_sha256),
                    _file(f"media:{story.media.name}", story.media.sha256),
                    _file("kickstart", story.iso.kickstart_sha256),
                    _file("content", story.content_sha256),
                    *_stacks(story.layers),
                ],
            },
            "runDetails": {
                "builder": {"id": BUILDER_ID, "version": {"hardpan": story.version}},
                "metadata": {
                    "invocationId": str(uuid.uuid4()),
                    "startedOn": story.started,
                    "finishedOn": story.finished,
                },
            },
        },
    }


def _subject(name: str, sha256: str, media_type: str) -> dict[str, object]:
    """What was built. By its media type a verifier knows the image from the rest."""
    return {**_file(name, sha256), "mediaType": media_type}


def _file(name: str, sha256: str) -> dict[str, object]:
    return {"name": name, "digest": {"sha256": sha256}}


def _stacks(layers: Iterable[LayerReceipt]) -> Iterator[dict[str, object]]:
    for stack in (stack for layer in layers for stack in layer.stacks):
        yield _file(f"lock:{stack.name}", stack.lock_sha256)
        yield _file(stack.rpm, stack.rpm_sha256)


def _outcomes(layer: LayerReceipt) -> Mapping[str, int]:
    kinds = sorted({o.outcome for o in layer.outcomes})
    return {k: sum(o.outcome == k for o in layer.outcomes) for k in kinds}
