"""What of an ISO's boot records must be the same after it was written anew."""

from dataclasses import replace

import pytest

from hardpan.builder.media import remaster
from hardpan.builder.media.inspect import Facts

BEFORE = Facts(
    volume_id="X",
    boot_records=("BIOS", "UEFI"),
    system_area="MBR protective-msdos-label grub2-mbr cyl-align-off GPT",
    efi_path="",
    efi_offset=658_561_024,
    efi_size=8_388_608,
)


@pytest.mark.parametrize("word", ["cyl-align-on", "cyl-align-auto", "cyl-align-all"])
def test_alignment_of_the_size_is_no_boot_record(word: str) -> None:
    """An ISO of the lab, written with a kickstart of a certain size, was refused for it."""
    area = BEFORE.system_area.replace("cyl-align-off", word)

    assert remaster._boots(replace(BEFORE, system_area=area)) == remaster._boots(BEFORE)


@pytest.mark.parametrize(
    "after",
    [
        replace(BEFORE, boot_records=("UEFI",)),
        replace(BEFORE, system_area="MBR protective-msdos-label cyl-align-off GPT"),
        replace(BEFORE, system_area="MBR protective-msdos-label grub2-mbr cyl-align-off"),
        replace(BEFORE, efi_path="/images/efiboot.img"),
    ],
)
def test_lost_boot_record_is_noticed(after: Facts) -> None:
    assert remaster._boots(after) != remaster._boots(BEFORE)
