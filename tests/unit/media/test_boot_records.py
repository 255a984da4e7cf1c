"""Which parts of an ISO's boot records must be unchanged after remastering."""

from dataclasses import replace

import pytest

from hardpan.builder.media import remaster
from hardpan.builder.media.inspect import IsoFacts

MEDIA_FACTS = IsoFacts(
    volume_id="X",
    boot_records=("BIOS", "UEFI"),
    system_area="MBR protective-msdos-label grub2-mbr cyl-align-off GPT",
    efi_path="",
    efi_offset=658_561_024,
    efi_size=8_388_608,
)


@pytest.mark.parametrize("word", ["cyl-align-on", "cyl-align-auto", "cyl-align-all"])
def test_cylinder_alignment_is_ignored(word: str) -> None:
    """An ISO of the lab, written with a kickstart of a certain size, was refused for it."""
    area = MEDIA_FACTS.system_area.replace("cyl-align-off", word)

    assert remaster._boot_properties(
        replace(MEDIA_FACTS, system_area=area)
    ) == remaster._boot_properties(MEDIA_FACTS)


@pytest.mark.parametrize(
    "after",
    [
        replace(MEDIA_FACTS, boot_records=("UEFI",)),
        replace(MEDIA_FACTS, system_area="MBR protective-msdos-label cyl-align-off GPT"),
        replace(MEDIA_FACTS, system_area="MBR protective-msdos-label grub2-mbr cyl-align-off"),
        replace(MEDIA_FACTS, efi_path="/images/efiboot.img"),
    ],
)
def test_changed_boot_record_is_detected(after: IsoFacts) -> None:
    assert remaster._boot_properties(after) != remaster._boot_properties(MEDIA_FACTS)
