"""Sizes, places, and the commands that make them."""

import pytest

from images.lab.installer import layout
from images.lab.installer.layout import Slot, Wish, extents, share, slots
from images.lab.installer.plan import Group, InstallError, Kind, Luks, MiB, Partition, Volume


def _wish(size: int, *, grow: bool = False, most: int | None = None) -> Wish:
    return Wish(name="x", size=size, most=most, grow=grow)


@pytest.mark.parametrize(
    ("wishes", "space", "sizes"),
    [
        ([_wish(10), _wish(20)], 100, [10, 20]),
        ([_wish(10), _wish(20, grow=True)], 100, [10, 90]),
        ([_wish(10, grow=True), _wish(30, grow=True)], 100, [25, 75]),
        ([_wish(10, grow=True, most=12), _wish(30, grow=True)], 100, [12, 88]),
        ([_wish(10, grow=True, most=12), _wish(30)], 100, [12, 30]),
        ([_wish(1, grow=True), _wish(1, grow=True), _wish(1, grow=True)], 10, [3, 3, 4]),
        ([_wish(50), _wish(50, grow=True)], 100, [50, 50]),
        ([], 100, []),
    ],
)
def test_what_grows_gets_the_rest_by_its_size(
    wishes: list[Wish], space: int, sizes: list[int]
) -> None:
    assert share(wishes, space) == sizes


def test_a_disk_that_is_too_small_is_an_error_with_the_figures() -> None:
    parts = [_part("/boot", 1024), _part("/", 8192)]

    with pytest.raises(InstallError) as caught:
        slots(parts, 8192, "vda (8192 MiB)")

    assert str(caught.value) == (
        "not enough disk space on vda (8192 MiB), in MiB: needed 9216, available 8190 "
        "(/boot 1024, / 8192)"
    )


def _part(mount: str, size: int, *, grow: bool = False, kind: Kind = Kind.FILESYSTEM) -> Partition:
    return Partition(kind=kind, mount=mount, fstype="xfs", size_mib=MiB(size), grow=grow)


def test_partitions_follow_each_other_and_leave_room_for_both_tables() -> None:
    found = slots([_part("/boot", 1024), _part("/", 100, grow=True)], 10240, "vda")

    assert [(s.number, s.start_mib, s.size_mib) for s in found] == [(1, 1, 1024), (2, 1025, 9214)]


@pytest.mark.parametrize(
    ("disk", "device"),
    [("/dev/vda", "/dev/vda2"), ("/dev/nvme0n1", "/dev/nvme0n1p2"), ("/dev/sdb", "/dev/sdb2")],
)
def test_a_partitions_device_follows_its_disks_name(disk: str, device: str) -> None:
    slot = Slot(number=2, start_mib=MiB(1), size_mib=MiB(1), partition=_part("/", 1))

    assert slot.device(disk) == device


def test_sgdisk_is_called_once_with_both_ends_of_each_partition() -> None:
    parts = [_part("biosboot", 1, kind=Kind.BIOSBOOT), _part("pv.01", 1, grow=True, kind=Kind.PV)]

    assert layout.sgdisk("/dev/vda", slots(parts, 100, "vda")) == [
        "sgdisk",
        "--zap-all",
        "--clear",
        "--set-alignment=2048",
        "--new=1:2048:4095",
        "--typecode=1:ef02",
        "--change-name=1:BIOS boot",
        "--new=2:4096:202751",
        "--typecode=2:8e00",
        "--change-name=2:LVM",
        "/dev/vda",
    ]


def _volume(name: str, size: int, *, grow: bool = False) -> Volume:
    return Volume(
        mount=f"/{name}", group="vg0", name=name, fstype="xfs", size_mib=MiB(size), grow=grow
    )


def test_volumes_are_rounded_up_to_extents_and_grow_by_them() -> None:
    group = Group(name="vg0", pvs=("pv.01",))

    assert extents(group, [_volume("a", 5), _volume("b", 4, grow=True)], 100) == [2, 98]


def test_volumes_that_cannot_fit_are_told_in_mib_before_the_disk_is_touched() -> None:
    places = slots([_part("pv.01", 1, grow=True, kind=Kind.PV)], 1000, "vda")
    group = Group(name="vg0", pvs=("pv.01",))

    layout.need_room(group, [_volume("a", 500), _volume("b", 497, grow=True)], places)
    with pytest.raises(InstallError) as caught:
        layout.need_room(group, [_volume("a", 500), _volume("b", 498)], places)

    assert str(caught.value) == (
        "not enough disk space in vg0, in MiB: needed 998, available 997 (a 500, b 498)"
    )


def test_a_volume_group_that_is_too_small_is_an_error() -> None:
    with pytest.raises(InstallError, match="not enough disk space in volume group vg0"):
        extents(Group(name="vg0", pvs=("pv.01",)), [_volume("a", 500)], 100)


@pytest.mark.parametrize(
    ("fstype", "argv"),
    [
        ("xfs", "mkfs.xfs -f -q -K -m uuid=U-1 /dev/x"),
        ("ext4", "mkfs.ext4 -F -q -E nodiscard -U U-1 /dev/x"),
        ("efi", "mkfs.vfat -F 32 -i U1 /dev/x"),
        ("swap", "mkswap -q -U U-1 /dev/x"),
    ],
)
def test_each_file_system_has_its_command(fstype: str, argv: str) -> None:
    assert layout.mkfs(fstype, "/dev/x", "U-1") == argv.split()


def test_a_passphrase_is_never_in_the_arguments() -> None:
    luks = Luks(passphrase="correct horse", pbkdf="pbkdf2")

    argv = layout.luks_format("/dev/vda4", luks, "U")

    assert " ".join(argv) == (
        "cryptsetup luksFormat --batch-mode --type luks2 --uuid U --pbkdf pbkdf2 "
        "--key-file - /dev/vda4"
    )
    assert "horse" not in repr(luks)


def test_lvm_gets_one_group_and_a_volume_in_extents() -> None:
    group = Group(name="vg0", pvs=("pv.01",))

    assert layout.lvm_group(group, ["/dev/vda4"]) == [
        ["lvm", "pvcreate", "-y", "-ff", "/dev/vda4"],
        ["lvm", "vgcreate", "-y", "-s", "4096k", "vg0", "/dev/vda4"],
    ]
    assert layout.lvm_volume(_volume("root", 1), 12) == [
        "lvm",
        "lvcreate",
        "-y",
        "-W",
        "y",
        "-l",
        "12",
        "-n",
        "root",
        "vg0",
    ]


def test_hyphens_in_lvm_names_are_doubled_by_the_device_mapper() -> None:
    assert layout.mapper_name("my-vg", "var-log") == "my--vg-var--log"


def test_parents_are_mounted_before_their_children() -> None:
    found = layout.mount_order(["/var/log/audit", "/boot/efi", "/", "/var", "/boot", "/var/log"])

    assert found == ["/", "/boot", "/var", "/boot/efi", "/var/log", "/var/log/audit"]


@pytest.mark.parametrize("name", ["../etc/passwd", "v da", "", "disk/../../x"])
def test_a_disks_name_stays_below_dev(name: str) -> None:
    with pytest.raises(InstallError, match="not the name of a disk"):
        layout.disk_name(name)
