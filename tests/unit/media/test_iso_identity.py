"""Identifiers of unattended ISOs: valid, deterministic and different for different content."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from hardpan.builder.media.iso_identity import IsoIdentity, derive_identity
from hardpan.core.files import Sha256

INPUTS = {
    "media_sha256": Sha256("a" * 64),
    "kickstart": "text",
    "arguments": ("inst.text",),
    "label": "HARDPAN-X",
}


def derive(**changes: object) -> IsoIdentity:
    return derive_identity(**{**INPUTS, **changes})  # type: ignore[arg-type]


def test_identifiers_are_valid() -> None:
    for number in range(200):
        identity = derive(kickstart=str(number))
        date = datetime.strptime(identity.volume_uuid[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)

        assert 2000 <= date.year < 2020
        assert len(identity.volume_uuid) == 16
        assert UUID(identity.disk_guid).variant == "specified in RFC 4122"
        assert UUID(identity.disk_guid).version == 8


@pytest.mark.parametrize(
    "change",
    [
        {"media_sha256": Sha256("b" * 64)},
        {"kickstart": "other"},
        {"arguments": ("inst.text", "fips=1")},
        {"label": "HARDPAN-Y"},
        {"waits_for_key": True},
    ],
)
def test_each_input_changes_the_identifiers(change: dict[str, object]) -> None:
    first, second = derive(), derive(**change)

    assert first == derive()
    assert first.volume_uuid != second.volume_uuid
    assert first.disk_guid != second.disk_guid
